"""Tensors and a JSON header in one safetensors file: no pickles, written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from seamwise.errors import BadInputError
from seamwise.files import atomic_write

HEADER = "seamwise"
DIGEST = "sha256"  # of the header and the tensors: safetensors itself does not notice damage inside them


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes beside and renames. Memory layouts are not kept: readers copy into their own."""
    packed = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    text = json.dumps({**header, DIGEST: _digest(packed, header)})
    atomic_write(path, safetensors.torch.save(packed, {HEADER: text}))


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header. Raises BadInputError for a file that is missing, damaged or of another kind."""
    if not path.is_file():
        raise BadInputError(f"{path}: there is no such file")
    try:
        # Read once: `safe_open` opens the file twice, and another process may put a new one there in between.
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        text = json.loads(content[8 : 8 + length]).get("__metadata__", {}).get(HEADER)
        tensors = safetensors.torch.load(content)
        header = json.loads(text) if text else {}
        digest = header.pop(DIGEST, None)  # files of older versions have none
        if digest not in (None, _digest(tensors, header)):
            raise ValueError("its content has changed since it was written")
    except (safetensors.SafetensorError, ValueError, OSError, RuntimeError, AttributeError) as error:
        raise BadInputError(
            f"{path}: not a readable {kind} file ({error}); it may be damaged, make it again"
        ) from error
    if header.get("kind") != kind:
        found = header.get("kind", "no Seamwise file")
        raise BadInputError(f"{path}: expected a {kind} file, found {found}")
    return tensors, header


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    found = hashlib.sha256(json.dumps(header).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\0{name}\0{tensor.dtype}{list(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def flatten(state: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A nested state -> tensors by path, and the rest as nested JSON values."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for key, value in state.items():
        path = f"{prefix}{key}"
        if isinstance(value, Tensor):
            tensors[path] = value
        elif isinstance(value, Mapping):
            inner, rest[key] = flatten(value, f"{path}\x1f")
            tensors |= inner
        else:
            rest[key] = value
    return tensors, rest


def unflatten(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    state = json.loads(json.dumps(rest))
    for path, tensor in tensors.items():
        *folders, name = path.split("\x1f")
        place = state
        for folder in folders:
            place = place[folder]
        place[name] = tensor
    return dict(state)
