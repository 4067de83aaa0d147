"""The page of the search for the scenarios' strengths."""

from __future__ import annotations

from seamwise.experiments.paper.rows import Claim, Result, Row, by_line, final, page_parts, short
from seamwise.experiments.paper.scenarios import CHOSEN, SCENARIOS
from seamwise.experiments.paper.scenarios_search import GRIDS
from seamwise.experiments.tables import markdown_table
from seamwise.figures.grid import grid
from seamwise.figures.lines import lines
from seamwise.figures.markup import Markup


def _varied(strategy: str) -> str:
    """The parameter that the strategy's grid goes through."""
    return "c" if "c" in GRIDS[strategy][0] else "strength"


def _rows(result: Result, scenario: str, strategy: str) -> list[list[Row]]:
    found = by_line(result)
    return [rows for label, rows in found.items() if label.startswith(f"{scenario}: {strategy} ")]


def markdown(result: Result) -> list[str]:
    table = []
    for scenario in SCENARIOS:
        for strategy in GRIDS:
            for rows in _rows(result, scenario, strategy):
                chosen, name = CHOSEN[strategy].get(scenario, {}), _varied(strategy)
                mark = "chosen" if name in chosen and rows[0]["parameters"][name] == chosen[name] else ""
                label = rows[0]["line"].partition(f"{strategy} ")[2]
                table.append([f"{SCENARIOS[scenario]}, {strategy}", label, short(final(rows, "R_held_out")), mark])
    return page_parts(
        result,
        f"Mean accuracy over the five tasks after the fifth on {result['setting']['held_out']} training pictures kept "
        "apart, mean ± standard deviation over runs (one run: none).",
        markdown_table(["strategy", "parameters", "held out", ""], table),
    )


def claims(result: Result) -> list[Claim]:
    """A search claims nothing but that what it chose is the best it saw."""
    listed = []
    for scenario in SCENARIOS:
        for strategy in GRIDS:
            runs = _rows(result, scenario, strategy)
            chosen, name = CHOSEN[strategy].get(scenario, {}), _varied(strategy)
            # strengths of the published table lie beside the grid: they were not chosen here
            if result["quick"] or chosen.get(name) not in [rows[0]["parameters"][name] for rows in runs]:
                continue
            if len(runs) < len(GRIDS[strategy]):
                listed.append(Claim(f"{SCENARIOS[scenario]}, {strategy}: chosen as the best", str(chosen), None))
                continue
            best = max(runs, key=lambda rows: final(rows, "R_held_out")[0] or 0.0)[0]["parameters"]
            holds = best[name] == chosen[name]
            listed.append(Claim(f"{SCENARIOS[scenario]}, {strategy}: chosen as the best", str(chosen), holds))
    return listed


def picture(result: Result) -> Markup:
    charts = []
    for scenario, title in SCENARIOS.items():
        series = {}
        for strategy in GRIDS:
            name = _varied(strategy)
            points = sorted(
                (float(rows[0]["parameters"][name]), *final(rows, "R_held_out"))
                for rows in _rows(result, scenario, strategy)
            )
            if points:
                series[strategy] = points
        charts.append(lines(series, title, "strength", "accuracy, held out", log_x=True, width=420, height=320))
    return grid(charts, str(result["title"]), columns=3)
