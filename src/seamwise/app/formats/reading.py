"""Finds out what a folder holds, and reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from seamwise.app.formats.coco import find_coco, is_coco, read_coco
from seamwise.app.formats.folder import read_folder, read_pictures
from seamwise.app.formats.found import Found, read_small
from seamwise.app.formats.labelme import is_labelme, read_labelme
from seamwise.app.pictures import PictureLimits
from seamwise.errors import BadInputError

Format = Literal["auto", "folder", "coco", "labelme"]


def read_set(root: Path, wanted: Format, limits: PictureLimits, scratch: Path) -> Found:
    """The set in a folder, or in the one folder in it; scratch: a folder to write to, for nothing is written there.

    Raises BadInputError, which names what is wrong by its place in the set.
    """
    root = _top(root)
    try:
        _refuse_links(root)
        return _read(root, wanted, limits, scratch)
    except BadInputError as error:
        raise type(error)(str(error).replace(f"{root}/", "").replace(str(root), "the set")) from error
    except OSError as error:
        raise BadInputError(f"the set cannot be read ({error.strerror}); check its files' names and rights") from error


def _top(root: Path) -> Path:
    inside = [path for path in root.iterdir() if not path.name.startswith(".")]
    only = inside[0] if len(inside) == 1 else None
    if only is None or only.name in ("images", "annotations") or not only.is_dir() or only.is_symlink():
        return root
    return _top(only)


def _refuse_links(root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadInputError(f"{path}: a link or a device; put the file itself there")


def _read(root: Path, wanted: Format, limits: PictureLimits, scratch: Path) -> Found:
    is_folder = (root / "images").is_dir() and ((root / "masks").is_dir() or (root / "domain.yaml").exists())
    if wanted == "folder" or (wanted == "auto" and is_folder):
        return read_folder(root, limits)
    if wanted != "labelme":
        coco = _parsed(root, find_coco(root), is_coco)
        if coco or wanted == "coco":
            return read_coco(root, _some(coco, "images, annotations and categories"))
    labelme = _parsed(root, sorted(root.rglob("*.json")), is_labelme)
    if labelme or wanted == "labelme":
        return read_labelme(root, _some(labelme, "shapes and imagePath"), limits, scratch)
    if any(root.rglob("*.json")):
        raise BadInputError(
            "the set's JSON files are neither COCO nor LabelMe; say which `format` it is, or remove them"
        )
    return read_pictures(root)


def _some(contents: dict[str, Any], fields: str) -> dict[str, Any]:
    if not contents:
        raise BadInputError(f"the set has no JSON file with the fields {fields}")
    return contents


def _parsed(root: Path, paths: list[Path], fits: Any) -> dict[str, Any]:
    """The JSON files of a kind, by their names within the set."""
    found = {}
    for path in paths:
        if path.is_symlink() or not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        try:
            content = json.loads(read_small(path, name), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{name}: it is not JSON ({error})") from error
        if fits(content):
            # Pictures within their files come later, one by one: all of them are too many.
            found[name] = {key: value for key, value in content.items() if key != "imageData"}
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
