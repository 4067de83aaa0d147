"""COCO: one JSON file for many pictures, areas as polygons or run lengths (https://cocodataset.org/#format-data).

Written are images/ and annotations/train.json, val.json, test.json: each connected area one annotation, as run lengths,
which are exact. A category `ignore` holds what counts nowhere. Read are these and what other tools write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seamwise.app.formats.found import IGNORED, Found, Ids, Item, check_size, field, inside, plain
from seamwise.app.formats.shapes import Places, fill_polygon, filled_runs, run_lengths, unpacked_counts
from seamwise.errors import BadInputError
from seamwise.storage.tables import Side
from seamwise.vision.components import find_components
from seamwise.vision.domain import Domain
from seamwise.vision.images import read_mask

IGNORE = "ignore"
_SIDES = {"train": Side.TRAIN, "val": Side.VAL, "valid": Side.VAL, "validation": Side.VAL, "test": Side.TEST}


def find_coco(root: Path) -> list[Path]:
    """The files of a set that may be COCO's."""
    return [
        path for folder in (root, root / "annotations") if folder.is_dir() for path in sorted(folder.glob("*.json"))
    ]


def is_coco(content: object) -> bool:
    """Whether a JSON value is a COCO file's."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read_coco(root: Path, contents: Mapping[str, Any]) -> Found:
    """The set of COCO files, by name; all must name the same categories. Those without an annotation do not count:
    tools write categories that are only a heading, or more than a set uses."""
    categories = {name: _categories(content, name) for name, content in contents.items()}
    first = next(iter(categories))
    used: set[str] = set()
    for name, content in contents.items():
        if list(categories[name].values()) != list(categories[first].values()):
            raise BadInputError(f"{name}: other categories than in {first}; make them alike")
        used |= _used(content, name, categories[name])
    classes = tuple(each for each in categories[first].values() if each in used and each != IGNORE)
    if len(classes) > 254:
        raise BadInputError(f"{first}: {len(classes)} categories; at most 254 fit into a mask")
    ids = {each: number for number, each in enumerate(classes, 1)} | {IGNORE: IGNORED}
    items: list[Item] = []
    seen: set[Path] = set()
    for name, content in contents.items():
        numbers = {number: ids[each] for number, each in categories[name].items() if each in used}
        for item in _items(root, content, name, numbers):
            if item.image in seen:
                raise BadInputError(f"{name}: picture {item.name!r} is listed twice; remove one of them")
            seen.add(item.image)
            items.append(item)
    if not items:
        raise BadInputError("the set lists no pictures")
    return Found("coco", tuple(items), ("background", *classes), IGNORED)


def _categories(content: Any, where: str) -> dict[int, str]:
    """The categories' names by their ids, in the order of the ids."""
    listed = [
        (field(each, "id", int, f"{where}, categories"), field(each, "name", str, f"{where}, categories"))
        for each in field(content, "categories", list, where)
    ]
    if len({number for number, _ in listed}) != len(listed) or len({name for _, name in listed}) != len(listed):
        raise BadInputError(f"{where}: two categories have the same id or name; make them one")
    return dict(sorted(listed))


def _used(content: Any, where: str, categories: Mapping[int, str]) -> set[str]:
    """The names of the categories that annotations have."""
    used: set[str] = set()
    for each in field(content, "annotations", list, where):
        category = field(each, "category_id", int, f"{where}, annotations")
        if category not in categories:
            raise BadInputError(f"{where}: an annotation has the category {category}, which is not listed; list it")
        used.add(categories[category])
    return used


def _items(root: Path, content: Any, where: str, numbers: Mapping[int, int]) -> Iterator[Item]:
    side = _side(where)
    areas: dict[int, list[tuple[int, Any]]] = {}
    for each in content["annotations"]:
        image = field(each, "image_id", int, f"{where}, annotations")
        areas.setdefault(image, []).append((numbers[each["category_id"]], each))
    seen: set[int] = set()
    for each in field(content, "images", list, where):
        name = field(each, "file_name", str, f"{where}, images")
        number = field(each, "id", int, f"{where}, images")
        if number in seen:
            raise BadInputError(f"{where}: two pictures have the id {number}; give each its own")
        seen.add(number)
        group = each.get("group")
        told = each.get("height"), each.get("width")
        yield Item(
            name,
            _find(root, name),
            partial(_draw, areas.pop(number, []), f"{where}, picture {name[:100]!r}", told),
            side,
            group if isinstance(group, str) else None,
        )
    if areas:
        raise BadInputError(f"{where}: annotations of picture {min(areas)}, which is not listed; list or remove it")


