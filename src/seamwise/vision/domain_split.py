"""Which pictures of a domain are for training, validation and test: as listed, or by a hash that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from seamwise.errors import BadInputError
from seamwise.vision.domain_table import read_text

SPLITS = ("train", "val", "test")
_SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}


def read_splits(
    root: Path, groups: Mapping[str, str], masks: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The stems of each split, and warnings; groups: of every image, by stem; masks: the stems that have one.

    Raises BadInputError naming file and line for stems that do not exist, are listed twice or tear a group apart.
    """
    if any((root / f"{split}.txt").exists() for split in SPLITS):
        splits, warnings = _listed(root, groups, masks)
    else:
        splits, warnings = _hashed(groups, masks)
    for split in ("train", "test"):
        if not splits[split]:
            raise BadInputError(
                f"{root / f'{split}.txt'}: no pictures for {split}; list stems there, a weld never in two"
            )
    if not splits["val"]:
        warnings.append("no pictures for validation (val.txt is missing or empty); nothing can be tuned on this domain")
    return splits, warnings


def side_of(group: str) -> str:
    """The split of a weld or part by the hash of its name alone: later pictures of it, or of others, change nothing."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    if share < _SHARES["train"]:
        return "train"
    return "val" if share < _SHARES["train"] + _SHARES["val"] else "test"


def _listed(
    root: Path, groups: Mapping[str, str], masks: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    splits: dict[str, tuple[str, ...]] = {}
    place: dict[str, str] = {}
    owner: dict[str, tuple[str, str]] = {}
    for split in SPLITS:
        path = root / f"{split}.txt"
        stems = []
        for number, line in enumerate(read_text(path).splitlines() if path.exists() else (), 1):
            stem, where = line.strip(), f"{path}, line {number}"
            if not stem:
                continue
            _check_stem(stem, where, groups, masks)
            if stem in place:
                raise BadInputError(f"{where}: {stem!r} is listed already in {place[stem]}; remove one of them")
            first_stem, first_split = owner.setdefault(groups[stem], (stem, split))
            if first_split != split:
                raise BadInputError(
                    f"{where}: {stem!r} shows {groups[stem]!r} like {first_stem!r}, which is in {first_split}.txt; "
                    "list all pictures of one weld or part in one file"
                )
            place[stem] = where
            stems.append(stem)
        splits[split] = tuple(stems)
    unlisted = [stem for stem in groups if stem not in place]
    return splits, [f"images in no list ({len(unlisted)}): {first_few(unlisted)}"] if unlisted else []


def _check_stem(stem: str, where: str, groups: Mapping[str, str], masks: Collection[str]) -> None:
    if "/" in stem or "\\" in stem or stem in (".", ".."):
        raise BadInputError(f"{where}: {stem!r} is a path; write the name alone, without folder and ending")
    if stem not in groups:
        hint = "write it without its ending" if Path(stem).stem in groups else "add the image or remove the line"
        raise BadInputError(f"{where}: there is no image {stem!r} in images/; {hint}")
    if stem not in masks:
        raise BadInputError(f"{where}: there is no mask {stem!r} in masks/; add it (all 0 if free of defects)")


def _hashed(groups: Mapping[str, str], masks: Collection[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    splits = {
        split: tuple(stem for stem, group in groups.items() if stem in masks and side_of(group) == split)
        for split in SPLITS
    }
    counts = ", ".join(f"{len(splits[split])} {split}" for split in SPLITS)
    warnings = [f"no lists (train.txt, val.txt, test.txt): split by a hash of each weld's name, {counts}"]
    bare = [stem for stem in groups if stem not in masks]
    if bare:
        warnings.append(f"images without a mask, left out ({len(bare)}): {first_few(bare)}")
    return splits, warnings


def first_few(stems: list[str]) -> str:
    """At most five of them, for a message."""
    return ", ".join(stems[:5]) + (", ..." if len(stems) > 5 else "")
