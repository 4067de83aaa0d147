import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwise.figures.scale import linear, logarithmic, round_step


@given(st.lists(st.none() | st.floats(), max_size=5), st.booleans())
def test_every_value_lands_on_the_axis_and_ticks_are_few(values: list[float | None], whole: bool) -> None:
    for scale in (linear(values, 10, 200, whole=whole), logarithmic(values, 10, 200)):
        assert all(10 - 1e-6 <= scale(v) <= 200 + 1e-6 for v in values if v is not None and math.isfinite(v))
        ticks = [scale(value) for value, _ in scale.ticks()]
        assert len(ticks) <= 22
        assert ticks == sorted(ticks)


def test_linear_axis_ends_on_round_ticks() -> None:
    scale = linear([0.13, 0.78], 0, 100)
    assert (scale.low, scale.high) == pytest.approx((0.0, 0.8))
    assert [label for _, label in scale.ticks()] == ["0", "0.2", "0.4", "0.6", "0.8"]
    assert scale(0.4) == pytest.approx(50)


def test_fixed_ends_are_kept() -> None:
    scale = linear([0.3, 0.97], 0, 100, low=0, high=1)
    assert (scale.low, scale.high) == (0, 1)
    beyond = linear([0.3, 0.9], 0, 100, low=2.0)
    assert beyond.low == 2.0 < beyond.high


def test_whole_numbers_have_whole_ticks() -> None:
    assert [label for _, label in linear([1, 2, 3], 0, 100, whole=True).ticks()] == ["1", "2", "3"]
    assert [label for _, label in linear([4], 0, 100, whole=True).ticks()] == ["4"]


def test_one_value_still_has_a_span() -> None:
    assert linear([0.4], 0, 100)(0.4) == pytest.approx(50)
    assert (linear([0.0], 0, 100).low, linear([0.0], 0, 100).high) == (0.0, 1.0)


def test_log_axis_is_even_in_decades_and_has_a_place_for_zero() -> None:
    scale = logarithmic([0.01, 1.0, 100.0], 0, 100)
    assert [scale(v) for v in (0.01, 1.0, 100.0)] == pytest.approx([0, 50, 100])
    with_zero = logarithmic([0.0, 0.01, 100.0], 0, 100)
    assert with_zero(0.0) == 0 < with_zero(0.01)
    assert [label for _, label in with_zero.ticks()] == ["0", "0.01", "0.1", "1", "10", "100"]
    assert not scale.shows(0.0)
    assert with_zero.shows(0.0)
    assert not with_zero.shows(-1.0)


@pytest.mark.parametrize(("span", "step"), [(1.0, 0.2), (0.65, 0.2), (10, 2), (12, 2.5), (40, 10), (3e-7, 1e-7)])
def test_steps_are_round(span: float, step: float) -> None:
    assert round_step(span, 5) == pytest.approx(step)
