"""From a figure's name to its results file, its page and its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seamwise.continual.catalogue import nearest
from seamwise.errors import BadInputError, RefusedError, UsageError
from seamwise.experiments.comparison import ResultsFile
from seamwise.experiments.paper.book import Chapter
from seamwise.experiments.paper.figure import Figure, plain
from seamwise.experiments.paper.rows import claims_table
from seamwise.experiments.paper.trials import Trial, sets_of
from seamwise.experiments.sets import open_set
from seamwise.experiments.sets.fetch import Progress
from seamwise.experiments.tables import renew_page
from seamwise.files import atomic_write

# What reading values of the wrong kind can end in.
DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


def trials_of(
    figure: Figure,
    data: Path | None,
    device: str,
    seeds: int | None = None,
    labels: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Trial]:
    """All runs of a figure, seed by seed. seeds: instead of the figure's own number. labels: these lines only.
    progress: is told of downloads.
    """
    known = [line.label for line in figure.lines]
    for label in labels:
        if label not in known:
            raise UsageError(f"{figure.name} has no line {label!r}{nearest(label, known)}")
    lines = [line for line in figure.lines if not labels or line.label in labels]
    lines.sort(key=lambda line: line.label != figure.first)
    names = sorted({name for line in lines for name in sets_of(figure.setting_of(line))})
    digests = {name: open_set(name, data, progress).digest for name in names}
    return [
        Trial(figure, line, seed, data, {name: digests[name] for name in sets_of(figure.setting_of(line))}, device)
        for seed in range(seeds or figure.seeds)
        for line in lines
    ]


def results_of(path: Path, figure: Figure, command: str, trials: Sequence[Trial]) -> ResultsFile:
    """The results file of a figure, rows by its lines and seeds; refuses one that was made in another setting, with
    other data, or with other parameters of a line.
    """
    digests = {name: digest for trial in trials for name, digest in sorted(trial.digests.items())}
    common = {"title": figure.title, "quick": figure.quick, "setting": plain(figure.setting), "data": digests}
    places = {line.label: place for place, line in enumerate(figure.lines)}
    found = ResultsFile(
        path,
        figure.name,
        command,
        common,
        order=lambda row: (places.get(row.get("line", ""), len(places)), row["seed"]),
    )
    found.open()
    for row in found.runs:
        _check_row(path, figure, row)
    return found


def _check_row(path: Path, figure: Figure, row: Mapping[str, Any]) -> None:
    """Refuses a run of a line that the figure does not have, or has with other parameters."""
    label = row.get("line")
    line = next((line for line in figure.lines if line.label == label), None)
    if line is not None:
        declared = Trial(figure, line, row["seed"], None, {}).all_parameters
        if (row["strategy"], row.get("parameters")) == (line.strategy, declared):
            return
    how = "no such line" if line is None else "that line with other parameters"
    raise RefusedError(
        f"{path} holds a run of {label!r}, and {figure.name} has {how}: take those runs out of the file, or choose "
        "another folder with --results"
    )


def in_turns(figure: Figure, trials: Sequence[Trial]) -> list[list[Trial]]:
    """Which trials may run side by side; the figure's first line goes before those that take its first task over."""
    first = [trial for trial in trials if trial.line.label == figure.first]
    rest = [trial for trial in trials if trial.line.label != figure.first]
    return [turn for turn in (first, rest) if turn]


def write_chapter(path: Path, chapter: Chapter, result: Mapping[str, Any]) -> None:
    """The page and the picture beside the results file."""
    try:
        parts, picture = chapter.parts(result), chapter.picture(result)
    except DAMAGED as error:
        raise BadInputError(f"{path}: not this figure's results, or of another version ({error!r})") from error
    renew_page(path.with_suffix(".md"), f"{result['title']}", parts)
    atomic_write(path.with_suffix(".svg"), str(picture).encode())


def write_paper(path: Path, results: Mapping[str, Mapping[str, Any]], chapters: Mapping[str, Chapter]) -> None:
    """One page with every claim of the paper, ours beside it; what was not run is said to be missing."""
    parts = []
    for name, chapter in chapters.items():
        parts.append(f"## {chapter.title}")
        try:
            claims = chapter.claims(results[name]) if name in results else None
        except DAMAGED:
            parts.append(f"{name}.json is damaged or of another version: make it anew.")
            continue
        if claims is None:
            parts.append(f"Not run yet: `seamwise reproduce {name}`.")
        else:
            parts += [claims_table(claims), f"[{name}]({name}.md), ![{name}]({name}.svg)"]
    renew_page(path, "Continual Learning Through Synaptic Intelligence, claim by claim", parts)
