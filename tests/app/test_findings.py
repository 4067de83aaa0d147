"""What a mask shows: regions with their places and sizes, and how clear the answer is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from seamwise.app.findings import MOST_LISTED, confidence_of, find_defects

CLASSES = ("background", "crack", "pore")


def sure(mask: NDArray[np.uint8], peak: float = 0.9) -> NDArray[np.float32]:
    """Probabilities that lead to a mask: `peak` for its class, the others share the rest."""
    p = np.full((3, *mask.shape), (1 - peak) / 2, np.float32)
    np.put_along_axis(p, mask[None].astype(np.int64), np.float32(peak), axis=0)
    return p


def test_each_region_of_a_class_is_a_defect() -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[1:3, 2:6] = 1
    mask[5, 5], mask[6, 6], mask[7, 7] = 1, 1, 1  # touching at corners
    mask[4:6, 9:12] = 2
    mask[9, 0:2] = 2  # two pixels are no call
    p = sure(mask)
    p[1, 2, 3] = 0.97
    found, left_out = find_defects(mask, p, CLASSES, 0.5)
    assert [defect.to_json() for defect in found] == [
        {"class": "crack", "area_px": 8, "area_mm2": 2.0, "box": [2, 1, 4, 2], "probability": 0.97},
        {"class": "pore", "area_px": 6, "area_mm2": 1.5, "box": [9, 4, 3, 2], "probability": 0.9},
        {"class": "crack", "area_px": 3, "area_mm2": 0.75, "box": [5, 5, 3, 3], "probability": 0.9},
    ]
    assert left_out == 0
    assert find_defects(mask, p, CLASSES)[0][0].area_mm2 is None


def test_a_clean_picture_has_none() -> None:
    mask = np.zeros((4, 4), np.uint8)
    assert find_defects(mask, sure(mask), CLASSES) == ([], 0)


def test_of_many_regions_the_largest_are_listed() -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[::4, :3] = 1  # 15 of three pixels
    for row in range(0, 60, 4):
        for column in range(4, 60, 4):
            mask[row : row + 2, column : column + 2] = 2  # 210 of four
    found, left_out = find_defects(mask, sure(mask), CLASSES)
    assert (len(found), left_out) == (MOST_LISTED, 225 - MOST_LISTED)
    assert {defect.class_name for defect in found} == {"pore"}


def background(defect: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([1 - defect, defect])


@pytest.mark.parametrize(
    ("peaks", "confidence"),
    [
        ([], 0.98),  # nothing anywhere beyond the 0.02 of the rest
        ([0.97], 0.97),  # one clear defect
        ([0.3], 0.7),  # a place that is rather none
        ([0.97, 0.45], 0.55),  # the least clear place counts
        ([0.5], 0.5),
    ],
)
def test_the_least_clear_place_says_how_clear_a_picture_is(peaks: list[float], confidence: float) -> None:
    defect = np.full((40, 40), 0.02, np.float32)
    for number, peak in enumerate(peaks):
        top = 4 + 18 * number
        defect[top : top + 9, 4:13] = peak
    assert confidence_of(background(defect)) == pytest.approx(confidence, abs=1e-3)


def test_the_blurred_edge_of_a_clear_defect_makes_nothing_unclear() -> None:
    distance = np.hypot(*np.mgrid[-20:21, -20:21])
    defect = 1 / (1 + np.exp(distance - 8))
    assert confidence_of(background(defect.astype(np.float32))) > 0.98


def test_one_hot_pixel_is_no_doubt() -> None:
    defect = np.zeros((20, 20), np.float32)
    defect[5, 5] = 0.8  # a ninth of it over 3 x 3 pixels
    assert confidence_of(background(defect)) == pytest.approx(1 - 0.8 / 9, abs=1e-3)