def _side(name: str) -> Side | None:
    """The side that a file's name says, as a word of its own: `latest.json` is no test set."""
    said = {_SIDES[word] for word in re.findall("[a-z]+", Path(name).stem.lower()) if word in _SIDES}
    return said.pop() if len(said) == 1 else None


def _find(root: Path, name: str) -> Path:
    for folder in ("", "images"):
        path = inside(root, folder, name) if folder else inside(root, name)
        if plain(path):
            return path
    raise BadInputError(f"{name[:200]!r}: there is no such picture in the set; add it or remove its entry")


def _draw(areas: list[tuple[int, Any]], where: str, told: tuple[Any, Any], size: tuple[int, int]) -> Ids:
    check_size(told, size, where)
    flat = np.zeros(size[0] * size[1], dtype=np.uint8)  # down the columns, as run lengths go
    for number, annotation in areas:
        here = f"{where}, annotation {json.dumps(annotation.get('id'))[:20]}"
        try:
            _paint(flat, number, annotation.get("segmentation"), size)
        except BadInputError as error:
            raise BadInputError(f"{here}: {error}") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInputError(
                f"{here}: an area that is neither polygons nor run lengths; draw it again, or remove it"
            ) from error
    return np.ascontiguousarray(flat.reshape(size, order="F"))


def _paint(flat: Ids, number: int, segmentation: Any, size: tuple[int, int]) -> None:
    if not segmentation:
        raise BadInputError("it has no segmentation, at most a box; draw its outline, or remove it")
    if isinstance(segmentation, list):
        for part in segmentation:
            places = [float(place) for place in part]
            patch = fill_polygon(list(zip(places[::2], places[1::2], strict=True)), size)
            patch.paint(flat.reshape(size, order="F"), number)
        return
    told = field(segmentation, "size", list, "run lengths")
    if told != list(size):
        raise BadInputError(f"run lengths for {str(told)[:60]} pixels, but the picture has {list(size)}")
    counts = field(segmentation, "counts", (list, str), "run lengths")
    if isinstance(counts, list) and not all(type(count) is int for count in counts):
        raise BadInputError("run lengths that are not whole numbers")
    for start, end in filled_runs(unpacked_counts(counts) if isinstance(counts, str) else counts, size):
        flat[start:end] = number


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
            for category, pixels in _areas(ids, domain):
                area += 1
                about = {"id": area, "image_id": number, "category_id": category}
                annotations.append(about | _described(pixels, (height, width)))
        content = {
            "info": {"description": domain.name},
            "images": images,
            "annotations": annotations,
            "categories": categories,
        }
        (folder / f"{side}.json").write_text(json.dumps(content, sort_keys=True))
    return folder


def _areas(ids: Ids, domain: Domain) -> Iterator[tuple[int, Places]]:
    """The connected areas of a mask, each its class id and its pixels' places in the flattened mask; what is ignored is
    one area."""
    found = find_components(ids, len(domain.classes))
    for place, kind in enumerate(found.kinds.tolist()):
        yield kind, found.pixels[found.starts[place] : found.starts[place + 1]].astype(np.intp)
    if domain.ignore is not None and (ids == domain.ignore).any():
        yield domain.ignore, np.flatnonzero(ids == domain.ignore)


def _described(pixels: Places, size: tuple[int, int]) -> dict[str, Any]:
    """An annotation's area; its cost does not grow with the picture."""
    rows, columns = np.divmod(pixels, size[1])
    top, left, bottom, right = (int(n) for n in (rows.min(), columns.min(), rows.max(), columns.max()))
    return {
        "segmentation": {"counts": run_lengths(rows, columns, size), "size": list(size)},
        "area": len(pixels),
        "bbox": [left, top, right - left + 1, bottom - top + 1],
        "iscrowd": 0,
    }
