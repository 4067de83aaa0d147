"""COCO files as tools write them, and those that would be drawn wrong without a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seamwise.app.formats.coco import write_coco
from seamwise.app.formats.found import Found
from seamwise.app.formats.reading import read_set
from seamwise.app.limits import TooLargeError
from seamwise.app.pictures import PictureLimits
from seamwise.errors import BadInputError
from seamwise.storage.tables import Side
from seamwise.vision.domain import Domain, Sample
from seamwise.vision.images import write_image
from tests.app.pictures import SHAPE, picture

LIMITS = PictureLimits(10**6, 10**6)
SQUARE = [[1, 1, 4, 1, 4, 3, 1, 3]]


def annotation(**changes: Any) -> dict[str, Any]:
    return {"id": 5, "image_id": 1, "category_id": 1, "segmentation": SQUARE} | changes


def read(root: Path, name: str = "set.json", **changes: Any) -> Found:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
        "annotations": [annotation()],
        "categories": [{"id": 1, "name": "crack"}],
    }
    (root / "a.png").write_bytes(picture(1))
    (root / "b.png").write_bytes(picture(2))
    (root / name).write_text(json.dumps(content | changes))
    return read_set(root, "coco", LIMITS, root)


def drawn(found: Found) -> Any:
    draw = found.items[0].mask
    assert draw is not None
    return draw(SHAPE)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("instances_train2017.json", Side.TRAIN),
        ("valid.json", Side.VAL),
        ("_annotations_test.coco.json", Side.TEST),
        ("latest.json", None),
        ("constraints.json", None),
        ("interval_3.json", None),
        ("train_and_test.json", None),
    ],
)
def test_a_side_is_a_word_of_the_file_s_name(tmp_path: Path, name: str, side: Side | None) -> None:
    assert [item.side for item in read(tmp_path, name).items] == [side]


def test_categories_without_an_annotation_do_not_count(tmp_path: Path) -> None:
    found = read(tmp_path, categories=[{"id": 0, "name": "flaws"}, {"id": 1, "name": "crack"}])
    assert found.classes == ("background", "crack")
    assert drawn(found).sum() == 6


def test_two_pictures_of_one_id(tmp_path: Path) -> None:
    """The second would get no area, and count as a weld without a flaw."""
    images = [{"id": 1, "file_name": name} for name in ("a.png", "b.png")]
    with pytest.raises(BadInputError, match="two pictures have the id 1"):
        read(tmp_path, images=images)


def test_areas_that_were_drawn_on_another_size(tmp_path: Path) -> None:
    found = read(tmp_path, images=[{"id": 1, "file_name": "a.png", "width": 16, "height": 12}])
    with pytest.raises(BadInputError, match=r"'a.png': drawn on 16 x 12 pixels, but the picture has 8 x 6"):
        drawn(found)
    for width in (0, None):
        assert drawn(read(tmp_path, images=[{"id": 1, "file_name": "a.png", "width": width, "height": 0}])).any()


@pytest.mark.parametrize("segmentation", [[], None])
def test_a_box_is_no_area(tmp_path: Path, segmentation: Any) -> None:
    found = read(tmp_path, annotations=[annotation(segmentation=segmentation, bbox=[1, 1, 3, 2])])
    with pytest.raises(BadInputError, match=r"set.json, picture 'a.png', annotation 5: .* draw its outline"):
        drawn(found)


def test_the_parts_of_an_area_are_united_and_later_areas_lie_above(tmp_path: Path) -> None:
    parts = [[0, 0, 4, 0, 4, 2, 0, 2], [2, 1, 6, 1, 6, 3, 2, 3]]
    found = read(
        tmp_path,
        annotations=[
            annotation(segmentation=parts),
            annotation(category_id=2, segmentation={"size": [6, 8], "counts": [0, 1, 47]}, iscrowd=1),
        ],
        categories=[{"id": 2, "name": "pore"}, {"id": 1, "name": "crack"}],
    )
    expected = np.zeros(SHAPE, np.uint8)
    expected[0:2, 0:4] = expected[1:3, 2:6] = 1
    expected[0, 0] = 2
    assert np.array_equal(drawn(found), expected)


def test_text_that_no_database_can_hold(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"`name` is '\\ud800', which is no text") as caught:
        read(tmp_path, categories=[{"id": 1, "name": "\ud800"}])
    str(caught.value).encode()


def test_files_are_in_memory_together_within_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tmp_path)
    monkeypatch.setattr("seamwise.app.formats.reading.LARGEST_JSON", (tmp_path / "set.json").stat().st_size + 10)
    with pytest.raises(TooLargeError, match=r"set.json: with the files before it"):
        read(tmp_path, "other.json")


def test_a_large_picture_of_many_areas_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an area costs must not grow with the picture: nothing of the picture's size is made for each."""
    (tmp_path / "images").mkdir()
    ids = np.zeros((300, 400), np.uint8)
    ids[::3, ::3] = 1
    write_image(tmp_path / "mask.png", ids)
    write_image(tmp_path / "images" / "a.png", ids)
    sizes: list[int] = []
    real = np.zeros

    def counted(shape: Any, *args: Any, **kwargs: Any) -> Any:
        made = real(shape, *args, **kwargs)
        sizes.append(made.size)
        return made

    sample = Sample("a", tmp_path / "images" / "a.png", tmp_path / "mask.png", "g")
    domain = Domain("steel", tmp_path, "x", ("background", "crack"), None, None, {"train": (sample,)})
    monkeypatch.setattr(np, "zeros", counted)
    write_coco(domain)
    found = read_set(tmp_path, "coco", LIMITS, tmp_path)
    assert found.items[0].mask is not None
    assert np.array_equal(found.items[0].mask(ids.shape), ids)
    assert sum(size >= ids.size for size in sizes) < 5, "13,400 areas"
