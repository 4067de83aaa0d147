"""The page of the search for a strength: scores on what was kept apart, and on the test set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from seamwise.experiments.groups import Spread
from seamwise.experiments.paper.catalogue import find_figure
from seamwise.experiments.paper.rows import Claim, Result, Row, by_line, claims_table, final, page_parts, short
from seamwise.experiments.tables import markdown_table
from seamwise.figures.lines import lines
from seamwise.figures.markup import Markup

NAMES = {"c": "SI", "strength": "EWC"}


def grids(result: Result) -> dict[str, dict[float, list[Row]]]:
    """Runs by method and strength."""
    found: dict[str, dict[float, list[Row]]] = {}
    for rows in by_line(result).values():
        parameters = rows[0]["parameters"]
        key = "c" if "c" in parameters else "strength"
        found.setdefault(NAMES[key], {})[float(parameters[key])] = rows
    return {name: dict(sorted(grid.items())) for name, grid in found.items()}


def chosen(grid: Mapping[float, list[Row]], side: str) -> float:
    """The strength with the best mean final accuracy on a side."""
    return max(grid, key=lambda strength: final(grid[strength], side)[0] or 0.0)


def markdown(result: Result) -> list[str]:
    parts = []
    for name, grid in grids(result).items():
        best, ideal = chosen(grid, "R_held_out"), chosen(grid, "R")
        table = [
            [f"{strength:g}", short(final(rows, "R_held_out")), short(final(rows))] for strength, rows in grid.items()
        ]
        distance = _difference(final(grid[ideal]), final(grid[best]))
        edge = " It lies at the edge of the grid." if best in (min(grid), max(grid)) else ""
        parts += [
            f"### {name}",
            markdown_table(["strength", "held out", "test"], table),
            f"Chosen on what was held out: {best:g}.{edge} Choosing on the test set would have taken {ideal:g}; the "
            f"distance in test accuracy is {distance:.4f}.",
        ]
    return page_parts(
        result,
        "Mean accuracy over all tasks after the last. Training pictures that no run learned from decide; the test set "
        "is shown beside.",
        claims_table(claims(result)),
        *parts,
    )


def _difference(a: Spread, b: Spread) -> float:
    return (a[0] or 0.0) - (b[0] or 0.0)


def _declared(result: Result) -> Counter[str]:
    """How many strengths the whole grid of each method has."""
    lines = find_figure(result["name"], quick=result["quick"]).lines
    return Counter(NAMES["c" if "c" in line.parameters else "strength"] for line in lines)


def claims(result: Result) -> list[Claim]:
    listed = []
    for name, grid in grids(result).items():
        if len(grid) < 2:
            continue
        whole = len(grid) == _declared(result)[name]
        best, ideal = chosen(grid, "R_held_out"), chosen(grid, "R")
        distance = _difference(final(grid[ideal]), final(grid[best]))
        text = f"{name}: choosing on held-out data costs at most .01 of test accuracy"
        listed.append(
            Claim(text, f"{best:g} instead of {ideal:g}: {distance:.4f}", distance <= 0.01 if whole else None)
        )
    return listed


def picture(result: Result) -> Markup:
    series = {
        f"{name}, {title}": [(strength, *final(rows, side)) for strength, rows in grid.items()]
        for name, grid in grids(result).items()
        for title, side in (("held out", "R_held_out"), ("test", "R"))
    }
    return lines(series, str(result["title"]), "strength", "accuracy over all tasks", log_x=True)
