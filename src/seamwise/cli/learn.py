"""`seamwise learn`: one strategy over a stream."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from seamwise.cli.console import Bars, command_line, pairs, say, write_json
from seamwise.cli.options import (
    CheckpointOption,
    ClassesOption,
    DataOption,
    Device,
    DeviceOption,
    OtherMachineOption,
    StreamArgument,
    describe,
    device_of,
    parameters_of,
    recipe_of,
    stream_of,
)
from seamwise.cli.plain_options import JsonOption, SetOption
from seamwise.cli.results import show_results, write_report
from seamwise.experiments.comparison import ResultsFile, common_of, folder_of
from seamwise.experiments.overlays import overlays_of
from seamwise.experiments.runs import CHECKPOINT_EVERY_S, Run, execute


def learn(
    stream: StreamArgument,
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", help="finetuning, si, ewc, replay, si+replay, ...")
    ] = "si",
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="A parameter of the strategy, e.g. c=10 (repeatable).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for runs: checkpoints, models, report.")] = Path("runs/learn"),
    classes: ClassesOption = None,
    data: DataOption = None,
    options: SetOption = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: DeviceOption = Device.auto,
    checkpoint_every: CheckpointOption = CHECKPOINT_EVERY_S,
    other_machine: OtherMachineOption = False,
    json_file: JsonOption = None,
) -> None:
    """Learn a stream of domains in order with one strategy, and judge every domain after each.

    A run that was stopped goes on where it was when the same command is given again.
    """
    torch.set_num_threads(threads)
    file = stream_of(stream, classes, data)
    parameters = parameters_of(file, strategy, pairs(param or [], "--param"))
    run = Run(file.stream, recipe_of(file, options), strategy, parameters, seed, device_of(device))
    say(describe(run.stream))
    folder = out / folder_of(run)
    row = None
    with Bars() as bars:
        for event in execute(run, folder, checkpoint_every_s=checkpoint_every, allow_other_machine=other_machine):
            note = event.experience if event.loss is None else f"{event.experience}, loss {event.loss:.3f}"
            bars.show(strategy, event.fraction, note, always=event.kind == "evaluated")
            row = event.row
    assert row is not None
    results = ResultsFile(folder / "results.json", run.stream.name, command_line(), common_of(run), [row])
    results.write()
    result = results.content()
    show_results(result, json_file)
    page = write_report(folder / "report.html", result, {strategy: overlays_of(run, folder)})
    say(f"models: {folder}\nreport: {page}")
    write_json(json_file, result)
