"""Where the files of a set are within the folder that a person names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from seamwise.errors import BadInputError


def existing_folder(data: Path) -> Path:
    """The folder itself; raises BadInputError where there is none."""
    if not data.is_dir():
        what = "it is a file, not a folder" if data.exists() else "there is no such folder"
        raise BadInputError(f"{data}: {what}; name the folder that holds the data sets")
    return data


def first_with(folders: Iterable[Path], names: Sequence[str]) -> Path | None:
    """The first of the folders that holds any file of these names."""
    return next((folder for folder in folders if any((folder / name).is_file() for name in names)), None)


def require(folder: Path, names: Iterable[str]) -> None:
    """Raises BadInputError, naming them, where files of the folder are missing."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BadInputError(f"{folder}: missing {', '.join(missing)}; copy the whole set there")
