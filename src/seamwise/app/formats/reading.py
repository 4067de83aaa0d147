"""Finds out what a folder holds, and reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from seamwise.app.formats.coco import find_coco, is_coco, read_coco
from seamwise.app.formats.folder import read_folder, read_pictures
from seamwise.app.formats.found import Found, is_text, read_json
from seamwise.app.formats.labelme import is_labelme, read_labelme
from seamwise.app.limits import LARGEST_JSON, TooLargeError
from seamwise.app.pictures import PictureLimits
from seamwise.errors import BadInputError

Format = Literal["auto", "folder", "coco", "labelme"]
_LONGEST = 2000  # letters of a message, which quotes what strangers wrote


def read_set(root: Path, wanted: Format, limits: PictureLimits, scratch: Path) -> Found:
    """The set in a folder, or in the one folder in it; scratch: a folder to write to, for nothing is written there.

    Raises BadInputError, which names what is wrong by its place in the set.
    """
    try:
        root = _top(root)
        _refuse_odd(root)
        return _read(root, wanted, limits, scratch)
    except BadInputError as error:
        told = str(error).replace(f"{root}/", "").replace(str(root), "the set").replace("\0", "\\0")
        raise type(error)(told[:_LONGEST].encode("utf-8", "backslashreplace").decode()) from error
    except OSError as error:
        raise BadInputError(f"the set cannot be read ({error.strerror}); check its files' names and rights") from error


def _top(root: Path) -> Path:
    inside = [path for path in root.iterdir() if not path.name.startswith(".")]
    only = inside[0] if len(inside) == 1 else None
    if only is None or only.name in ("images", "annotations") or not only.is_dir() or only.is_symlink():
        return root
    return _top(only)


def _refuse_odd(root: Path) -> None:
    for path in root.rglob("*"):
        if not is_text(path.name):
            raise BadInputError(f"{path}: a name that is no text; rename it")
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadInputError(f"{path}: a link or a device; put the file itself there")


def _read(root: Path, wanted: Format, limits: PictureLimits, scratch: Path) -> Found:
    is_folder = (root / "images").is_dir() and ((root / "masks").is_dir() or (root / "domain.yaml").exists())
    if wanted == "folder" or (wanted == "auto" and is_folder):
        return read_folder(root, limits)
    if wanted != "labelme":
        coco = _read_all(root)
        if coco:
            return read_coco(root, coco)
        if wanted == "coco":
            raise BadInputError(
                "no JSON file in the set's top folder or its annotations/ has the fields images, annotations and "
                "categories; put COCO's file there"
            )
    labelme = read_labelme(root, _parsed(root, sorted(root.rglob("*.json")), is_labelme), limits, scratch)
    if labelme.items:
        return labelme
    if wanted == "labelme":
        raise BadInputError("the set has no JSON file with the fields shapes and imagePath; add LabelMe's files")
    if any(root.rglob("*.json")):
        raise BadInputError(
            "the set's JSON files are neither COCO nor LabelMe; say which `format` it is, or remove them"
        )
    return read_pictures(root)


def _read_all(root: Path) -> dict[str, Any]:
    """COCO's files by name, which are in memory together: one file's limit is the limit of all."""
    found, size = {}, 0
    for name, content in _parsed(root, find_coco(root), is_coco):
        size += (root / name).stat().st_size
        if size > LARGEST_JSON:
            raise TooLargeError(
                f"{name}: with the files before it {size / 1e6:.0f} MB of annotations, more than "
                f"{LARGEST_JSON / 1e6:.0f}; send the set in parts"
            )
        found[name] = content
    return found


def _parsed(root: Path, paths: list[Path], fits: Callable[[object], bool]) -> Iterator[tuple[str, Any]]:
    """The JSON files of a kind, each with its name within the set, one at a time."""
    for path in paths:
        if path.is_symlink() or not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        content = read_json(path, name)
        if fits(content):
            yield name, content
