"""One model version, ready to answer: pictures of any size in, class probabilities out, by torch or by onnxruntime."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seamwise.errors import BadInputError, UsageError
from seamwise.vision.images import read_image
from seamwise.vision.networks.monai import MonaiNetwork
from seamwise.vision.prepare import prepare_pixels
from seamwise.vision.raster import Pixels
from seamwise.vision.segmenter import Reading, Segmenter, channels_last
from seamwise.vision.sliding import predict

BATCH = 4  # tiles in each pass, `sliding.predict`'s own number: a torch engine answers as `Segmenter`, bit for bit
METADATA = "seamwise"
INPUT, OUTPUT = "tiles", "logits"


@dataclass(frozen=True, eq=False)
class Engine:
    """One model version, ready to answer; any number of threads may ask it at once.

    version: the name that every answer carries. kind: what runs the network, "torch" or "onnxruntime". network: tiles
    (batch, C, tile, tile) to logits (batch, K, tile, tile); it changes nothing when called. batch: tiles in each pass,
    always so many, so that an answer depends neither on other requests nor on the picture's size.
    """

    version: str
    kind: str
    reading: Reading
    network: nn.Module = field(repr=False)
    batch: int = BATCH

    def probabilities(self, picture: Path, domain: str | None = None, scale: float | None = None) -> Tensor:
        """(K, H, W) float32 at the size of that file's picture; domain and scale as in `Segmenter.probabilities`."""
        pixels = read_image(picture).pixels
        return at_size(self.predict(self.prepare(pixels, domain, scale, name=str(picture)), domain), pixels)

    def prepare(
        self, pixels: Pixels, domain: str | None = None, scale: float | None = None, *, name: str = "the picture"
    ) -> Tensor:
        """What `predict` takes, of a picture's pixels (H, W, C) as `read_image` gives them."""
        reading = self.reading
        scale = reading.scales.get(domain or "", 1.0) if scale is None else scale
        return prepare_pixels(pixels, reading.channels, scale, reading.window, name=name).whole()

    def predict(self, x: Tensor, domain: str | None = None) -> Tensor:
        """(K, H, W) probabilities of a prepared picture (C, H, W), at the network's scale."""
        reading = self.reading
        if x.dim() != 3 or x.shape[0] != reading.channels:
            raise BadInputError(
                f"version {self.version} takes pictures (channels, height, width) of {reading.channels} channels, "
                f"not {tuple(x.shape)}"
            )
        allowed = None
        if ids := reading.class_sets.get(domain or ""):
            allowed = torch.zeros(len(reading.classes), dtype=torch.bool)
            allowed[list(ids)] = True
        return predict(self.network, x, reading.tile, reading.overlap, self.batch, allowed=allowed)

    def warm_up(self) -> None:
        """One pass over zeros, in which the libraries choose their kernels and plan their memory."""
        self.predict(torch.zeros(self.reading.channels, 1, 1))


def at_size(p: Tensor, pixels: Pixels) -> Tensor:
    """Probabilities at the network's scale, brought to the size of the picture (H, W, C)."""
    size = pixels.shape[:2]
    return p if p.shape[1:] == size else F.interpolate(p[None], size=size, mode="bilinear")[0]


def mask_of(probabilities: Tensor) -> NDArray[np.uint8]:
    """Class ids (H, W), the first of equals: the mask that is served, tested and compared."""
    planes = probabilities.numpy()
    best, ids = planes[0].copy(), np.zeros(planes[0].shape, np.uint8)
    for kind, plane in enumerate(planes[1:], 1):  # torch's argmax over the first axis takes eighty times as long
        np.copyto(ids, kind, where=plane > best)
        np.maximum(best, plane, out=best)
    return ids


def torch_engine(segmenter: Segmenter, version: str, *, threads: int = 1, batch: int = BATCH) -> Engine:
    """An engine of torch on the device where the segmenter's network is; the network is the engine's from now on.

    threads: of one pass. torch keeps this number for the whole process: every torch engine of a process should be
    given the same, and whatever else computes there shares it.
    """
    _check(threads=threads, batch=batch)
    return Engine(version, "torch", segmenter.reading, TorchTiles(segmenter, threads), batch)


def onnx_engine(data: bytes, version: str, *, threads: int = 1, batch: int = BATCH) -> Engine:
    """An engine of onnxruntime on the CPU from the bytes of a file that `export_onnx` wrote.

    threads: of one pass. Requests of several threads run side by side, each with so many. Raises BadInputError for
    other or damaged bytes, UsageError where onnxruntime is not installed.
    """
    _check(threads=threads, batch=batch)
    network = OnnxTiles(data, threads)
    return Engine(version, "onnxruntime", network.reading, network, batch)


class TorchTiles(nn.Module):
    """A segmenter's network as an engine calls it: for reading only, with a fixed number of threads."""

    def __init__(self, segmenter: Segmenter, threads: int) -> None:
        super().__init__()
        # without gradients autocast keeps no cache of converted weights, which the threads would share
        self.network = segmenter.network.eval().requires_grad_(False)
        self.bf16, self.threads = segmenter.reading.bf16, threads
        # MONAI's networks are watched by a hook while they run: one pass at a time
        one_at_a_time = isinstance(segmenter.network, MonaiNetwork)
        self.turn: AbstractContextManager[Any] = Lock() if one_at_a_time else nullcontext()

    def forward(self, x: Tensor) -> Tensor:
        if torch.get_num_threads() != self.threads:  # each new thread of Python starts with OpenMP's default
            torch.set_num_threads(self.threads)
        with self.turn, torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            logits: Tensor = self.network(channels_last(x))
        return logits


class OnnxTiles(nn.Module):
    """An onnxruntime session as an engine calls it. reading: what the file says beside the network."""

    def __init__(self, data: bytes, threads: int) -> None:
        super().__init__()
        try:
            import onnxruntime  # type: ignore[import-untyped]  # an extra; torch engines work without it
        except ImportError as error:
            raise UsageError(f"onnxruntime serves this version: pip install seamwise[serving] ({error})") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors only
        options.enable_cpu_mem_arena = False  # it would keep the most memory ever used; without it no slower
        # waiting threads must not spin: they would take the cores from the learner and from other versions
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self.reading = reading_of(self.session.get_modelmeta().custom_metadata_map[METADATA])
        except Exception as error:  # onnxruntime has exceptions of its own, without a common root
            raise BadInputError(f"not a whole ONNX file written by Seamwise: {error}; export it again") from error

    def forward(self, x: Tensor) -> Tensor:
        (logits,) = self.session.run([OUTPUT], {INPUT: x.numpy()})
        return torch.from_numpy(logits)


def reading_of(text: str) -> Reading:
    """A Reading from its JSON."""
    values = json.loads(text)
    class_sets = {name: tuple(ids) for name, ids in values.pop("class_sets").items()}
    return Reading(**{**values, "classes": tuple(values["classes"])}, class_sets=class_sets)


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"{name} is {number}: give 1 or more")
