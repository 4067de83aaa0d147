"""The page of bfloat16 beside float32."""

from __future__ import annotations

from seamwise.experiments.groups import Spread, spread
from seamwise.experiments.paper.precision import WHOLE
from seamwise.experiments.paper.rows import (
    Claim,
    Result,
    Row,
    by_line,
    claims_table,
    final,
    mean,
    page_parts,
    seen,
    short,
    with_sem,
)
from seamwise.experiments.tables import markdown_table
from seamwise.figures.lines import lines
from seamwise.figures.markup import Markup

# Of a mean accuracy over all tasks; reduced runs are small, and differ by more.
ALLOWED, ALLOWED_QUICK = 0.005, 0.03


def pairs(result: Result) -> dict[str, tuple[list[Row], list[Row]]]:
    """Runs in bfloat16 and in float32 by line, where both are there."""
    found = by_line(result)
    return {name: (rows, found[name + WHOLE]) for name, rows in found.items() if name + WHOLE in found}


def apart(half: list[Row], whole: list[Row]) -> Spread:
    """Accuracy in bfloat16 less that in float32 on the same seeds: mean and its standard error, None where unknown."""
    after = {row["seed"]: mean(row["R"][-1]) for row in whole}
    differences = [mean(row["R"][-1]) - after[row["seed"]] for row in half if row["seed"] in after]
    return with_sem(spread(differences), len(differences))


def _told(difference: Spread) -> str:
    return " ± ".join(format(v, f) for v, f in zip(difference, ("+.4f", ".4f"), strict=True) if v is not None) or "-"


def markdown(result: Result) -> list[str]:
    table = [
        [name, str(len(half)), short(final(half)), short(final(whole)), _told(apart(half, whole))]
        for name, (half, whole) in pairs(result).items()
    ]
    return page_parts(
        result,
        "Accuracy on the test set over all tasks after the last, mean ± standard deviation over runs; the difference "
        "on the same seeds, with its standard error. In bfloat16 the products of a pass are rounded; weights, "
        "optimizer and the method's own sums stay in float32.",
        markdown_table(["line", "runs each", "bfloat16", "float32", "difference"], table),
        claims_table(claims(result)),
    )


def claims(result: Result) -> list[Claim]:
    allowed = ALLOWED_QUICK if result["quick"] else ALLOWED
    listed = []
    for name, (half, whole) in pairs(result).items():
        difference, error = apart(half, whole)
        listed.append(
            Claim(
                f"{name}: the same on the same seeds, within {allowed:g} or two standard errors of the difference",
                _told((difference, error)),
                None if difference is None else abs(difference) <= max(allowed, 2 * (error or 0.0)),
            )
        )
    return listed


def picture(result: Result) -> Markup:
    series = {
        name: [(i + 1.0, *seen(rows, i, "R")) for i in range(len(rows[0]["R"]))]
        for name, rows in by_line(result).items()
    }
    return lines(series, str(result["title"]), "tasks learned", "accuracy over the tasks seen", whole_x=True)
