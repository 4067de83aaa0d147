"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from seamwise.cli.console import pairs, say
from seamwise.errors import UsageError
from seamwise.experiments.recipe import Recipe
from seamwise.experiments.streams import DomainStream, StreamFile, join_domains, read_stream
from seamwise.vision.domain import read_domain


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Classes(StrEnum):
    same = "same"
    defect = "defect"
    union = "union"


class Split(StrEnum):
    test = "test"
    val = "val"


StreamArgument = Annotated[
    list[Path], typer.Argument(help="A stream file (YAML), or the domain folders in the order they are learned.")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute; auto takes an NVIDIA GPU if there is one.")]
ClassesOption = Annotated[
    Classes | None,
    typer.Option(
        help="With folders: domains share their classes (same, the default), have one class 'defect', or keep their "
        "own (union). A stream file says it itself."
    ),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder that a stream file's paths are relative to (default: its own).")
]
CheckpointOption = Annotated[
    float, typer.Option("--checkpoint-every", min=0, help="Seconds between checkpoints; a killed run goes on from one.")
]
OtherMachineOption = Annotated[
    bool,
    typer.Option("--allow-other-machine", help="Go on although the result will not be bit for bit the same."),
]


def device_of(choice: Device) -> str:
    """The torch device a choice means here."""
    available = torch.cuda.is_available()
    if choice is Device.cuda and not available:
        raise UsageError("--device cuda: torch sees no NVIDIA GPU here; use --device cpu")
    return "cuda" if available and choice is not Device.cpu else "cpu"


def stream_of(paths: Sequence[Path], classes: Classes | None, data: Path | None) -> StreamFile:
    """A stream file, or folders as a stream; warnings are said aloud."""
    if names_a_file(paths, data):
        if classes is not None:
            raise UsageError(f"--classes goes with folders; in {paths[0]} it is the key 'classes'")
        found = read_stream(paths[0], data)
    else:
        domains = [read_domain((data or Path()) / path) for path in paths]
        found = StreamFile(join_domains(domains, rule=(classes or Classes.same).value), {}, {})
    for warning in found.stream.warnings:
        say(f"warning: {warning}")
    return found


def names_a_file(paths: Sequence[Path], data: Path | None) -> bool:
    """Whether a stream is given as a stream file, not as folders."""
    return len(paths) == 1 and not ((data or Path()) / paths[0]).is_dir()


def recipe_of(file: StreamFile, options: Sequence[str] | None) -> Recipe:
    """The stream file's recipe with what the command line changes."""
    return Recipe.of(file.recipe | pairs(options or [], "--set"))


def parameters_of(file: StreamFile, strategy: str, given: dict[str, Any]) -> dict[str, Any]:
    """Parameters given on the command line over those of the stream file."""
    return file.strategies.get(strategy, {}) | given


def describe(stream: DomainStream) -> str:
    names = ", ".join(stop.name for stop in stream.stops)
    return f"{len(stream.stops)} domains: {names}; classes: {', '.join(stream.classes)}"
