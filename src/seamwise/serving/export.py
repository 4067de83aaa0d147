"""A model as an ONNX file for onnxruntime, written only where it answers as the original does."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from seamwise.errors import SeamwiseError, UsageError
from seamwise.serving.engine import INPUT, METADATA, OUTPUT, OnnxTiles
from seamwise.vision.segmenter import Segmenter
from seamwise.vision.sliding import cut

# How far logits may lie apart, relative to the largest (at least 1); pixels whose two best classes are closer are ties.
TOLERANCE = 1e-3


class ExportError(SeamwiseError):
    """A network that cannot be written as ONNX, or whose ONNX form answers differently."""


@dataclass(frozen=True)
class Agreement:
    """How an exported network compares with its original on the probe tiles.

    difference: the largest between two logits. scale: the largest logit, at least 1. pixels: compared in all. ties:
    pixels whose two best classes lie within `TOLERANCE * scale`. differing: pixels of another class, ties left out.
    """

    difference: float
    scale: float
    pixels: int
    ties: int
    differing: int

    @property
    def holds(self) -> bool:
        return self.difference <= TOLERANCE * self.scale and not self.differing


def export_onnx(segmenter: Segmenter, pictures: Sequence[Tensor] = ()) -> tuple[bytes, Agreement]:
    """The bytes of an ONNX file of a segmenter's network, and how well it agrees with the original.

    Input `tiles` (N, C, tile, tile) with any N, output `logits` (N, K, tile, tile), both float32; the reading is in the
    metadata, as JSON. A reading with bf16 is compared, and served, in float32: the weights are float32. pictures:
    prepared (C, H, W) ones to probe with beside artificial tiles. Raises ExportError where the network cannot be
    written or the two disagree, UsageError where the exporter is not installed.
    """
    segmenter.network.eval()
    data = _exported(segmenter)
    agreement = compare(segmenter.network, OnnxTiles(data, 1), probe_tiles(segmenter, pictures))
    if not agreement.holds:
        raise ExportError(
            f"the ONNX form of this {segmenter.network.spec['name']} differs from the original: logits by up to "
            f"{agreement.difference:.2g} (allowed: {TOLERANCE * agreement.scale:.2g}), the class of "
            f"{agreement.differing} of {agreement.pixels} probe pixels; serve it with the torch engine"
        )
    return data, agreement


def compare(original: nn.Module, exported: nn.Module, tiles: Tensor) -> Agreement:
    """Both networks over the same tiles, in batches of one, two, three, ... so that more than one size is tried."""
    difference, scale, differing, ties = 0.0, 1.0, 0, 0
    batches: list[Tensor] = []
    start = 0
    while start < len(tiles):
        batches.append(tiles[start : start + len(batches) + 1])
        start += len(batches)
    with torch.inference_mode():
        answers = [(original(batch), exported(batch)) for batch in batches]
    for wanted, _ in answers:
        scale = max(scale, float(wanted.abs().max()))
    for wanted, got in answers:
        apart = float((wanted - got).abs().max())
        difference = max(difference, apart if apart == apart else torch.inf)
        best = wanted.topk(min(2, wanted.shape[1]), 1).values
        tie = best[:, 0] - best[:, -1] <= TOLERANCE * scale
        ties += int(tie.sum())
        differing += int((wanted.argmax(1) != got.argmax(1))[~tie].sum())
    return Agreement(difference, scale, tiles[:, 0].numel(), ties, differing)


def probe_tiles(segmenter: Segmenter, pictures: Sequence[Tensor] = ()) -> Tensor:
    """(N, C, tile, tile): flat, ramp, checks, dark and light noise, then the middle of each picture."""
    channels, tile = segmenter.reading.channels, segmenter.reading.tile
    ramp = torch.linspace(-0.5, 1.5, tile).expand(tile, tile)
    checks = (torch.arange(tile)[:, None] // 8 + torch.arange(tile) // 8) % 2
    noise = torch.randn(2, tile, tile, generator=torch.Generator().manual_seed(0)) * 0.3
    noise += torch.tensor([-0.5, 0.5]).view(2, 1, 1)
    shapes = [torch.zeros(tile, tile), ramp, checks.float(), *noise]
    tiles = [shape.expand(channels, tile, tile) for shape in shapes]
    for x in pictures:
        top, left = (max(0, (size - tile) // 2) for size in x.shape[1:])
        tiles.append(cut(x, top, left, tile))
    return torch.stack(tiles)


def _exported(segmenter: Segmenter) -> bytes:
    reading = segmenter.reading
    tiles = torch.zeros(2, reading.channels, reading.tile, reading.tile)
    try:
        import onnxscript  # noqa: F401 (an extra; torch's exporter writes with it)
    except ImportError as error:
        raise UsageError(f"export to ONNX needs an extra: pip install seamwise[serving] ({error})") from error
    try:
        with _quiet():
            program = torch.onnx.export(
                segmenter.network,
                (tiles,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever the network's operations lead the exporter to
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise ExportError(
            f"this {segmenter.network.spec['name']} cannot be written as ONNX ({type(cause).__name__}: "
            f"{str(cause).strip().partition(chr(10))[0]}); serve it with the torch engine"
        ) from error
    assert program is not None
    model = program.model_proto
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]  # stack traces of this machine
    model.metadata_props.add(key=METADATA, value=json.dumps(asdict(reading)))
    data: bytes = model.SerializeToString(deterministic=True)
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages that no network here needs and of its own coming changes."""
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnx_ir", "onnxscript")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in levels:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
