"""Scores of a model on a domain's pictures, at the pictures' own size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seamwise.errors import BadInputError
from seamwise.experiments.streams import DomainStream, Stop
from seamwise.vision.domain import Sample
from seamwise.vision.images import write_image
from seamwise.vision.prepare import load_mask
from seamwise.vision.scores import ImageCounts, count_image
from seamwise.vision.segmenter import Segmenter


def count_domain(
    segmenter: Segmenter, stream: DomainStream, stop: Stop, split: str = "test", keep: Path | None = None
) -> list[ImageCounts]:
    """What every image of the split counts; masks are compared at full size whatever scale the network works at.

    keep: a folder that gets the predicted mask of the image with the most defect pixels, as a picture for reports.
    """
    samples: Sequence[Sample] = stop.domain.samples[split]
    if not samples:
        raise BadInputError(f"{stop.name}: no pictures in its {split} split")
    counts = []
    largest, shown, answer = -1, samples[0], None
    for sample in samples:
        mask = load_mask(sample, len(stream.classes), stop.domain.ignore, stop.remap)
        p = segmenter.probabilities(sample, stop.name, stop.scale)
        counts.append(count_image(p, mask, classes=len(stream.classes), ignore=stream.ignore, name=sample.stem))
        defect_pixels = sum(defect.area_px for defect in counts[-1].defects)
        if keep is not None and defect_pixels > largest:
            largest, shown, answer = defect_pixels, sample, p.argmax(0).numpy().astype(np.uint8)
    if keep is not None and answer is not None:
        keep.mkdir(parents=True, exist_ok=True)
        write_image(keep / f"{shown.stem}.png", answer)
    return counts
