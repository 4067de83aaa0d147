"""Scores of a model on a domain's pictures, at the pictures' own size."""

from __future__ import annotations

from collections.abc import Sequence

from seamwise.errors import BadInputError
from seamwise.experiments.streams import DomainStream, Stop
from seamwise.vision.domain import Sample
from seamwise.vision.prepare import load_mask
from seamwise.vision.scores import ImageCounts, count_image
from seamwise.vision.segmenter import Segmenter


def count_domain(segmenter: Segmenter, stream: DomainStream, stop: Stop, split: str = "test") -> list[ImageCounts]:
    """What every image of the split counts; masks are compared at full size whatever scale the network works at."""
    samples: Sequence[Sample] = stop.domain.samples[split]
    if not samples:
        raise BadInputError(f"{stop.name}: no pictures in its {split} split")
    counts = []
    for sample in samples:
        mask = load_mask(sample, len(stream.classes), stream.ignore, stop.remap)
        p = segmenter.probabilities(sample, stop.name, stop.scale)
        counts.append(count_image(p, mask, classes=len(stream.classes), ignore=stream.ignore, name=sample.stem))
    return counts
