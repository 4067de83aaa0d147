"""Prediction of pictures larger than a network's tile: overlapping tiles, blended so that no seam shows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seamwise.errors import UsageError


@torch.no_grad()
def predict(
    model: nn.Module,
    x: Tensor,
    tile: int,
    overlap: float = 0.25,
    batch: int = 4,
    prepare: Callable[[Tensor], Tensor] | None = None,
    allowed: Tensor | None = None,
) -> Tensor:
    """Class probabilities of a picture (C, H, W) of any size, as (K, H, W) float32 on the CPU.

    Tiles lie on a fixed grid from the top left, `tile * (1 - overlap)` pixels apart; what reaches beyond the picture
    is mirrored. Every forward pass has exactly `batch` tiles, the last one filled up with zeros, so that a tile's
    answer depends neither on its neighbours nor on how many there are. Memory: the answer and one batch.

    prepare: applied to each batch (batch, C, tile, tile) on the model's device before the network sees it; it must
    treat samples independently. allowed: (K,) bool, the classes of the picture's domain; the others get probability 0.
    The model runs in evaluation mode and gets its mode back.
    """
    if tile < 1 or batch < 1 or not 0 <= overlap < 1:
        raise UsageError(f"tile {tile} and batch {batch} must be 1 or more, and overlap {overlap} from 0 to below 1")
    if x.dim() != 3 or 0 in x.shape:
        raise UsageError(f"a picture to predict is (channels, height, width) with pixels in it, not {tuple(x.shape)}")
    step = max(1, round(tile * (1 - overlap)))
    rows, columns = (grid(size, tile, step) for size in x.shape[1:])
    row_weights, column_weights = (shares(len(g), tile, step) for g in (rows, columns))
    places = list(itertools.product(range(len(rows)), range(len(columns))))
    answer: Tensor | None = None
    with evaluating(model):
        for start in range(0, len(places), batch):
            now = places[start : start + batch]
            tiles = x.new_zeros((batch, x.shape[0], tile, tile))
            for slot, (r, c) in enumerate(now):
                tiles[slot] = cut(x, rows[r], columns[c], tile)
            p = _probabilities(model, tiles, prepare, allowed)
            if answer is None:
                answer = torch.zeros((p.shape[1], *x.shape[1:]))
            for slot, (r, c) in enumerate(now):
                area = answer[:, rows[r] : rows[r] + tile, columns[c] : columns[c] + tile]
                weight = row_weights[r][:, None] * column_weights[c]
                height, width = area.shape[1:]
                area += p[slot, :, :height, :width] * weight[:height, :width]
    assert answer is not None  # there is always one tile
    return answer


def grid(size: int, tile: int, step: int) -> range:
    """Positions of tiles along one side: 0, step, 2 step, ... until the side is covered."""
    return range(0, max(1, math.ceil((size - tile) / step) + 1) * step, step)


def shares(count: int, tile: int, step: int) -> Tensor:
    """(count, tile): what share each tile along a side has in the answer at each of its pixels.

    A Hann window over the tile, divided by the sum of all windows there: shares of one place sum to one, and are one
    where a single tile lies.
    """
    centres = (torch.arange(tile, dtype=torch.float64) + 0.5) / tile
    hann = torch.sin(torch.pi * centres) ** 2
    total = torch.zeros((count - 1) * step + tile, dtype=torch.float64)
    for i in range(count):
        total[i * step : i * step + tile] += hann
    return torch.stack([hann / total[i * step : i * step + tile] for i in range(count)]).float()


def cut(x: Tensor, top: int, left: int, tile: int) -> Tensor:
    """The tile (C, tile, tile) of a picture at that place, mirrored where it reaches beyond the picture."""
    height, width = x.shape[1:]
    if top + tile <= height and left + tile <= width:
        return x[:, top : top + tile, left : left + tile]
    rows, columns = (_mirrored(start, tile, size, x.device) for start, size in ((top, height), (left, width)))
    return x[:, rows[:, None], columns]


def _mirrored(start: int, count: int, size: int, device: torch.device) -> Tensor:
    """Pixel numbers from `start` on, reflected at the last and first pixel as often as needed."""
    period = max(1, 2 * (size - 1))
    place = torch.arange(start, start + count, device=device) % period
    return torch.where(place < size, place, period - place)


def _probabilities(
    model: nn.Module, tiles: Tensor, prepare: Callable[[Tensor], Tensor] | None, allowed: Tensor | None
) -> Tensor:
    tiles = tiles.to(_device(model, tiles.device))
    # inference mode only here: the answer must stay an ordinary tensor that its owner may change
    with torch.inference_mode():
        logits: Tensor = model(tiles if prepare is None else prepare(tiles)).float()
        if allowed is not None:
            logits = logits.masked_fill(~allowed.to(logits.device).view(1, -1, 1, 1), -torch.inf)
        return logits.softmax(1).cpu()


def _device(model: nn.Module, default: torch.device) -> torch.device:
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        return tensor.device
    return default


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and every module's own mode again afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
