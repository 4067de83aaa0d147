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


def markdown(result: Result) -> list[str]:
    found = matrices(result)
    summary = [[line, layer, f"{off_diagonal(matrix):.4f}"] for (line, layer), matrix in found.items()]
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
        markdown_table(["line", "layer", "mean off the diagonal"], summary),
        claims_table(claims(result)),
        *parts,
    )


def claims(result: Result) -> list[Claim]:
    found = {key: off_diagonal(matrix) for key, matrix in matrices(result).items()}
    first = [found.get((line, LAYERS[0])) for line in LINES]
    free, held = (found.get((line, LAYERS[1])) for line in LINES)
    near_zero = None if None in first else all(abs(value) < 0.05 for value in first if value is not None)
    larger = None if free is None or held is None else free > 2 * held
    told = [", ".join("-" if value is None else f"{value:.4f}" for value in pair) for pair in (first, (free, held))]
    return [
        Claim("the first hidden layer's importances hardly correlate across tasks (below .05)", told[0], near_zero),
        Claim("the second's do with c = 0, and clearly less (under a half) with c = .1", told[1], larger),
    ]


def picture(result: Result) -> Markup:
    charts = []
    for (line, layer), matrix in matrices(result).items():
        names = [str(i + 1) for i in range(len(matrix))]
        charts.append(heat_map(matrix, names, names, f"{line}, {layer}", 0.0, 1.0))
    return grid(charts, "Correlation of importances across tasks", columns=2)
