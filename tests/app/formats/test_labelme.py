"""LabelMe files: kinds of shapes, sizes, and sets that are larger than the memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seamwise.app.formats.found import Found
from seamwise.app.formats.reading import read_set
from seamwise.app.pictures import PictureLimits
from seamwise.errors import BadInputError
from tests.app.pictures import SHAPE, picture

LIMITS = PictureLimits(10**6, 10**6)
SQUARE = {"label": "crack", "points": [[1, 1], [4, 1], [4, 3], [1, 3]], "shape_type": "polygon"}


def read(root: Path, *shapes: Any, **changes: Any) -> Found:
    (root / "a.png").write_bytes(picture(1))
    content = {"version": "5", "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    (root / "a.json").write_text(json.dumps(content | changes))
    return read_set(root, "labelme", LIMITS, root)


def drawn(found: Found) -> Any:
    draw = found.items[0].mask
    assert draw is not None
    return draw(SHAPE)


def test_a_rectangle_of_two_corners_or_of_four(tmp_path: Path) -> None:
    expected = np.zeros(SHAPE, np.uint8)
    expected[1:3, 1:4] = 1
    for points in ([[1, 1], [4, 3]], SQUARE["points"]):
        assert np.array_equal(drawn(read(tmp_path, SQUARE | {"shape_type": "rectangle", "points": points})), expected)


def test_shapes_that_were_drawn_on_another_size(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"a.json: drawn on 80 x 60 pixels, but the picture has 8 x 6"):
        drawn(read(tmp_path, SQUARE, imageHeight=60, imageWidth=80))
    for told in ({}, {"imageHeight": None, "imageWidth": None}, {"imageHeight": 6, "imageWidth": 8}):
        assert drawn(read(tmp_path, SQUARE, **told)).sum() == 6


def test_an_error_names_the_shape(tmp_path: Path) -> None:
    found = read(tmp_path, SQUARE, {"label": "pore", "points": [[1, 1]], "shape_type": "point"})
    with pytest.raises(BadInputError, match=r"a.json, shape 2 \('pore'\): a shape of the kind 'point'"):
        drawn(found)


@pytest.mark.parametrize("data", ["é", "!!!"])
def test_pixels_that_are_no_base64(tmp_path: Path, data: str) -> None:
    with pytest.raises(BadInputError, match="`imageData` is damaged"):
        read(tmp_path, SQUARE, imagePath="none.png", imageData=data)
    found = read(tmp_path, {"label": "a", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": data})
    with pytest.raises(BadInputError, match="its mask is damaged"):
        drawn(found)


def test_shapes_are_not_kept_in_memory(tmp_path: Path) -> None:
    """A set may have more of them than fit: each file is read again when it is drawn."""
    found = read(tmp_path, SQUARE)
    read(tmp_path, SQUARE | {"points": [[0, 0], [8, 0], [8, 6], [0, 6]]})
    assert drawn(found).sum() == 48
    read(tmp_path, SQUARE | {"label": "pore"})
    with pytest.raises(BadInputError, match="it changed while it was imported"):
        drawn(found)
