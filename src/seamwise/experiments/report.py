"""The report of a comparison: one HTML page from the result document, in English or Chinese."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seamwise.errors import UsageError
from seamwise.experiments.groups import Group, Run, Spread, gather, known, spread
from seamwise.experiments.words import SCORES, WORDS
from seamwise.figures.heatmap import heat_map
from seamwise.figures.lines import Point, lines
from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.page import (
    Section,
    code,
    definitions,
    figure,
    figures,
    gallery,
    note,
    page,
    paragraph,
    strong,
    swatches,
    table,
)
from seamwise.figures.palette import class_colour, css
from seamwise.figures.scatter import scatter
from seamwise.figures.svg import legend_entries
from seamwise.figures.typeset import MISSING, number

# Scores of a domain that say nothing new in a table of their own: counts, settings, lists by class, near twins.
HIDDEN = {
    "images",
    "defects",
    "iou_per_class",
    "dice_per_class",
    "recall_per_class",
    "recall_by_size",
    "false_calls_per_class",
    "mean_dice",
    "mean_defect_class_iou",
    "defect_iou",
    "pixel_accuracy",
    "named_recall",
    "far",
    "overlap",
}

Words = Mapping[str, str]
Overlays = Mapping[str, Mapping[str, Sequence[tuple[str, bytes]]]]


def report(result: Mapping[str, Any], language: str = "en", overlays: Overlays | None = None) -> str:
    """The whole report as one self-contained HTML file.

    result: the document of a comparison: name, domains (names in order), runs (strategy, seed, R, parameters, ...),
    command, versions; all but domains and R may be missing. overlays: {strategy: {image: [(label, PNG file), ...]}}.
    Raises UsageError for an unknown language, BadInputError where an R matrix does not fit the domains.
    """
    if language not in WORDS:
        raise UsageError(f"no report in language {language!r}: choose one of {', '.join(WORDS)}")
    words = WORDS[language]
    domains = [str(name) for name in result.get("domains") or ()]
    groups = gather(result)
    title = words["title"].format(name=result.get("name") or MISSING)
    sections: list[Section] = []
    if groups:
        sections += _results(words, SCORES[language], result, domains, groups)
    else:
        sections.append(Section(words["summary"], note(paragraph(words["no_runs"]))))
    if overlays:
        sections.append(Section(words["overlays"], _overlays(words, result, overlays)))
    sections.append(Section(words["parameters"], _parameters(words, groups)))
    if groups:
        sections.append(Section(words["runs"], _runs(words, groups)))
    sections.append(Section(words["setting"], _setting(words, result, groups)))
    order = (" → " if language == "en" else "→").join(domains) or MISSING
    lead = words["lead"].format(order=order, strategies=", ".join(group.label for group in groups) or MISSING)
    return page(title, sections, language, lead)


def _results(
    words: Words, named: Words, result: Mapping[str, Any], domains: list[str], groups: list[Group]
) -> list[Section]:
    metric = str(result.get("metric") or "score")
    metric = named.get(metric, metric)
    parts = [Section(words["summary"], _summary(words, groups))]
    if len(domains) > 1:
        parts.append(Section(words["over_time"], _over_time(words, domains, groups, metric)))
        parts.append(Section(words["trade_off"], _trade_off(words, groups, metric)))
    parts.append(Section(words["matrices"], _matrices(words, domains, groups)))
    extra = _more_scores(words, named, domains, groups)
    return [*parts, Section(words["more_scores"], extra)] if extra else parts


def plus_minus(value: Spread, form: str = ".3f", scale: float = 1.0, unit: str = "") -> str:
    """A mean with its standard deviation as text: 0.713 ± 0.012."""
    mean, deviation = value
    if mean is None:
        return MISSING
    shown = number(mean * scale, form)
    if deviation is not None:
        shown += f" ± {number(deviation * scale, form)}"
    return f"{shown} {unit}".rstrip()


def seconds(value: Spread) -> str:
    """A time in the unit that suits its mean."""
    mean = abs(value[0] or 0.0)
    size, unit = (1.0, "s") if mean < 600 else (60.0, "min") if mean < 36_000 else (3600.0, "h")
    return plus_minus(value, ".1f" if mean / size < 100 else ".0f", 1 / size, unit)


def megabytes(value: Spread) -> str:
    """An amount of memory in MB, from 10,000 MB in GB."""
    large = (value[0] or 0.0) >= 10_000
    return plus_minus(value, ".1f" if large else ".0f", 1e-3 if large else 1.0, "GB" if large else "MB")


def _summary(words: Words, groups: list[Group]) -> Markup:
    shown: list[tuple[str, str, Callable[[Spread], str], int]] = [
        (words["final_average"], "average", plus_minus, 1),
        (words["forgetting"], "forgetting", plus_minus, -1),
        (words["newest"], "newest", plus_minus, 1),
        (words["time"], "seconds", seconds, 0),
        (words["memory"], "peak_memory_mb", megabytes, 0),
    ]
    columns = []
    for heading, name, write, better in shown:
        spreads = [group.spread(name) for group in groups]
        if all(mean is None for mean, _ in spreads):
            continue
        # Joint and separate training are upper references, not competitors.
        rivals = [mean for (mean, _), group in zip(spreads, groups, strict=True) if group.whole and mean is not None]
        best = max(rivals, key=lambda mean: better * mean) if better and len(rivals) > 1 else None
        cells = [
            strong(write(value)) if best is not None and group.whole and value[0] == best else write(value)
            for value, group in zip(spreads, groups, strict=True)
        ]
        columns.append((heading, cells))
    headers = [words["strategy"], words["seeds"], *(heading for heading, _ in columns)]
    rows = [[group.label, len(group.runs), *(cells[k] for _, cells in columns)] for k, group in enumerate(groups)]
    parts: list[Markup] = [table(headers, rows, words["summary_caption"]), note(paragraph(words["what_forgetting"]))]
    references = [group.label for group in groups if not group.whole]
    if references:
        parts.append(paragraph(words["references"].format(names=", ".join(references))))
    return join(parts)


def _over_time(words: Words, domains: list[str], groups: list[Group], metric: str) -> Markup:
    labels = [group.label for group in groups]
    ends = [
        mean + sign * (deviation or 0.0)
        for group in groups
        for i in range(len(group.runs[0].R))
        for j in range(len(domains))
        for mean, deviation in [group.score(i, j)]
        if mean is not None
        for sign in (-1, 1)
    ]
    span = (min(0.0, *ends), max(1.0, *ends)) if ends and max(ends) > 0.5 else (min([0.0, *ends]), None)
    charts = []
    for column, domain in enumerate(domains):
        series: dict[str, list[Point]] = {}
        levels: dict[str, float | None] = {}
        for group in groups:
            if group.whole:
                series[group.label] = [(row + 1, *group.score(row, column)) for row in range(len(domains))]
            else:
                levels[group.label] = group.score(0, column)[0]
        chart = lines(
            series,
            f"{column + 1} · {domain}",
            words["after"],
            metric,
            legend=False,
            y_range=span,
            whole_x=True,
            mark_x=column + 1,
            references=levels,
            order=labels,
            width=380,
            height=270,
        )
        charts.append(chart)
    return figures(charts, words["over_time_caption"], legend_entries(labels))


def _trade_off(words: Words, groups: list[Group], metric: str) -> Markup:
    points = {}
    for group in groups:
        old, new = spread(run.old() for run in group.runs), spread(run.new() for run in group.runs)
        points[group.label] = [(old[0], new[0], old[1], new[1])]
    return figure(scatter(points, metric, words["old"], words["new"]), words["trade_off_caption"])


def _matrices(words: Words, domains: list[str], groups: list[Group]) -> Markup:
    values = [v for group in groups for row in group.mean_matrix() for v in row if v is not None]
    low, high = min([0.0, *values]), max([1.0, *values])
    numbers = [str(place) for place in range(1, len(domains) + 1)]
    names = [f"{place} · {domain}" for place, domain in enumerate(domains, 1)]
    charts = [
        heat_map(
            group.mean_matrix(),
            names if group.whole else [words["end"]],
            numbers,
            group.label,
            low,
            high,
            row_label=words["row"] if group.whole and len(domains) > 1 else "",
            column_label=words["column"],
            diagonal=group.whole,
            key=group.whole,
        )
        for group in groups
    ]
    return join([note(paragraph(words["how_to_read"])), figures(charts, column_rem=26)])


def _more_scores(words: Words, named: Words, domains: list[str], groups: list[Group]) -> Markup:
    """One table for every further score: a row a strategy, a column a domain."""
    measured = [name for group in groups for run in group.runs for name in _scores(run, domains)]
    names = [name for name in dict.fromkeys(measured) if name not in HIDDEN]
    parts = []
    for name in names:
        rows = []
        for group in groups:
            found = [_scores(run, domains).get(name) for run in group.runs]
            if any(found):
                spreads = [spread(row[j] for row in found if row is not None) for j in range(len(domains))]
                means = [spread(row)[0] for row in found if row is not None]
                rows.append([group.label, *(plus_minus(s) for s in spreads), plus_minus(spread(means))])
        parts += [tag("h3", named.get(name, name)), table([words["strategy"], *domains, words["mean"]], rows)]
    return join(parts)


def _scores(run: Run, domains: list[str]) -> dict[str, list[float | None]]:
    """A run's further scores as {score: one value a domain}, however they were nested: by score or by domain."""
    found: dict[str, list[float | None]] = {}
    for key, value in (run.facts.get("scores") or {}).items():
        if isinstance(value, list):
            found[str(key)] = [known(v) for v in value[: len(domains)]] + [None] * (len(domains) - len(value))
        elif isinstance(value, dict) and key in domains:
            for name, inner in value.items():
                found.setdefault(str(name), [None] * len(domains))[domains.index(key)] = known(inner)
        elif isinstance(value, dict):
            found[str(key)] = [known(value.get(domain)) for domain in domains]
    return found


