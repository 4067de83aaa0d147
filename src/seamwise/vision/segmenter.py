"""A network together with everything needed to use it on a picture: what a model file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise import __version__
from seamwise.errors import BadInputError, UsageError
from seamwise.vision.domain import Sample
from seamwise.vision.networks import build_network
from seamwise.vision.networks.network import Network
from seamwise.vision.prepare import prepare_image
from seamwise.vision.sliding import predict
from seamwise.vision.tensor_file import read_tensors, write_tensors

KIND = "seamwise model"
FORMAT = 1


@dataclass(frozen=True)
class Reading:
    """How pictures come to the network and masks leave it.

    classes: names by id, background first. tile, overlap: of the sliding window, in pixels at the network's scale.
    scales: by domain, how pictures are resized before the network (1 where a domain is not named). class_sets: by
    domain, the ids it can show (all where it is not named).
    """

    classes: tuple[str, ...]
    channels: int
    tile: int
    overlap: float = 0.25
    window: bool = True
    bf16: bool = False
    scales: Mapping[str, float] = field(default_factory=dict)
    class_sets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class Segmenter:
    """Predicts class probabilities of pictures of any size."""

    def __init__(self, network: Network, reading: Reading) -> None:
        self.network, self.reading = network, reading

    def probabilities(self, sample: Sample, domain: str | None = None, scale: float | None = None) -> Tensor:
        """(K, H, W) float32 at the picture's own size. domain chooses the scale and the classes of its pictures."""
        reading = self.reading
        scale = reading.scales.get(domain or "", 1.0) if scale is None else scale
        image = prepare_image(sample.image, reading.channels, scale, reading.window)
        p = self.predict(image.whole(), domain)
        if scale != 1.0:
            p = F.interpolate(p[None], size=image.file_shape, mode="bilinear")[0]
        return p

    def predict(self, x: Tensor, domain: str | None = None) -> Tensor:
        """(K, H, W) probabilities of a prepared picture (C, H, W), at the network's scale."""
        reading = self.reading
        ids = reading.class_sets.get(domain or "")
        allowed = None
        if ids:
            allowed = torch.zeros(len(reading.classes), dtype=torch.bool)
            allowed[list(ids)] = True
        device = next(self.network.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=reading.bf16):
            return predict(self.network, x, reading.tile, reading.overlap, prepare=channels_last, allowed=allowed)

    def save(self, path: Path, notes: Mapping[str, Any] | None = None) -> None:
        """Writes the model file; notes: anything worth keeping beside it, as JSON values."""
        header = {
            "kind": KIND,
            "format": FORMAT,
            "version": __version__,
            "network": self.network.spec,
            "reading": asdict(self.reading),
            "notes": dict(notes or {}),
        }
        write_tensors(path, self.network.state_dict(), header)


def channels_last(x: Tensor) -> Tensor:
    """The memory layout that convolutions on CPU prefer."""
    return x.contiguous(memory_format=torch.channels_last)


def load_segmenter(path: Path, device: torch.device | str = "cpu") -> Segmenter:
    """Reads a model file. Raises BadInputError for one that is damaged, or of a newer version."""
    tensors, header = read_tensors(path, KIND)
    if header["format"] > FORMAT:
        raise BadInputError(
            f"{path}: written by Seamwise {header['version']}, which is newer than this one ({__version__}): update"
        )
    try:
        values = dict(header["reading"])
        values["classes"] = tuple(values["classes"])
        values["class_sets"] = {name: tuple(ids) for name, ids in values["class_sets"].items()}
        reading = Reading(**values)
        network = build_network(**header["network"])
        network.load_state_dict(tensors)
    except (RuntimeError, UsageError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"{path}: not a whole model file, or its weights do not fit its network: {error}"
        ) from error
    module: nn.Module = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(module, Network)
    return Segmenter(module.eval(), reading)
