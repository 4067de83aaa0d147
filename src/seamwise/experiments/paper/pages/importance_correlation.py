"""The page of figure 5: how importances correlate across tasks."""

from __future__ import annotations

from collections.abc import Sequence

from seamwise.experiments.paper.rows import Claim, Result, by_line, claims_table, mean, page_parts
from seamwise.experiments.tables import markdown_table
from seamwise.figures.grid import grid
from seamwise.figures.heatmap import heat_map
from seamwise.figures.markup import Markup

Correlation = Sequence[Sequence[float]]
LAYERS = ("first hidden layer", "second hidden layer")
LINES = ("SI c = 0", "SI c = 0.1")
LATE = 5  # the last tasks, whose pairs are told beside all pairs


def matrices(result: Result) -> dict[tuple[str, str], Correlation]:
    """The four matrices by line and layer, of the first run of each line."""
    found = by_line(result)
    return {
        (line, layer): found[line][0]["correlations"][i]
        for line in LINES
        if line in found
        for i, layer in enumerate(LAYERS)
    }


def off_diagonal(matrix: Correlation) -> float:
    """Mean of all entries but the diagonal's."""
    return mean([value for i, row in enumerate(matrix) for j, value in enumerate(row) if i != j])


def late(matrix: Correlation) -> float:
    """Mean of the entries of the last tasks' pairs."""
    return off_diagonal([row[-LATE:] for row in matrix[-LATE:]])


def neighbours(matrix: Correlation) -> list[float]:
    """Correlation of each task with the next."""
    return [row[i + 1] for i, row in enumerate(matrix[:-1])]


def markdown(result: Result) -> list[str]:
    found = matrices(result)
    summary = [
        [line, layer, f"{off_diagonal(matrix):.4f}", f"{late(matrix):.4f}", _ends(neighbours(matrix), 4)]
        for (line, layer), matrix in found.items()
    ]
    parts = []
    for (line, layer), matrix in found.items():
        names = [str(i + 1) for i in range(len(matrix))]
        table = markdown_table(
            ["task", *names], [[name, *(f"{v:.3f}" for v in row)] for name, row in zip(names, matrix, strict=True)]
        )
        parts += [f"### {line}, {layer}", table]
    return page_parts(
        result,
        "Pearson's correlation over a layer's weights of the path integral w of one task with that of another, from "
        "the runs of `permuted-mnist`.",
        markdown_table(
            ["line", "layer", "mean off the diagonal", f"of the last {LATE} tasks", "second task with third, last two"],
            summary,
        ),
        claims_table(claims(result)),
        *parts,
    )


def claims(result: Result) -> list[Claim]:
    found = matrices(result)
    first, second = ([found.get((line, layer)) for line in LINES] for layer in LAYERS)
    near_zero = larger = grows = None
    if first[0] is not None and first[1] is not None:
        near_zero = all(abs(off_diagonal(matrix)) < 0.05 for matrix in first if matrix is not None)
    if second[0] is not None and second[1] is not None:
        larger = off_diagonal(second[0]) > 2 * off_diagonal(second[1])
        free, held = (_rise(neighbours(matrix)) for matrix in second if matrix is not None)
        grows = free > 0.1 > held
    return [
        Claim(
            "the first hidden layer's importances hardly correlate across tasks (below .05)",
            ", ".join("-" if matrix is None else f"{off_diagonal(matrix):.4f}" for matrix in first),
            near_zero,
        ),
        Claim(
            "the second's do with c = 0, and clearly less (under a half) with c = .1",
            ", ".join("-" if matrix is None else f"{off_diagonal(matrix):.4f}" for matrix in second),
            larger,
        ),
        Claim(
            "neighbouring tasks' correlate more and more there with c = 0 (second with third task, last two: a rise "
            "above .1), not with c = .1",
            ", ".join("-" if matrix is None else _ends(neighbours(matrix), 3) for matrix in second),
            grows,
        ),
    ]


def _rise(pairs: Sequence[float]) -> float:
    """From the second task on: the first is the only one learned from freshly drawn weights."""
    return pairs[-1] - pairs[1]


def _ends(pairs: Sequence[float], digits: int) -> str:
    return f"{pairs[1]:.{digits}f} to {pairs[-1]:.{digits}f}"


def picture(result: Result) -> Markup:
    charts = []
    for (line, layer), matrix in matrices(result).items():
        names = [str(i + 1) for i in range(len(matrix))]
        charts.append(heat_map(matrix, names, names, f"{line}, {layer}", 0.0, 1.0))
    return grid(charts, "Correlation of importances across tasks", columns=2)
