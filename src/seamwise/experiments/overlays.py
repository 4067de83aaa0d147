"""The same test pictures after each experience, with what the model of that moment calls a defect."""

from __future__ import annotations

from pathlib import Path

from seamwise.experiments.runs import Run
from seamwise.figures.overlay import overlay, png
from seamwise.vision.images import read_image, read_mask
from seamwise.vision.prepare import load_mask

Columns = list[tuple[str, bytes]]


def overlays_of(run: Run, folder: Path, max_width: int = 400) -> dict[str, Columns]:
    """{domain and image: [(learned last, PNG file), ...]} from the masks a run left in its folder.

    Shown is the test picture of each domain with the most defect pixels. Empty for separate models.
    """
    result: dict[str, Columns] = {}
    moments = [path for path in folder.glob("after-*") if path.is_dir()]
    for moment in sorted(moments, key=lambda path: int(path.name.split("-")[1])):
        for task, stop in enumerate(run.stream.stops):
            samples = {sample.stem: sample for sample in stop.domain.samples[run.split]}
            for path in sorted((moment / str(task)).glob("*.png")):
                sample = samples[path.stem]
                truth = load_mask(sample, len(run.stream.classes), stop.domain.ignore, stop.remap)
                called = read_mask(path, len(run.stream.classes))
                shown = overlay(
                    read_image(sample.image).pixels, called, truth, ignore=run.stream.ignore, max_width=max_width
                )
                label = moment.name.split("-", 2)[2]
                result.setdefault(f"{stop.name}: {path.stem}", []).append((label, png(shown)))
    return result
