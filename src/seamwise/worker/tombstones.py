"""Which image each remembered sample comes from, and forgetting the samples of images that were deleted since.

A tile's number holds the first 40 bits of its image's sha256 and its place among the image's tiles (22 bits). Two
images whose hashes begin alike would be forgotten together: at a million images a chance of one in two million each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_PLACE_BITS = 22
_HASH_LETTERS = 10
_INDEX = "index"


def tile_numbers(stems: Sequence[str], ends: Sequence[int]) -> Tensor:
    """(tiles,) int64, the number of each tile. stems: images' hashes, or their first letters; ends: as `TileDataset`'s.

    Names that are no hashes (of folders made by hand) give numbers too, of images that nobody deletes.
    """
    numbers = torch.empty(ends[-1] if ends else 0, dtype=torch.int64)
    for stem, start, end in zip(stems, [0, *ends], ends, strict=False):
        places = torch.arange(end - start) % (1 << _PLACE_BITS)
        numbers[start:end] = (_prefix(stem) << _PLACE_BITS) + places
    return numbers


def forget(state: Mapping[str, Any], deleted: Iterable[str]) -> tuple[dict[str, Any], int]:
    """A strategy's state without samples of the deleted images (by sha256), and how many it lost.

    Understands every memory that keeps its rows in tensors beside one called `index`, with or without a prefix.
    """
    doomed = torch.tensor(sorted({_prefix(sha256) for sha256 in deleted}), dtype=torch.int64)
    kept, lost = dict(state), 0
    for name in [name for name in state if name.rpartition(".")[2].rpartition("/")[2] == _INDEX]:
        head = name.removesuffix(_INDEX)
        keep = ~torch.isin(state[name] >> _PLACE_BITS, doomed)
        lost += int((~keep).sum())
        for column in [column for column in state if column.startswith(head)]:
            value = state[column]
            if isinstance(value, Tensor) and value.ndim and len(value) == len(keep):
                kept[column] = value[keep]
    return _without_empty_memories(kept), lost


def _without_empty_memories(state: dict[str, Any]) -> dict[str, Any]:
    """GEM keeps a memory for each experience, numbered without gaps, and takes means over them: none may be empty."""
    for name in [name for name in state if name.rpartition("/")[2] == "memories"]:
        head, count = name.removesuffix("memories"), int(state[name])
        columns = [
            {k.removeprefix(f"{head}{place}."): v for k, v in state.items() if k.startswith(f"{head}{place}.")}
            for place in range(count)
        ]
        others = {k: v for k, v in state.items() if not any(k.startswith(f"{head}{n}.") for n in range(count))}
        left = [memory for memory in columns if len(memory[_INDEX])]
        state = others | {f"{head}{n}.{k}": v for n, memory in enumerate(left) for k, v in memory.items()}
        state[name] = len(left)
    return state


def _prefix(stem: str) -> int:
    letters = stem[:_HASH_LETTERS]
    if len(letters) < _HASH_LETTERS or set(letters) - set("0123456789abcdef"):
        letters = hashlib.sha256(stem.encode()).hexdigest()[:_HASH_LETTERS]
    return int(letters, 16)
