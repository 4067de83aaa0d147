"""Figures of a continual run, by hand and by what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwise.continual import metrics

R = [
    [0.90, 0.30, 0.20],
    [0.60, 0.80, 0.40],
    [0.70, 0.50, 0.85],
]


def test_by_hand() -> None:
    assert metrics.average(R) == pytest.approx((0.7 + 0.5 + 0.85) / 3)
    assert metrics.newest(R) == 0.85
    assert metrics.learned(R) == pytest.approx((0.9 + 0.8 + 0.85) / 3)
    assert metrics.backward_transfer(R) == pytest.approx(((0.7 - 0.9) + (0.5 - 0.8)) / 2)
    assert metrics.forward_transfer(R, [0.1, 0.1, 0.1]) == pytest.approx(((0.3 - 0.1) + (0.4 - 0.1)) / 2)
    assert metrics.forgetting(R) == pytest.approx(((0.9 - 0.7) + (0.8 - 0.5)) / 2)
    assert metrics.intransigence(R, [0.95, 0.9, 0.9]) == pytest.approx((0.05 + 0.1 + 0.05) / 3)


def test_the_best_score_counts_whenever_it_was_reached() -> None:
    """Forgetting is measured from the best score before the end, which need not be the diagonal."""
    late = [[0.5, 0.0, 0.0], [0.9, 0.6, 0.0], [0.8, 0.6, 0.7]]
    assert metrics.forgetting(late) == pytest.approx((0.1 + 0.0) / 2)
    assert metrics.backward_transfer(late) == pytest.approx((0.3 + 0.0) / 2)
    early = [[0.5, 0.9, 0.0], [0.5, 0.6, 0.0], [0.5, 0.6, 0.7]]
    assert metrics.forgetting(early) == pytest.approx(0.3 / 2)


def test_what_was_not_measured_is_left_out() -> None:
    gaps = [[0.9, None, None], [0.6, 0.8, None], [None, 0.5, 0.85]]
    assert metrics.average(gaps) == pytest.approx((0.5 + 0.85) / 2)
    assert metrics.backward_transfer(gaps) == pytest.approx(0.5 - 0.8)
    assert metrics.forgetting(gaps) == pytest.approx(0.8 - 0.5)
    assert metrics.forward_transfer(gaps, [0.1, 0.1, 0.1]) is None
    assert metrics.intransigence(gaps, [None, 0.9, 0.9]) == pytest.approx((0.1 + 0.05) / 2)
    nothing: list[list[float | None]] = [[None, None], [None, None]]
    assert set(metrics.summary(nothing).values()) == {None}


def test_one_experience_forgets_nothing_that_could_be_told() -> None:
    summary = metrics.summary([[0.8]])
    assert summary == {
        "average": 0.8,
        "newest": 0.8,
        "learned": 0.8,
        "forgetting": None,
        "backward_transfer": None,
    }


def test_a_single_row_has_an_average_alone() -> None:
    """Joint training learns all experiences at once: there is no before and after."""
    joint = [[0.9, 0.7, 0.8]]
    assert metrics.average(joint) == pytest.approx(0.8)
    assert metrics.newest(joint) == 0.8
    assert metrics.learned(joint) is metrics.forgetting(joint) is metrics.backward_transfer(joint) is None
    assert metrics.forward_transfer(joint, [0.1] * 3) is metrics.intransigence(joint, [1.0] * 3) is None


SCORES = st.floats(0, 1, allow_nan=False)
MATRICES = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(SCORES, min_size=n, max_size=n), min_size=n, max_size=n)
)


@given(MATRICES)
def test_forgetting_is_at_least_the_negative_transfer(matrix: list[list[float]]) -> None:
    forgetting, transfer = metrics.forgetting(matrix), metrics.backward_transfer(matrix)
    assert forgetting is not None
    assert transfer is not None
    assert forgetting >= -transfer - 1e-12
    assert -1 <= transfer <= 1
    assert -1 <= forgetting <= 1


@given(MATRICES)
def test_average_is_what_was_learned_and_its_change_since(matrix: list[list[float]]) -> None:
    """ACC = mean of the diagonal + BWT (n - 1) / n."""
    n = len(matrix)
    average, learned, transfer = metrics.average(matrix), metrics.learned(matrix), metrics.backward_transfer(matrix)
    assert average is not None
    assert learned is not None
    assert transfer is not None
    assert average == pytest.approx(learned + transfer * (n - 1) / n, abs=1e-12)


@given(MATRICES, st.floats(0, 1))
def test_a_constant_score_neither_forgets_nor_transfers(matrix: list[list[float]], score: float) -> None:
    flat = [[score] * len(matrix) for _ in matrix]
    assert metrics.forgetting(flat) == metrics.backward_transfer(flat) == 0
    assert metrics.intransigence(flat, flat[0]) == metrics.forward_transfer(flat, flat[0]) == 0
