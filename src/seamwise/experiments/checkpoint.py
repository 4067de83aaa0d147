"""A learner's state on disk: one safetensors file, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seamwise import __version__
from seamwise.errors import BadInputError
from seamwise.vision.tensor_file import flatten, read_tensors, unflatten, write_tensors

KIND = "seamwise checkpoint"
FORMAT = 1


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """state: nested mappings of tensors and JSON values, as `Learner.state_dict()` gives them."""
    tensors, rest = flatten(state)
    write_tensors(path, tensors, {"kind": KIND, "format": FORMAT, "version": __version__, "state": rest})


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The saved state. Raises BadInputError for a damaged file or one of another version's format."""
    try:
        tensors, header = read_tensors(path, KIND)
    except BadInputError as error:
        raise BadInputError(f"{error}; without it the run starts afresh") from error
    if header.get("format") != FORMAT:
        raise BadInputError(
            f"{path}: written by Seamwise {header.get('version')} in format {header.get('format')}, this one reads "
            f"{FORMAT}: go on with that version, or delete the file to start the run afresh"
        )
    try:
        return unflatten(tensors, header["state"])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInputError(f"{path}: damaged ({error!r}); delete it to start the run afresh") from error