def _overlays(words: Words, result: Mapping[str, Any], overlays: Overlays) -> Markup:
    classes = [str(name) for name in result.get("classes") or ()]
    parts = [paragraph(words["overlays_caption"])]
    if len(classes) > 1:
        parts.append(swatches({name: css(class_colour(k)) for k, name in enumerate(classes) if k}))
    for strategy, pictures in overlays.items():
        parts += [tag("h3", strategy), gallery(pictures, words["image"])]
    return join(parts)


def _parameters(words: Words, groups: list[Group]) -> Markup:
    settings = [{key: _plain(value) for key, value in group.settings.items()} for group in groups]
    shared = {
        key: value
        for key, value in (settings[0] if settings else {}).items()
        if all(s.get(key) == value for s in settings)
    }
    rows = []
    for group, mine in zip(groups, settings, strict=True):
        own = [f"{key} = {value}" for key, value in mine.items() if key not in shared]
        if own:
            rows.append([group.label, ", ".join(own)])
    parts = []
    if shared:
        parts += [tag("h3", words["shared"]), definitions(shared)]
    if rows:
        parts += [tag("h3", words["own"]), table([words["strategy"], words["parameters"]], rows, text_columns=(0, 1))]
    return join(parts) or paragraph(words["no_parameters"])


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _runs(words: Words, groups: list[Group]) -> Markup:
    names = ("average", "forgetting", "backward_transfer", "newest")
    keys = ("final_average", "forgetting", "backward_transfer", "newest", "time", "memory")
    rows = []
    for group in groups:
        for run in group.runs:
            own = [number(run.figure(name)) for name in names]
            time, memory = (known(run.facts.get(name)) for name in ("seconds", "peak_memory_mb"))
            seed = run.facts.get("seed", MISSING)
            rows.append([group.label, seed, *own, seconds((time, None)), megabytes((memory, None))])
    return table([words["strategy"], words["seed"], *(words[key] for key in keys)], rows)


def _setting(words: Words, result: Mapping[str, Any], groups: list[Group]) -> Markup:
    parts: list[Markup] = []
    if result.get("command"):
        parts += [tag("h3", words["command"]), code(str(result["command"]))]
    times = [time for group in groups for run in group.runs if (time := known(run.facts.get("seconds"))) is not None]
    facts = {
        words["created"]: result.get("created"),
        words["metric"]: result.get("metric"),
        words["total_time"]: seconds((sum(times), None)) if times else None,
    }
    facts = {key: value for key, value in facts.items() if value}
    if facts:
        parts.append(definitions(facts))
    for key in ("versions", "machine"):
        value = result.get(key)
        if value:
            inner = value if isinstance(value, Mapping) else {words[key]: value}
            parts += [tag("h3", words[key]), definitions({str(k): _plain(v) for k, v in inner.items()})]
    return join(parts)
