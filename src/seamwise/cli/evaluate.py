"""`seamwise evaluate`: a model's scores on domains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from seamwise.cli.console import Bars, say, table, write_json
from seamwise.cli.options import (
    Classes,
    ClassesOption,
    DataOption,
    Device,
    DeviceOption,
    JsonOption,
    Split,
    StreamArgument,
    device_of,
    stream_of,
)
from seamwise.errors import BadInputError
from seamwise.experiments.evaluation import count_domain
from seamwise.vision.scores import summarise
from seamwise.vision.segmenter import load_segmenter

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
    classes: ClassesOption = Classes.same,
    data: DataOption = None,
    device: DeviceOption = Device.auto,
    json_file: JsonOption = None,
) -> None:
    """Score a model on the pictures of one or more domains."""
    segmenter = load_segmenter(model, device_of(device))
    found = stream_of(stream, classes, data).stream
    if found.classes != segmenter.reading.classes:
        raise BadInputError(
            f"{model} knows the classes {', '.join(segmenter.reading.classes)}, the domains have "
            f"{', '.join(found.classes)}: choose --classes defect or union as it was trained"
        )
    result: dict[str, Any] = {"model": str(model), "split": split.value, "domains": {}}
    with Bars() as bars:
        for stop in found.stops:
            bars.show(stop.name, 0.0, always=True)
            counts = count_domain(segmenter, found, stop, split.value)
            result["domains"][stop.name] = summarise(counts).to_json()
            bars.done(stop.name)
    rows = [[name, *(_cell(scores[key]) for key in SHOWN.values())] for name, scores in result["domains"].items()]
    table(["domain", *SHOWN], rows)
    for name, scores in result["domains"].items():
        pairs = zip(found.classes, scores["iou_per_class"], strict=True)
        say(f"{name}: IoU by class: " + ", ".join(f"{label} {_cell(value)}" for label, value in pairs))
    write_json(json_file, result)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
