"""Tensors and a JSON header in one safetensors file: no pickles, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from seamwise.errors import BadInputError
from seamwise.files import atomic_write

HEADER = "seamwise"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes beside and renames. Memory layouts are not kept: readers copy into their own."""
    packed = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    atomic_write(path, safetensors.torch.save(packed, {HEADER: json.dumps(header)}))


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header. Raises BadInputError for a file that is missing, damaged or of another kind."""
    if not path.is_file():
        raise BadInputError(f"{path}: there is no such file")
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            text = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        header = json.loads(text) if text else {}
    except (safetensors.SafetensorError, ValueError, OSError, RuntimeError) as error:
        raise BadInputError(
            f"{path}: not a readable {kind} file ({error}); it may be damaged, make it again"
        ) from error
    if header.get("kind") != kind:
        found = header.get("kind", "no Seamwise file")
        raise BadInputError(f"{path}: expected a {kind} file, found {found}")
    return tensors, header


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
