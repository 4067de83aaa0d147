"""COCO: one JSON file for many pictures, areas as polygons or run lengths (https://cocodataset.org/#format-data).

Written are images/ and annotations/train.json, val.json, test.json: each connected area one annotation, as run lengths,
which are exact. A category `ignore` holds what counts nowhere. Read are these and what other tools write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seamwise.app.formats.found import IGNORED, Found, Ids, Item, field, inside, plain
from seamwise.app.formats.shapes import Flags, fill_polygon, from_run_lengths, run_lengths, unpacked_counts
from seamwise.errors import BadInputError
from seamwise.storage.tables import Side
from seamwise.vision.components import find_components
from seamwise.vision.domain import Domain
from seamwise.vision.images import read_mask

IGNORE = "ignore"


def find_coco(root: Path) -> list[Path]:
    """The files of a set that may be COCO's."""
    return [
        path for folder in (root, root / "annotations") if folder.is_dir() for path in sorted(folder.glob("*.json"))
    ]


def is_coco(content: object) -> bool:
    """Whether a JSON value is a COCO file's."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read_coco(root: Path, contents: Mapping[str, Any]) -> Found:
    """The set of COCO files, by name; all must name the same categories."""
    classes: tuple[str, ...] | None = None
    items: list[Item] = []
    seen: set[Path] = set()
    for name, content in contents.items():
        numbers, names = _categories(content, name)
        if classes is not None and names != classes:
            raise BadInputError(f"{name}: other categories than in {next(iter(contents))}; make them alike")
        classes = names
        side = next((side for side in Side if side in Path(name).stem.lower()), None)
        for item in _items(root, content, name, numbers, side):
            if item.image in seen:
                raise BadInputError(f"{name}: picture {item.name!r} is listed twice; remove one of them")
            seen.add(item.image)
            items.append(item)
    if not items:
        raise BadInputError("the set lists no pictures")
    return Found("coco", tuple(items), classes, IGNORED)


def _categories(content: Any, where: str) -> tuple[dict[int, int], tuple[str, ...]]:
    """Class ids by category id, and names by class id."""
    listed = [
        (field(each, "id", int, f"{where}, categories"), field(each, "name", str, f"{where}, categories"))
        for each in field(content, "categories", list, where)
    ]
    names = sorted((number, name) for number, name in listed if name != IGNORE)
    if len({number for number, _ in listed}) != len(listed) or len({name for _, name in listed}) != len(listed):
        raise BadInputError(f"{where}: two categories have the same id or name")
    if len(names) > 254:
        raise BadInputError(f"{where}: {len(names)} categories; at most 254 fit into a mask")
    numbers = {number: place for place, (number, _) in enumerate(names, 1)}
    numbers |= {number: IGNORED for number, name in listed if name == IGNORE}
    return numbers, ("background", *(name for _, name in names))


def _items(root: Path, content: Any, where: str, numbers: Mapping[int, int], side: Side | None) -> Iterator[Item]:
    areas: dict[int, list[tuple[int, Any]]] = {}
    for each in field(content, "annotations", list, where):
        category = field(each, "category_id", int, f"{where}, annotations")
        if category not in numbers:
            raise BadInputError(f"{where}: an annotation has the category {category}, which is not listed")
        image = field(each, "image_id", int, f"{where}, annotations")
        areas.setdefault(image, []).append((numbers[category], each.get("segmentation")))
    for each in field(content, "images", list, where):
        name = field(each, "file_name", str, f"{where}, images")
        number = field(each, "id", int, f"{where}, images")
        path = _find(root, name)
        group = each.get("group")
        yield Item(
            name,
            path,
            partial(_draw, areas.pop(number, []), f"{where}, picture {name[:100]!r}"),
            side,
            group if isinstance(group, str) else None,
        )
    if areas:
        raise BadInputError(f"{where}: annotations of picture {min(areas)}, which is not listed")


def _find(root: Path, name: str) -> Path:
    for folder in ("", "images"):
        path = inside(root, folder, name) if folder else inside(root, name)
        if plain(path):
            return path
    raise BadInputError(f"{name[:200]!r}: there is no such picture in the set; add it or remove its entry")


def _draw(areas: list[tuple[int, Any]], where: str, size: tuple[int, int]) -> Ids:
    ids = np.zeros(size, dtype=np.uint8)
    for number, segmentation in areas:
        try:
            ids[_area(segmentation, size)] = number
        except BadInputError as error:
            raise BadInputError(f"{where}: {error}") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInputError(f"{where}: an area that is neither polygons nor run lengths") from error
    return ids


def _area(segmentation: Any, size: tuple[int, int]) -> Flags:
    if isinstance(segmentation, list) and segmentation:
        area = np.zeros(size, dtype=bool)
        for flat in segmentation:
            numbers = [float(number) for number in flat]
            area |= fill_polygon(list(zip(numbers[::2], numbers[1::2], strict=True)), size)
        return area
    told = field(segmentation, "size", list, "run lengths")
    if told != list(size):
        raise BadInputError(f"run lengths for {str(told)[:60]} pixels, but the picture has {list(size)}")
    counts = field(segmentation, "counts", (list, str), "run lengths")
    if isinstance(counts, list) and not all(type(count) is int for count in counts):
        raise BadInputError("run lengths that are not whole numbers")
    return from_run_lengths(unpacked_counts(counts) if isinstance(counts, str) else counts, size)


def write_coco(domain: Domain) -> Path:
    """Writes annotations/ beside a domain folder's images/; the same domain gives the same files. Their folder."""
    folder = domain.root / "annotations"
    folder.mkdir(exist_ok=True)
    categories = [{"id": number, "name": name} for number, name in enumerate(domain.classes) if number]
    if domain.ignore is not None:
        categories.append({"id": domain.ignore, "name": IGNORE})
    number = area = 0
    for side, samples in domain.samples.items():
        images, annotations = [], []
        for sample in samples:
            number += 1
            assert sample.mask is not None
            ids = read_mask(sample.mask, len(domain.classes), domain.ignore)
            height, width = ids.shape
            images.append(
                {"id": number, "file_name": sample.image.name, "width": width, "height": height, "group": sample.group}
            )
            for category, flags in _areas(ids, domain):
                area += 1
                annotations.append({"id": area, "image_id": number, "category_id": category} | _described(flags))
        content = {
            "info": {"description": domain.name},
            "images": images,
            "annotations": annotations,
            "categories": categories,
        }
        (folder / f"{side}.json").write_text(json.dumps(content, sort_keys=True))
    return folder


def _areas(ids: Ids, domain: Domain) -> Iterator[tuple[int, Flags]]:
    """The connected areas of a mask, each with its class id; what is ignored is one area."""
    found = find_components(ids, len(domain.classes))
    for place, kind in enumerate(found.kinds.tolist()):
        flags = np.zeros(ids.size, dtype=bool)
        flags[found.pixels[found.starts[place] : found.starts[place + 1]]] = True
        yield kind, flags.reshape(ids.shape)
    if domain.ignore is not None and (ids == domain.ignore).any():
        yield domain.ignore, ids == domain.ignore


def _described(flags: Flags) -> dict[str, Any]:
    rows, columns = np.flatnonzero(flags.any(1)), np.flatnonzero(flags.any(0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "segmentation": {"counts": run_lengths(flags), "size": list(flags.shape)},
        "area": int(flags.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "iscrowd": 0,
    }
