"""LabelMe: one JSON file beside each picture, areas as polygons, rectangles, circles or small masks.

Its own description: the fields `shapes` (each `label`, `points`, `shape_type`, and `mask` as a PNG in base64),
`imagePath`, `imageData`, `imageHeight`, `imageWidth`. Written are masks, which are exact.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seamwise.app.formats.coco import IGNORE
from seamwise.app.formats.found import IGNORED, Found, Ids, Item, check_size, field, inside, plain, read_json
from seamwise.app.formats.shapes import Patch, fill_polygon
from seamwise.app.pictures import PictureLimits, look_at_mask
from seamwise.errors import BadInputError
from seamwise.vision.components import find_components
from seamwise.vision.domain import Domain
from seamwise.vision.images import read_mask
from seamwise.vision.png import encode_png

_VERSION = "5.5.0"  # of the format
_KINDS = "polygon, rectangle, circle or mask"
_CIRCLE_POINTS = 360


def is_labelme(content: object) -> bool:
    """Whether a JSON value is a LabelMe file's."""
    return isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys()


def read_labelme(root: Path, contents: Iterable[tuple[str, Any]], limits: PictureLimits, scratch: Path) -> Found:
    """The set of LabelMe files, each with its name, of which none is kept in memory: they are read again to be drawn.

    Classes are numbered by their names' order. scratch: a folder for pictures that are within their files.
    """
    named: set[str] = set()
    pictures: dict[Path, str] = {}
    for name, content in contents:
        named.update(_labels(content, name))
        path = _beside(root, name, content) or _within(name, content, scratch)
        if path in pictures:
            raise BadInputError(f"{name}: {pictures[path]} describes {path.name!r} too; remove one of them")
        pictures[path] = name
    labels = sorted(named - {IGNORE})
    if len(labels) > 254:
        raise BadInputError(f"{len(labels)} labels; at most 254 fit into a mask")
    numbers = {label: place for place, label in enumerate(labels, 1)} | {IGNORE: IGNORED}
    items = (Item(name, path, partial(_draw, root / name, numbers, name, limits)) for path, name in pictures.items())
    return Found("labelme", tuple(items), ("background", *labels), IGNORED)


def _labels(content: Any, where: str) -> list[str]:
    return [field(shape, "label", str, f"{where}, shapes") for shape in field(content, "shapes", list, where)]


def _beside(root: Path, name: str, content: Any) -> Path | None:
    """The picture that a file names, in the same folder or in images/.

    The name as the tool saved it may lead anywhere on the computer where it ran: its last part counts here.
    """
    told = content.get("imagePath") or ""
    if not isinstance(told, str):
        raise BadInputError(f"{name}: `imagePath` is no name")
    bare = told.replace("\\", "/").rpartition("/")[2]
    if bare in ("", ".", ".."):
        return None
    places = (inside(root, str(Path(name).parent), bare), inside(root, "images", bare))
    return next((place for place in places if plain(place)), None)


def _within(name: str, content: Any, scratch: Path) -> Path:
    """The picture that a file holds, written to a file of its own."""
    data = content.get("imageData")
    if not isinstance(data, str):
        raise BadInputError(f"{name}: no picture of the name in `imagePath` beside it, and none within it; add it")
    path = scratch / hashlib.sha256(name.encode()).hexdigest()
    try:
        path.write_bytes(base64.b64decode(data, validate=True))
    except ValueError as error:
        raise BadInputError(f"{name}: `imageData` is damaged; put the picture beside the file") from error
    return path


def _draw(path: Path, numbers: Mapping[str, int], where: str, limits: PictureLimits, size: tuple[int, int]) -> Ids:
    content = read_json(path, where)
    ids = np.zeros(size, dtype=np.uint8)
    if not numbers.keys() >= set(_labels(content, where)):
        raise BadInputError(f"{where}: it changed while it was imported; import the set again")
    check_size((content.get("imageHeight"), content.get("imageWidth")), size, where)
    for place, shape in enumerate(content["shapes"], 1):
        here = f"{where}, shape {place} ({shape['label'][:40]!r})"
        try:
            _area(shape, size, limits).paint(ids, numbers[shape["label"]])
        except BadInputError as error:
            raise BadInputError(f"{here}: {error}") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInputError(f"{here}: its points are no places in the picture; draw it again") from error
    return ids


