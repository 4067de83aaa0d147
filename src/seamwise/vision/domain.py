"""A domain: pictures of one kind with their masks, their class names and their fixed split, read from a folder.

images/ masks/        pictures of one stem: images/film_01.png, masks/film_01.png
train.txt val.txt test.txt   one stem a line
index.csv             optional; columns stem, group (the weld or part), classes (ids present) are used
domain.yaml           optional; see `domain_yaml.py`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seamwise.errors import BadInputError
from seamwise.vision.domain_split import SPLITS, first_few, read_splits
from seamwise.vision.domain_table import Row, read_table
from seamwise.vision.domain_yaml import Description, read_domain_yaml, write_domain_yaml
from seamwise.vision.images import read_image, read_mask

__all__ = ["SPLITS", "Domain", "Sample", "check_domain", "read_domain", "write_domain_yaml"]

_ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Sample:
    """One picture of a domain: its stem, its files, and the weld or part it shows (group)."""

    stem: str
    image: Path
    mask: Path | None
    group: str


@dataclass(frozen=True)
class Domain:
    """Pictures of one kind: what they show and which of them are for training, validation and test.

    classes: names by class id, background first. ignore: mask value that is left out of loss and scores. pitch_mm:
    size of a pixel when the whole domain has one. samples: under "train", "val" and "test". warnings: what is odd but
    no obstacle, for a person.
    """

    name: str
    root: Path
    modality: str
    classes: tuple[str, ...]
    ignore: int | None
    pitch_mm: float | None
    samples: Mapping[str, tuple[Sample, ...]]
    warnings: tuple[str, ...] = ()


def read_domain(folder: str | Path, name: str | None = None) -> Domain:
    """Read a domain's lists and descriptions; pictures are opened only when nothing else tells the classes.

    name: overrides the one in domain.yaml and the folder's. Raises BadInputError naming file and line.
    """
    root = Path(folder)
    try:
        return _read(root, name)
    except OSError as error:
        raise BadInputError(f"{root}: cannot be read ({error}); check its permissions") from error


def _read(root: Path, name: str | None) -> Domain:
    if not root.is_dir():
        raise BadInputError(f"{root}: there is no such folder; a domain is a folder with images/ and masks/")
    images = _files(root / "images")
    masks = _files(root / "masks")
    if not images:
        raise BadInputError(f"{root / 'images'}: no pictures ({', '.join(_ENDINGS)}); put the domain's pictures there")
    if not masks:
        raise BadInputError(f"{root}: a domain without masks; put one mask for each picture, of its name, in masks/")
    for mask in masks.values():
        if mask.suffix.lower() in (".jpg", ".jpeg"):
            raise BadInputError(f"{mask}: JPEG blurs class ids; save the mask as PNG")
    table = read_table(root / "index.csv")
    groups = {stem: (table[stem].group if stem in table else "") or stem for stem in images}
    splits, warnings = read_splits(root, groups, masks)
    about = read_domain_yaml(root / "domain.yaml") or Description(classes=_find_classes(root, table, masks))
    samples = {
        split: tuple(Sample(stem, images[stem], masks[stem], groups[stem]) for stem in stems)
        for split, stems in splits.items()
    }
    orphans = sorted(masks.keys() - images.keys())
    if orphans:
        warnings.append(f"masks without an image ({len(orphans)}): {first_few(orphans)}")
    return Domain(
        name=name or about.name or root.resolve().name,
        root=root,
        modality=about.modality,
        classes=about.classes,
        ignore=about.ignore,
        pitch_mm=about.pitch_mm,
        samples=samples,
        warnings=tuple(warnings),
    )


def check_domain(domain: Domain) -> list[str]:
    """Read every listed picture and mask in full and say all that is wrong; an empty list means nothing is."""
    problems: list[str] = []
    channels: dict[int, list[str]] = {}
    trained: set[int] = set()
    for split in SPLITS:
        for sample in domain.samples[split]:
            try:
                image = read_image(sample.image)
                channels.setdefault(image.pixels.shape[2], []).append(sample.stem)
                if sample.mask is None:
                    continue
                mask = read_mask(sample.mask, len(domain.classes), domain.ignore, image.pixels.shape[:2])
            except BadInputError as error:
                problems.append(str(error))
                continue
            if split == "train":
                trained.update(np.flatnonzero(np.bincount(mask.ravel())).tolist())
            problems += _pitch_problem(sample, image.pitch_mm, domain.pitch_mm)
    if len(channels) > 1:
        kinds = "; ".join(f"{count} in {len(stems)} ({first_few(stems)})" for count, stems in sorted(channels.items()))
        problems.append(f"{domain.root}: pictures with different numbers of channels: {kinds}; save all alike")
    problems += [
        f"{domain.root}: no mask of train shows class {number} ({name}); move a picture of it to train.txt"
        for number, name in enumerate(domain.classes)
        if number not in trained
    ]
    return problems


def _pitch_problem(sample: Sample, found: float | None, declared: float | None) -> list[str]:
    if found is None or declared is None or abs(found - declared) <= 0.01 * declared:
        return []
    return [f"{sample.image}: the file says {found:g} mm a pixel but domain.yaml {declared:g} mm; correct one of them"]


def _files(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by stem; other files, and hidden ones, are left alone."""
    if not folder.is_dir():
        if folder.name == "masks":
            return {}
        raise BadInputError(f"{folder}: there is no such folder; a domain is a folder with images/ and masks/")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _ENDINGS or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise BadInputError(f"{path}: {found[path.stem].name} has the same stem; remove or rename one of them")
        found[path.stem] = path
    return found


def _find_classes(root: Path, table: Mapping[str, Row], masks: Mapping[str, Path]) -> tuple[str, ...]:
    """Names for classes that nobody named, up to the highest id in index.csv or else in the masks."""
    found: dict[int, Path] = {}
    if any(row.classes for row in table.values()):
        found = {number: root / "index.csv" for row in table.values() for number in row.classes}
    else:
        found = {int(read_mask(path, classes=256).max()): path for path in masks.values()}
    highest = max(found)
    if highest == 255:
        raise BadInputError(
            f"{found[highest]}: a mask has the value 255; number the classes 0, 1, ..., or name the classes and say "
            f"`ignore: 255` in {root / 'domain.yaml'}"
        )
    if highest <= 1:
        return ("background", "defect")
    return ("background", *(f"class {number}" for number in range(1, highest + 1)))
