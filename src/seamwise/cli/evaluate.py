"""`seamwise evaluate`: a model's scores on domains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from seamwise.cli.console import Bars, say, stage, table, write_json
from seamwise.cli.options import (
    Classes,
    ClassesOption,
    DataOption,
    Device,
    DeviceOption,
    Split,
    StreamArgument,
    device_of,
    names_a_file,
    stream_of,
)
from seamwise.cli.plain_options import JsonOption
from seamwise.errors import UsageError
from seamwise.experiments.evaluation import count_domain
from seamwise.experiments.streams import Stop, with_classes
from seamwise.vision.scores import summarise
from seamwise.vision.segmenter import Segmenter, load_segmenter

SHOWN = {
    "mean IoU": "mean_iou",
    "defect IoU": "defect_iou",
    "defect Dice": "defect_dice",
    "defect recall": "defect_recall",
    "false calls/image": "false_calls_per_image",
    "AUROC": "auroc",
    "recall at FAR": "recall_at_far",
}


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model file (.safetensors).")],
    stream: StreamArgument,
    split: Annotated[Split, typer.Option(help="Which pictures are scored.")] = Split.test,
    classes: ClassesOption = None,
    data: DataOption = None,
    device: DeviceOption = Device.auto,
    json_file: JsonOption = None,
) -> None:
    """Score a model on the pictures of one or more domains."""
    segmenter = load_segmenter(model, device_of(device))
    # Whatever the domains' classes have to do with each other, the model's are what counts.
    folders = not names_a_file(stream, data)
    found = stream_of(stream, classes or (Classes.union if folders else None), data).stream
    if found.classes != segmenter.reading.classes:
        if classes not in (None, Classes.union):
            raise UsageError(
                f"--classes {classes.value}: gives {', '.join(found.classes)}, the model answers "
                f"{', '.join(segmenter.reading.classes)}; leave it out, and classes are matched by their names"
            )
        found = with_classes(found, segmenter.reading.classes)
    if folders:
        found = replace(found, stops=tuple(_as_learned(stop, segmenter) for stop in found.stops))
    result: dict[str, Any] = {"model": str(model), "split": split.value, "domains": {}}
    with Bars() as bars:
        for stop in found.stops:
            bars.show(stop.name, 0.0, always=True)
            counts = count_domain(segmenter, found, stop, split.value)
            result["domains"][stop.name] = summarise(counts).to_json()
            bars.done(stop.name)
    rows = [[name, *(_cell(scores[key]) for key in SHOWN.values())] for name, scores in result["domains"].items()]
    table(["domain", *SHOWN], rows, stage(json_file))
    for name, scores in result["domains"].items():
        pairs = zip(found.classes, scores["iou_per_class"], strict=True)
        say(f"{name}: IoU by class: " + ", ".join(f"{label} {_cell(value)}" for label, value in pairs))
    write_json(json_file, result)


def _as_learned(stop: Stop, segmenter: Segmenter) -> Stop:
    """A folder says nothing of its scale: a domain that the model learned keeps the one it was learned at."""
    scale = segmenter.reading.scales.get(stop.name, stop.scale)
    if scale != stop.scale:
        say(f"{stop.name}: pictures are resized by {scale:g}, as the model learned them")
    return replace(stop, scale=scale)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
