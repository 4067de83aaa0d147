"""What was found in a set, whatever its format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seamwise.app.limits import LARGEST_JSON, TooLargeError
from seamwise.app.pictures import SUFFIXES
from seamwise.errors import BadInputError
from seamwise.storage.tables import Side

Ids = NDArray[np.uint8]
ENDINGS = frozenset({*SUFFIXES.values(), ".tiff", ".jpeg"})
IGNORED = 255  # what formats without an ignore value of their own write for a class called `ignore`


@dataclass(frozen=True)
class Item:
    """A picture of a set. name: within the set, for messages. mask: draws it (class ids of the set) at a size (height,
    width); None: unlabelled. side, group: what the set itself says."""

    name: str
    image: Path
    mask: Callable[[tuple[int, int]], Ids] | None = None
    side: Side | None = None
    group: str | None = None


@dataclass(frozen=True)
class Found:
    """A set. classes: names by class id; None: the ids are meant as they are. ignore: the id that counts nowhere."""

    format: str
    items: tuple[Item, ...]
    classes: tuple[str, ...] | None = None
    ignore: int | None = None
    pitch_mm: float | None = None


def inside(root: Path, *parts: str) -> Path:
    """The place in a set that a name inside it means; BadInputError for one that leads out of it."""
    name = "/".join(parts).replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or ":" in name.partition("/")[0]:
        raise BadInputError(f"{name[:200]!r}: a path out of the set; name files relative to its top folder")
    return root / path


def pictures_of(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by stem; other files and hidden ones are left alone."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() not in ENDINGS or path.name.startswith(".") or not plain(path):
            continue
        if path.stem in found:
            raise BadInputError(f"{path.name}: {found[path.stem].name} has the same stem; rename one of them")
        found[path.stem] = path
    return found


def plain(path: Path) -> bool:
    """Whether this is a file of its own, no link to another."""
    return path.is_file() and not path.is_symlink()


def check_small(path: Path, name: str, most: int = LARGEST_JSON) -> None:
    """Raises TooLargeError for a file of more bytes than are read into memory as a whole."""
    size = path.stat().st_size
    if size > most:
        raise TooLargeError(f"{name}: {size / 1e6:.0f} MB, more than {most / 1e6:.0f} of such a file; split the set")


def read_json(path: Path, name: str) -> Any:
    """An annotation file, parsed as a whole."""
    check_small(path, name)
    try:
        return json.loads(path.read_bytes(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{name}: it is not JSON ({error}); save it again") from error


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def check_size(told: tuple[Any, Any], size: tuple[int, int], where: str) -> None:
    """Raises BadInputError where a file says another (height, width) than its picture has: its areas would lie
    elsewhere. Tools that know no size leave it out, or write 0."""
    if all(type(number) is int and number > 0 for number in told) and told != size:
        raise BadInputError(
            f"{where}: drawn on {told[1]} x {told[0]} pixels, but the picture has {size[1]} x {size[0]}; "
            "add the picture that it was drawn on"
        )


def field(content: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A field of a JSON object, of the right kind; BadInputError says where it is not."""
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadInputError(f"{where}: `{key}` is missing or of the wrong kind")
    if isinstance(value, str) and not is_text(value):
        raise BadInputError(f"{where}: `{key}` is {value[:60]!a}, which is no text; write it anew")
    return value


def is_text(value: str) -> bool:
    """Whether every database can hold it: no NUL, no half of a pair of surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