def _area(shape: Any, size: tuple[int, int], limits: PictureLimits) -> Patch:
    points = [(float(x), float(y)) for x, y in field(shape, "points", list, "a shape")]
    match shape.get("shape_type", "polygon"), len(points):
        case ("polygon", _) | ("rectangle", 4):  # some tools write all its corners
            return fill_polygon(points, size)
        case "rectangle", 2:
            (x0, y0), (x1, y1) = points
            return fill_polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], size)
        case "circle", 2:
            (x, y), edge = points
            radius = math.dist((x, y), edge)
            turns = np.linspace(0, 2 * math.pi, _CIRCLE_POINTS, endpoint=False)
            return fill_polygon([(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns], size)
        case "mask", 2:
            return _small_mask(field(shape, "mask", str, "a shape"), points[0], size, limits)
        case kind, count:
            raise BadInputError(f"a shape of the kind {str(kind)[:40]!r} with {count} points; draw it as {_KINDS}")


def _small_mask(text: str, corner: tuple[float, float], size: tuple[int, int], limits: PictureLimits) -> Patch:
    """A mask of its own size, whose first pixel is at `corner`."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadInputError("its mask is damaged; draw it again") from error
    with tempfile.NamedTemporaryFile(prefix="seamwise-") as file:
        file.write(data)
        file.flush()
        small = look_at_mask(Path(file.name), "its mask", limits, 256, None, None)
    left, top = round(corner[0]), round(corner[1])
    height, width = small.shape
    if left < 0 or top < 0 or top + height > size[0] or left + width > size[1]:
        raise BadInputError("its mask reaches out of the picture; draw it again")
    return Patch(top, left, small > 0)


def write_labelme(domain: Domain) -> Path:
    """Writes a JSON file beside each picture of a domain folder; the same domain gives the same files. Their folder."""
    folder = domain.root / "images"
    for samples in domain.samples.values():
        for sample in samples:
            assert sample.mask is not None
            ids = read_mask(sample.mask, len(domain.classes), domain.ignore)
            content = {
                "version": _VERSION,
                "flags": {},
                "shapes": _shapes(ids, domain),
                "imagePath": sample.image.name,
                "imageData": None,
                "imageHeight": ids.shape[0],
                "imageWidth": ids.shape[1],
            }
            (folder / f"{sample.stem}.json").write_text(json.dumps(content, sort_keys=True))
    return folder


def _shapes(ids: Ids, domain: Domain) -> list[dict[str, Any]]:
    found = find_components(ids, len(domain.classes))
    areas: list[tuple[str, NDArray[np.intp]]] = [
        (domain.classes[kind], found.pixels[found.starts[place] : found.starts[place + 1]].astype(np.intp))
        for place, kind in enumerate(found.kinds.tolist())
    ]
    if domain.ignore is not None and (ids == domain.ignore).any():
        areas.append((IGNORE, np.flatnonzero(ids == domain.ignore)))
    shapes: list[dict[str, Any]] = []
    for label, pixels in areas:
        rows, columns = np.divmod(pixels, ids.shape[1])
        top, left, bottom, right = (int(n) for n in (rows.min(), columns.min(), rows.max(), columns.max()))
        small = np.zeros((bottom - top + 1, right - left + 1, 1), dtype=np.uint8)
        small[rows - top, columns - left] = 1
        shapes.append(
            {
                "label": label,
                "points": [[left, top], [right, bottom]],
                "shape_type": "mask",
                "mask": base64.b64encode(encode_png(small)).decode(),
                "group_id": None,
                "description": "",
                "flags": {},
            }
        )
    return shapes
