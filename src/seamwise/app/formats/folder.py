"""A domain's folder as `seamwise.vision.domain` has it, or bare pictures: what is missing there is no error here.

images/ masks/ of one stem; optional train.txt val.txt test.txt, index.csv, domain.yaml.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import yaml

from seamwise.app.formats.found import Found, Ids, Item, check_small, is_text, pictures_of
from seamwise.app.pictures import PictureLimits, look_at_mask
from seamwise.errors import BadInputError
from seamwise.storage.tables import Side
from seamwise.vision.domain_table import read_table, read_text
from seamwise.vision.domain_yaml import Description, read_domain_yaml

_NOT_NAMED = 256  # every value a mask can hold
# Bytes of the files that are parsed as a whole, with room for as many pictures as an archive may hold.
_LARGEST = {"domain.yaml": 1 << 20, "index.csv": 64 << 20} | {f"{side}.txt": 64 << 20 for side in Side}


def read_folder(root: Path, limits: PictureLimits) -> Found:
    """The set of a domain's folder."""
    for name, most in _LARGEST.items():
        if (root / name).exists():
            check_small(root / name, name, most)
    if (root / "domain.yaml").exists():
        _refuse_aliases(root / "domain.yaml")
    about = read_domain_yaml(root / "domain.yaml")
    if about is not None and not all(is_text(name) for name in about.classes):
        raise BadInputError("domain.yaml: `classes` has a name that is no text; write it anew")
    images, masks = pictures_of(root / "images"), pictures_of(root / "masks")
    if not images:
        raise BadInputError("images/: no pictures (.png, .tif, .jpg); put them there")
    orphans = sorted(masks.keys() - images.keys())
    if orphans:
        raise BadInputError(f"masks/{masks[orphans[0]].name}: no picture of this stem in images/; add or remove it")
    table = read_table(root / "index.csv")
    sides = _sides(root, images)
    items = tuple(
        Item(
            f"images/{path.name}",
            path,
            partial(_read_mask, masks[stem], limits, about) if stem in masks else None,
            sides.get(stem),
            table[stem].group or None if stem in table else None,
        )
        for stem, path in images.items()
    )
    if about is None:
        return Found("folder", items)
    return Found("folder", items, about.classes, about.ignore, about.pitch_mm)


def _refuse_aliases(path: Path) -> None:
    """Ten lists, each ten times the one before, are a few hundred bytes, and gigabytes where a message shows them."""
    try:
        aliases = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(read_text(path)))
    except yaml.YAMLError:
        return  # its reader says where
    if aliases:
        raise BadInputError(f"{path}: an alias (`*name`) stands for something else in it; write that out")


def read_pictures(root: Path) -> Found:
    """The unlabelled set of a folder's pictures, those of its folders too."""
    folders = [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
    items = [Item(str(path.relative_to(root)), path) for folder in folders for path in pictures_of(folder).values()]
    if not items:
        raise BadInputError("the set has no pictures (.png, .tif, .jpg); put them into images/")
    return Found("pictures", tuple(items))


def _read_mask(path: Path, limits: PictureLimits, about: Description | None, size: tuple[int, int]) -> Ids:
    classes = _NOT_NAMED if about is None else len(about.classes)
    ignore = None if about is None else about.ignore
    return look_at_mask(path, f"masks/{path.name}", limits, classes, ignore, size)


def _sides(root: Path, images: dict[str, Path]) -> dict[str, Side]:
    found: dict[str, Side] = {}
    for side in Side:
        path = root / f"{side}.txt"
        for number, line in enumerate(read_text(path).splitlines() if path.is_file() else (), 1):
            stem = line.strip()
            if not stem:
                continue
            if stem not in images:
                raise BadInputError(
                    f"{path.name}, line {number}: no picture {stem[:100]!r} in images/; remove the line"
                )
            if found.setdefault(stem, side) is not side:
                raise BadInputError(f"{path.name}, line {number}: {stem!r} is in {found[stem]}.txt too; remove one")
    return found
