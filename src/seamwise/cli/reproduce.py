"""`seamwise reproduce`: the paper, figure by figure."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from seamwise.cli.compare import show_updates
from seamwise.cli.console import Bars, command_line, say, stage, table, write_json
from seamwise.cli.options import Device, DeviceOption, OtherMachineOption, device_of
from seamwise.cli.plain_options import JsonOption
from seamwise.errors import BadInputError, NotFoundError, RefusedError, UsageError
from seamwise.experiments.comparison import ComparisonFailedError, compare, versions
from seamwise.experiments.paper.book import CHAPTERS, Chapter, find_chapter
from seamwise.experiments.paper.catalogue import QUICK, find_figure
from seamwise.experiments.paper.making import DAMAGED, in_turns, results_of, trials_of, write_chapter, write_paper
from seamwise.experiments.paper.rows import Claim
from seamwise.files import atomic_write, check_folder, check_writable


def reproduce(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(CHAPTERS)}; or all.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with the data sets (default: a cache that is filled at need).")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each line (default: as the paper).")] = None,
    line: Annotated[
        list[str] | None, typer.Option("--line", help="Only this line of the figure, as in 'SI c = 0.1' (repeatable).")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side, one CPU thread each.")] = os.cpu_count() or 1,
    quick: Annotated[bool, typer.Option("--quick", help="A reduced run on a small stand-in, about a minute.")] = False,
    results: Annotated[
        Path | None, typer.Option(help="Folder of the results (default: docs/results; quick: runs/reproduce/quick).")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder of checkpoints.")] = Path("runs/reproduce"),
    device: DeviceOption = Device.auto,
    other_machine: OtherMachineOption = False,
    json_file: JsonOption = None,
) -> None:
    """Reproduce an experiment of the Synaptic Intelligence paper (Zenke, Poole, Ganguli 2017).

    Writes NAME.json, NAME.md and NAME.svg. Finished runs are kept: the same command goes on where it was stopped.
    """
    folder = results or (work / "quick" if quick else Path("docs/results"))
    work = work / "quick" if quick else work
    if line and name in CHAPTERS and CHAPTERS[name].kind != "trained":
        raise UsageError(f"{name} has no lines to choose from; leave out --line")
    if seeds and name in CHAPTERS and CHAPTERS[name].kind != "trained":
        raise UsageError(f"{name} is not run for several seeds; leave out --seeds")
    if name == "all" and line:
        raise UsageError("--line chooses lines of one figure; name the figure instead of all")
    for place in (folder, work):
        check_folder(place)
    if json_file not in (None, "-"):
        check_writable(Path(json_file).parent)
    for each in CHAPTERS:
        _check_form(folder / f"{each}.json", quick)
    names = (
        [n for n in CHAPTERS if not quick or n in QUICK or CHAPTERS[n].kind != "trained"] if name == "all" else [name]
    )
    where, made, failures = device_of(device), {}, []
    for each in names:
        chapter, path = find_chapter(each), folder / f"{each}.json"
        if chapter.kind == "trained":
            result, failed = _train(each, path, data, where, quick, seeds, line or [], jobs, work, other_machine)
            failures += failed
            if not result["runs"]:
                continue
        elif chapter.kind == "computed":
            result = _compute(each, chapter, path, quick, data)
        else:
            result = _derive(each, chapter, path, folder, quick)
        write_chapter(path, chapter, result)
        claims = chapter.claims(result)
        _show(chapter.title, claims, path, json_file)
        made[each] = {**result, "claims": [asdict(claim) for claim in claims]}
    write_paper(folder / "paper.md", _known(folder, quick), CHAPTERS)
    say(f"claim by claim: {folder / 'paper.md'}")
    write_json(json_file, made if name == "all" else made.get(name, {}))
    if failures:
        raise ComparisonFailedError(failures)


def _known(folder: Path, quick: bool) -> dict[str, Any]:
    """What lies in the folder, made just now or before; other processes may have added to it."""
    known = {}
    for name in CHAPTERS:
        path = folder / f"{name}.json"
        if path.exists():
            with suppress(ValueError, RecursionError, OSError):  # told of when the file's own figure is asked for
                found = json.loads(path.read_text(encoding="utf-8"))
                if isinstance(found, dict) and found.get("quick", False) == quick:
                    known[name] = found
    return known


def _train(
    name: str,
    path: Path,
    data: Path | None,
    device: str,
    quick: bool,
    seeds: int | None,
    labels: list[str],
    jobs: int,
    work: Path,
    other_machine: bool,
) -> tuple[Mapping[str, Any], list[tuple[str, int]]]:
    """Runs what the results file does not hold yet; its content then, and what failed."""
    if quick and name not in QUICK:
        raise UsageError(f"{name} has no reduced form; leave out --quick")
    figure = find_figure(name, quick=quick)
    with Bars() as bars:
        trials = trials_of(figure, data, device, seeds, labels, lambda file, done, whole: bars.show(file, done / whole))
    found = results_of(path, figure, command_line(), trials)
    say(f"{name}: {len(trials)} runs, {sum(found.has(trial) for trial in trials)} of them done before")
    failures: list[tuple[str, int]] = []
    for turn in in_turns(figure, trials):
        with closing(compare(turn, found, work / name, jobs, allow_other_machine=other_machine, reuse=True)) as updates:
            try:
                show_updates(updates)
            except ComparisonFailedError as error:
                failures += error.failures
    return found.content() if found.runs else {"runs": []}, failures


def _compute(name: str, chapter: Chapter, path: Path, quick: bool, data: Path | None) -> Mapping[str, Any]:
    assert chapter.compute is not None
    check_writable(path.parent)
    content: dict[str, Any] = {}
    with Bars() as bars:
        for told in chapter.compute(0, quick, data):
            if isinstance(told, tuple):
                bars.show(name, *told)
            else:
                content = told
        bars.done(name)
    head = {"name": name, "title": chapter.title, "command": command_line(), "versions": versions(), "quick": quick}
    result = {**head, **content}
    atomic_write(path, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    return result


def _derive(name: str, chapter: Chapter, path: Path, folder: Path, quick: bool) -> Mapping[str, Any]:
    """From another figure's runs; the results file holds those runs that were used."""
    source, asked = folder / f"{chapter.source}.json", f"seamwise reproduce {chapter.source}" + " --quick" * quick
    if not source.exists():
        raise NotFoundError(
            f"{name} is read off the runs of {chapter.source}, and {source} is not there: run `{asked}`"
        )
    try:
        found = json.loads(source.read_text(encoding="utf-8"))
        runs = [row for row in found["runs"] if "correlations" in row]
        result = {**found, "name": name, "title": chapter.title, "command": command_line(), "runs": runs}
        if runs:
            chapter.parts(result)
    except (*DAMAGED, RecursionError) as error:
        raise BadInputError(f"{source}: not a results file ({error!r}); make it anew") from error
    if not runs:
        raise NotFoundError(f"{source} holds no run with correlations yet: let `{asked}` go on")
    atomic_write(path, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    return result


def _check_form(path: Path, quick: bool) -> None:
    """Refuses to write a reduced result over a full one, or the other way round."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("quick", quick) != quick:
            forms = ("the reduced form", "the full form")
            raise RefusedError(
                f"{path} holds {forms[quick]}, this is {forms[not quick]}: choose another folder with --results"
            )


def _show(title: str, claims: list[Claim], path: Path, json_file: str | None) -> None:
    file = stage(json_file)
    print(title, file=file)
    table(["claim", "ours", "holds"], [[c.text, c.ours, c.verdict.strip("*")] for c in claims], file)
    say(f"{path}, {path.with_suffix('.md')}, {path.with_suffix('.svg')}")
