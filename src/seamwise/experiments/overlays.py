"""The same test pictures after each experience, with what the model of that moment calls a defect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seamwise.experiments.runs import Run
from seamwise.experiments.streams import Stop
from seamwise.figures.overlay import overlay, png
from seamwise.vision.domain import Sample
from seamwise.vision.images import read_image
from seamwise.vision.prepare import load_mask
from seamwise.vision.segmenter import load_segmenter

Columns = list[tuple[str, bytes]]


def overlays_of(run: Run, folder: Path, pictures: int = 1, max_width: int = 360) -> dict[str, Columns]:
    """{domain and image: [(after which experience, PNG file), ...]} from the models a run left in its folder.

    Chosen are the test pictures of each domain with the most defect pixels. Empty for separate models.
    """
    models = sorted(folder.glob("after-*.safetensors"), key=lambda path: int(path.name.split("-")[1]))
    result: dict[str, Columns] = {}
    chosen = [(stop, sample) for stop in run.stream.stops for sample in _telling(run, stop, pictures)]
    for path in models:
        segmenter = load_segmenter(path)
        for stop, sample in chosen:
            truth = load_mask(sample, len(run.stream.classes), run.stream.ignore, stop.remap)
            called = segmenter.probabilities(sample, stop.name, stop.scale).argmax(0).numpy().astype(np.uint8)
            pixels = read_image(sample.image).pixels
            shown = overlay(pixels, called, truth, ignore=run.stream.ignore, max_width=max_width)
            after = path.stem.split("-", 2)[2]
            result.setdefault(f"{stop.name}: {sample.stem}", []).append((f"after {after}", png(shown)))
    return result


def _telling(run: Run, stop: Stop, count: int) -> Sequence[Sample]:
    """The pictures with the most defect pixels."""

    def defect_pixels(sample: Sample) -> int:
        mask = load_mask(sample, len(run.stream.classes), run.stream.ignore, stop.remap)
        return int(np.count_nonzero((mask > 0) & (mask != (run.stream.ignore or 0))))

    return sorted(stop.domain.samples["test"], key=defect_pixels, reverse=True)[:count]
