"""The page of bfloat16 beside float32."""

from __future__ import annotations

from seamwise.experiments.paper.precision import WHOLE
from seamwise.experiments.paper.rows import Claim, Result, Row, by_line, claims_table, final, page_parts, seen, short
from seamwise.experiments.tables import markdown_table
from seamwise.figures.lines import lines
from seamwise.figures.markup import Markup

# Of a mean accuracy over all tasks; reduced runs are small, and differ by more.
ALLOWED, ALLOWED_QUICK = 0.005, 0.03


def pairs(result: Result) -> dict[str, tuple[list[Row], list[Row]]]:
    """Runs in bfloat16 and in float32 by line, where both are there."""
    found = by_line(result)
    return {name: (rows, found[name + WHOLE]) for name, rows in found.items() if name + WHOLE in found}


def apart(half: list[Row], whole: list[Row]) -> float:
    """Mean accuracy in bfloat16 less that in float32."""
    return (final(half)[0] or 0.0) - (final(whole)[0] or 0.0)


def markdown(result: Result) -> list[str]:
    table = [
        [name, str(len(half)), short(final(half)), short(final(whole)), f"{apart(half, whole):+.4f}"]
        for name, (half, whole) in pairs(result).items()
    ]
    return page_parts(
        result,
        "Accuracy on the test set over all tasks after the last, mean ± standard deviation over runs. In bfloat16 the "
        "products of a pass are rounded; weights, optimizer and the method's own sums stay in float32.",
        markdown_table(["line", "runs each", "bfloat16", "float32", "difference"], table),
        claims_table(claims(result)),
    )


def claims(result: Result) -> list[Claim]:
    allowed = ALLOWED_QUICK if result["quick"] else ALLOWED
    return [
        Claim(
            f"{name}: the same within {allowed:g} or twice the spread over seeds",
            f"{apart(half, whole):+.4f}",
            abs(apart(half, whole)) <= max(allowed, 2 * (final(whole)[1] or 0.0)),
        )
        for name, (half, whole) in pairs(result).items()
    ]


def picture(result: Result) -> Markup:
    series = {
        name: [(i + 1.0, *seen(rows, i, "R")) for i in range(len(rows[0]["R"]))]
        for name, rows in by_line(result).items()
    }
    return lines(series, str(result["title"]), "tasks learned", "accuracy over the tasks seen", whole_x=True)
