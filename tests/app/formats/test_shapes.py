"""Polygons and run lengths against hand-made and brute-force masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seamwise.app.formats.shapes import fill_polygon, filled_runs, run_lengths, unpacked_counts
from seamwise.errors import BadInputError

COORDINATE = st.floats(-5, 15, allow_nan=False)


def inside(x: float, y: float, points: list[tuple[float, float]]) -> bool:
    """Even-odd rule, point by point."""
    found = False
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 <= y) != (y1 <= y) and x >= x0 + (y - y0) * ((x1 - x0) / (y1 - y0)):
            found = not found
    return found


def filled(points: list[tuple[float, float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    ids = np.zeros(size, np.uint8)
    fill_polygon(points, size).paint(ids, 1)
    return ids > 0


def drawn(counts: list[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    flat = np.zeros(size[0] * size[1], bool)
    for start, end in filled_runs(counts, size):
        flat[start:end] = True
    return flat.reshape(size, order="F")


def lengths(flags: NDArray[np.bool_]) -> list[int]:
    return run_lengths(*np.nonzero(flags), (flags.shape[0], flags.shape[1]))


def test_a_square_holds_the_pixels_whose_centres_it_holds() -> None:
    area = filled([(1, 1), (4, 1), (4, 3), (1, 3)], (5, 6))
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    assert np.array_equal(area, expected)
    assert np.array_equal(filled([(1.4, 0.6), (3.6, 0.6), (3.6, 2.6), (1.4, 2.6)], (5, 6)), expected)


def test_an_area_costs_what_it_covers_and_not_the_picture() -> None:
    patch = fill_polygon([(1000, 2000), (1004, 2000), (1004, 2003)], (20_000, 20_000))
    assert (patch.top, patch.left, patch.flags.shape) == (2000, 1000, (3, 4))
    assert fill_polygon([(-9, -9), (-5, -9), (-5, -5)], (5, 6)).flags.size == 0


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=8))
def test_any_polygon_is_filled_as_point_by_point(points: list[tuple[float, float]]) -> None:
    area = filled(points, (7, 9))
    expected = [[inside(x + 0.5, y + 0.5, points) for x in range(9)] for y in range(7)]
    assert np.array_equal(area, expected)


@pytest.mark.parametrize(
    "points",
    [[(0, 0), (1, 1)], [(0, 0), (1, float("nan")), (2, 2)], [(0, 0), (1, float("inf")), (2, 2)], [(1e9, 0)] * 3],
)
def test_what_is_no_polygon(points: list[tuple[float, float]]) -> None:
    with pytest.raises(BadInputError):
        fill_polygon(points, (5, 5))


@given(st.lists(st.booleans(), min_size=12, max_size=12).filter(any))
def test_run_lengths_lead_back(bits: list[bool]) -> None:
    flags = np.array(bits).reshape(3, 4)
    assert np.array_equal(drawn(lengths(flags), (3, 4)), flags)


def test_run_lengths_go_down_the_columns_from_outside() -> None:
    assert lengths(np.array([[True, False], [False, False]])) == [0, 1, 3]
    assert lengths(np.array([[False, True], [False, True]])) == [2, 2]


@pytest.mark.parametrize("counts", [[3], [5], [-1, 5], [2**63 - 1, 2**63 - 1, 6], []])
def test_run_lengths_fill_the_picture(counts: list[int]) -> None:
    with pytest.raises(BadInputError, match="do not fill 2 x 2"):
        filled_runs(counts, (2, 2))


def packed(counts: list[int]) -> str:
    """The way there, as the format's own description has it."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            letter = value & 31
            value >>= 5
            more = not (value == 0 and not letter & 16) and not (value == -1 and letter & 16)
            text += chr((letter | (32 if more else 0)) + 48)
    return text


@given(st.lists(st.integers(0, 10**6), max_size=12))
def test_compressed_counts_lead_back(counts: list[int]) -> None:
    assert unpacked_counts(packed(counts)) == counts


def test_a_golden_compressed_area() -> None:
    assert unpacked_counts("52203") == [5, 2, 2, 2, 5]


@pytest.mark.parametrize("text", ["P", "~~", "p" * 20, "\x00", "é"])
def test_damaged_compressed_counts(text: str) -> None:
    with pytest.raises(BadInputError, match="damaged"):
        unpacked_counts(text)
