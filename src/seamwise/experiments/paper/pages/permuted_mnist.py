"""The page of permuted MNIST (figure 4)."""

from __future__ import annotations

from itertools import pairwise

from seamwise.experiments.paper.permuted_mnist import PUBLISHED, PUBLISHED_CURVE, STRENGTHS
from seamwise.experiments.paper.rows import (
    Claim,
    Result,
    after,
    at_least,
    at_most,
    by_line,
    claims_table,
    final,
    page_parts,
    seen,
    short,
    show,
)
from seamwise.experiments.tables import markdown_table
from seamwise.figures.grid import grid
from seamwise.figures.lines import lines
from seamwise.figures.markup import Markup

REFERENCES = ("all tasks at once", "each task alone")


def markdown(result: Result) -> list[str]:
    found, table = by_line(result), []
    for label, rows in found.items():
        first = short(after(rows, -1, 0)) if label not in REFERENCES else "-"
        published = f"{PUBLISHED[label]:.3f}" if label in PUBLISHED else "-"
        minutes = f"{sum(row['seconds'] for row in rows) / 60 / len(rows):.0f}"
        sides = (short(final(rows, side)) for side in ("R", "R_train"))
        table.append([label, str(len(rows)), *sides, published, first, minutes])
    headers = ["line", "runs", "test", "training", "published, test", "task 1, test", "minutes"]
    parts = [
        "Mean accuracy over all tasks after the last; training accuracy is that of the first 10 000 training samples "
        "of a task. The published figures are the authors' own result files.",
        markdown_table(headers, table),
        claims_table(claims(result)),
    ]
    if "SI c = 0.1" in found and not result["quick"]:
        curve = [f"{seen(found['SI c = 0.1'], i)[0]:.3f}" for i in range(10)]
        both = [["ours", *curve], ["published", *(f"{value:.3f}" for value in PUBLISHED_CURVE)]]
        parts += [
            "Mean test accuracy over the tasks seen, SI with c = .1, after each task:",
            markdown_table(["", *map(str, range(1, 11))], both),
        ]
    return page_parts(result, *parts)


def claims(result: Result) -> list[Claim]:
    found = by_line(result)
    score = {label: final(rows)[0] for label, rows in found.items()}
    si, none, ewc = (score.get(label) for label in ("SI c = 0.1", "SI c = 0", "EWC"))
    best, first = found.get("SI c = 0.1", []), None
    if best:
        first = after(best, -1, 0)[0]
    ordered = [score.get(f"SI c = {c:g}") for c in sorted(STRENGTHS)]
    in_order = None if None in ordered else all(a < b for a, b in pairwise(ordered))  # type: ignore[operator]
    plain = [score.get(label) for label in ("SGD", "SGD, dropout .5")]
    below = None if None in (*plain, si, ewc) else max(plain) < min(si, ewc) - 0.03  # type: ignore[operator, type-var]
    joint = score.get("all tasks at once")
    gap = "-" if joint is None or si is None else f"{joint - si:.3f}"
    if result["quick"]:
        holds = None if si is None or none is None else si > none + 0.05
        return [Claim("SI with c = .1 keeps clearly more than c = 0", f"{show(si)} against {show(none)}", holds)]
    return [
        Claim("SI, c = .1: .969 over ten tasks (at least .965)", show(si), at_least(si, 0.965)),
        Claim("SI, c = .1: .964 on task 1 (at least .955)", show(first), at_least(first, 0.955)),
        Claim("c = 0: .574 (between .45 and .68)", show(none), _both(at_least(none, 0.45), at_most(none, 0.68))),
        Claim("more is kept the larger c, from 0 to .1", ", ".join(map(show, ordered)), in_order),
        Claim("EWC: .95 to .97 (at least .94)", show(ewc), at_least(ewc, 0.94)),
        Claim("SGD and SGD with dropout lie well below both", ", ".join(map(show, plain)), below),
        Claim(
            "joint training on all tasks is the upper reference",
            f"{show(joint)}, {gap} above SI",
            None if joint is None or si is None else joint > si,
        ),
    ]


def _both(a: bool | None, b: bool | None) -> bool | None:
    return None if a is None or b is None else a and b


def picture(result: Result) -> Markup:
    """As figure 4: mean test accuracy over the tasks seen; on the right the upper part alone."""
    found = by_line(result)
    series = {
        label: [(i + 1.0, *seen(rows, i)) for i in range(len(rows[0]["R"]))]
        for label, rows in found.items()
        if label not in REFERENCES
    }
    levels = {f"{label} (training)": final(found[label], "R_train")[0] for label in REFERENCES if label in found}
    order = [*series, *levels]
    whole = lines(
        series,
        "Mean over the tasks seen",
        "tasks learned",
        "test accuracy",
        whole_x=True,
        references=levels,
        order=order,
        width=560,
        height=440,
    )
    zoom = lines(
        series,
        "The upper part",
        "tasks learned",
        "test accuracy",
        whole_x=True,
        references=levels,
        order=order,
        legend=False,
        y_range=(0.9, 1.0),
        width=420,
        height=440,
    )
    return grid([whole, zoom], str(result["title"]), columns=2)
