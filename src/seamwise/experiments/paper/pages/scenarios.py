"""The page of the three scenarios of split MNIST."""

from __future__ import annotations

from seamwise.experiments.groups import Spread
from seamwise.experiments.paper.rows import Claim, Result, Row, by_line, claims_table, final, page_parts, short, show
from seamwise.experiments.paper.scenarios import CHOSEN, PUBLISHED, SCENARIOS
from seamwise.experiments.tables import markdown_table
from seamwise.figures.bars import bars
from seamwise.figures.markup import Markup

REACH = 0.02


def _rows(result: Result, strategy: str, scenario: str) -> list[Row]:
    return by_line(result).get(f"{SCENARIOS[scenario]}: {strategy}", [])


def markdown(result: Result) -> list[str]:
    table = []
    for strategy in CHOSEN:
        cells, runs = [strategy], []
        for place, scenario in enumerate(SCENARIOS):
            rows = _rows(result, strategy, scenario)
            runs.append(len(rows))
            published = f"{PUBLISHED[strategy][place]:.3f}" if strategy in PUBLISHED else "-"
            cells += [short(final(rows)), published]
        table.append([*cells, str(runs[0]) if len(set(runs)) == 1 else ", ".join(map(str, runs))])
    headers = ["strategy"]
    for name in SCENARIOS.values():
        headers += [name, "published"]
    return page_parts(
        result,
        "Mean test accuracy over the five tasks after the fifth, mean ± standard deviation over runs; published: Hsu "
        "et al. 2018, ten runs. Strengths are theirs; LwF's and LFL's were chosen by `reproduce scenarios-search`, "
        "which also shows what other strengths of EWC and SI would keep.",
        markdown_table([*headers, "runs"], table),
        claims_table(claims(result)),
    )


def claims(result: Result) -> list[Claim]:
    def score(strategy: str, scenario: str) -> float | None:
        return final(_rows(result, strategy, scenario))[0]

    listed = []
    for scenario, weaker, stronger in (
        ("task", "finetuning", "si"),
        ("task", "finetuning", "lwf"),
        ("domain", "finetuning", "replay"),
        ("class", "finetuning", "replay"),
        ("class", "replay", "joint"),
    ):
        low, high = score(weaker, scenario), score(stronger, scenario)
        holds = None if low is None or high is None else high > low
        listed.append(
            Claim(
                f"{SCENARIOS[scenario]}: {stronger} keeps more than {weaker}",
                f"{show(high)} against {show(low)}",
                holds,
            )
        )
    if result["quick"]:
        return listed
    for place, scenario in enumerate(SCENARIOS):
        for strategy, published in PUBLISHED.items():
            ours = final(_rows(result, strategy, scenario))
            listed.append(_beside(strategy, SCENARIOS[scenario], ours, published[place]))
    return listed


def _beside(strategy: str, scenario: str, ours: Spread, published: float) -> Claim:
    """Hsu et al. print no spread, so the reach is one for all."""
    text = f"{scenario}, {strategy}: {published:.3f} (within {REACH:g})"
    if ours[0] is None:
        return Claim(text, "-", None)
    off = ours[0] - published
    return Claim(text, f"{short(ours)}, {off:+.3f}", abs(off) <= REACH)


def picture(result: Result) -> Markup:
    series = {
        name: [final(_rows(result, strategy, scenario)) for strategy in CHOSEN] for scenario, name in SCENARIOS.items()
    }
    return bars(
        list(CHOSEN),
        series,
        str(result["title"]),
        "test accuracy after the fifth task",
        y_range=(0.0, 1.0),
        width=900,
        height=380,
    )
