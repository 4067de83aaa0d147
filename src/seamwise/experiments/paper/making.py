"""From a figure's name to its results file, its page and its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seamwise.continual.catalogue import nearest
from seamwise.errors import BadInputError, UsageError
from seamwise.experiments.comparison import ResultsFile
from seamwise.experiments.paper.book import Chapter
from seamwise.experiments.paper.figure import Figure, plain
from seamwise.experiments.paper.rows import claims_table
from seamwise.experiments.paper.trials import Trial, sets_of
from seamwise.experiments.sets import open_set
from seamwise.experiments.sets.fetch import Progress
from seamwise.experiments.tables import renew_page
from seamwise.files import atomic_write


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
    most = max(seeds or line.seeds or figure.seeds for line in lines)
    return [
        Trial(figure, line, seed, data, {name: digests[name] for name in sets_of(figure.setting_of(line))}, device)
        for seed in range(most)
        for line in lines
        if seed < (seeds or line.seeds or figure.seeds)
    ]


def results_of(path: Path, figure: Figure, command: str, trials: Sequence[Trial]) -> ResultsFile:
    """The results file of a figure; refuses one that was made in another setting or with other data."""
    digests = {name: digest for trial in trials for name, digest in sorted(trial.digests.items())}
    common = {"title": figure.title, "quick": figure.quick, "setting": plain(figure.setting), "data": digests}
    found = ResultsFile(path, figure.name, command, common)
    found.open()
    return found


def in_turns(figure: Figure, trials: Sequence[Trial]) -> list[list[Trial]]:
    """Which trials may run side by side; the figure's first line goes before those that take its first task over."""
    first = [trial for trial in trials if trial.line.label == figure.first]
    rest = [trial for trial in trials if trial.line.label != figure.first]
    return [turn for turn in (first, rest) if turn]


def sort_rows(results: ResultsFile, figure: Figure) -> None:
    """Rows in the order of the figure's lines and seeds, whichever was finished first."""
    order = [line.label for line in figure.lines]
    results.runs.sort(key=lambda row: (order.index(row["line"]), row["seed"]))


def write_chapter(path: Path, chapter: Chapter, result: Mapping[str, Any]) -> None:
    """The page and the picture beside the results file."""
    try:
        parts, picture = chapter.parts(result), chapter.picture(result)
    except (KeyError, IndexError, TypeError, ValueError) as error:
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
        except (KeyError, IndexError, TypeError, ValueError):
            parts.append(f"{name}.json is damaged or of another version: make it anew.")
            continue
        if claims is None:
            parts.append(f"Not run yet: `seamwise reproduce {name}`.")
        else:
            parts += [claims_table(claims), f"[{name}]({name}.md), ![{name}]({name}.svg)"]
    renew_page(path, "Continual Learning Through Synaptic Intelligence, claim by claim", parts)
