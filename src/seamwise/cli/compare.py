"""`seamwise compare`: several strategies and seeds over one stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from seamwise.cli.console import Bars, command_line, say, variant, write_json
from seamwise.cli.options import (
    CheckpointOption,
    ClassesOption,
    DataOption,
    Device,
    DeviceOption,
    OtherMachineOption,
    Split,
    StreamArgument,
    describe,
    device_of,
    parameters_of,
    recipe_of,
    stream_of,
)
from seamwise.cli.plain_options import JsonOption, SetOption
from seamwise.cli.results import show_results, write_report
from seamwise.errors import UsageError
from seamwise.experiments.comparison import ComparisonFailedError, ResultsFile, Update, common_of, folder_of
from seamwise.experiments.comparison import compare as run_all
from seamwise.experiments.overlays import overlays_of
from seamwise.experiments.runs import CHECKPOINT_EVERY_S, Run
from seamwise.experiments.tables import trade_off, write_markdown
from seamwise.files import atomic_write

DEFAULT = ("finetuning", "si", "ewc", "replay", "si+replay", "frozen", "separate", "joint")


def compare(
    stream: StreamArgument,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", "-s", help="A strategy, with parameters as in si:c=10,xi=0.001 (repeatable)."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... for each strategy.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side, one CPU thread each.")] = 2,
    results: Annotated[
        Path, typer.Option(help="Results file (JSON); finished runs in it are not run again. Tables go beside it.")
    ] = Path("runs/compare/results.json"),
    work: Annotated[Path, typer.Option(help="Folder of checkpoints and models.")] = Path("runs/compare"),
    split: Annotated[Split, typer.Option(help="Which pictures are scored; tune on val.")] = Split.test,
    classes: ClassesOption = None,
    data: DataOption = None,
    options: SetOption = None,
    device: DeviceOption = Device.auto,
    checkpoint_every: CheckpointOption = CHECKPOINT_EVERY_S,
    other_machine: OtherMachineOption = False,
    json_file: JsonOption = None,
) -> None:
    """Compare strategies over a stream, several seeds each, in parallel processes.

    Each finished run is one row of the results file. Give the same command again to go on after a stop.
    """
    file = stream_of(stream, classes, data)
    recipe, where = recipe_of(file, options), device_of(device)
    chosen = [variant(text) for text in (strategy or list(DEFAULT))]
    runs = [
        Run(file.stream, recipe, name, parameters_of(file, name, given), seed, where, split.value)
        for seed in range(seeds)
        for name, given in chosen
    ]
    if len({folder_of(run) for run in runs}) < len(runs):
        raise UsageError("the same strategy with the same parameters is given twice: leave one of them out")
    if results.suffix in (".md", ".svg"):
        raise UsageError(f"--results {results}: name it .json; the tables go to .md and .svg beside it")
    found = ResultsFile(results, file.stream.name, command_line(), common_of(runs[0]))
    found.open()
    say(f"{describe(file.stream)}; {len(runs)} runs, {sum(found.has(run) for run in runs)} of them done before")
    failure: ComparisonFailedError | None = None
    updates = run_all(runs, found, work, jobs, checkpoint_every_s=checkpoint_every, allow_other_machine=other_machine)
    with closing(updates):
        try:
            show_updates(updates)
        except ComparisonFailedError as error:
            failure = error
    if found.runs:
        _show(found, runs, work, json_file)
    if failure is not None:
        raise failure


def show_updates(updates: Iterable[Update]) -> None:
    """Progress of a comparison, a line for each run under way."""
    with Bars() as bars:
        for update in updates:
            name = f"{update.run.label} seed {update.run.seed}"
            if update.kind in ("done", "failed"):
                bars.done(name, update.message, failed=update.kind == "failed")
            else:
                bars.show(name, update.fraction, update.experience)


def _show(found: ResultsFile, runs: Sequence[Run], work: Path, json_file: str | None) -> None:
    """Tables, files beside the results file, and the report, of the runs that are done."""
    result, results = found.content(), found.path
    show_results(result, json_file)
    write_markdown(results.with_suffix(".md"), result)
    atomic_write(results.with_suffix(".svg"), trade_off(result).encode())
    firsts = [run for run in runs if run.seed == 0]
    names = [run.strategy for run in firsts]
    overlays = {
        run.strategy if names.count(run.strategy) == 1 else run.label: overlays_of(run, work / folder_of(run))
        for run in firsts
    }
    page = write_report(work / "report.html", result, overlays)
    say(f"results: {results}, {results.with_suffix('.md')}, {results.with_suffix('.svg')}\nreport: {page}")
    write_json(json_file, result)
