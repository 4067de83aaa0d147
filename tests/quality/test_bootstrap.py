"""The bootstrap over welds against closed forms, and its promises by simulation."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t as student

from seamwise.errors import UsageError
from seamwise.quality.bootstrap import Draws, average, compare, draw_weights, draws, estimate, fewest_welds, unseen
from seamwise.quality.tally import (
    DEFECT_IOU,
    DEFECT_RECALL,
    FALSE_CALLS,
    SMALL_RECALL,
    Statistic,
    Tally,
    class_iou,
    tally,
)
from tests.quality.counting import answers, image

MEAN = Statistic("mean", lambda sums: sums.false_calls / sums.images, lambda sums: sums.images)


def of_values(values: NDArray) -> Tally:
    """Welds of one image each, whose false calls are these values."""
    numbers = np.zeros((len(values), 4 + 4 + 4))
    numbers[:, 0], numbers[:, 1] = 1, values
    return Tally(numbers, 2)


def of_recalls(found: NDArray, defects: NDArray) -> Tally:
    numbers = np.zeros((len(found), 4 + 4 + 4))
    numbers[:, 0], numbers[:, 9], numbers[:, 11] = 1, defects, found
    return Tally(numbers, 2)


def test_counts_add_up_by_weld() -> None:
    counts = [
        image("c", [(1, 100, 60), (2, 10, 0)], false_calls=2, classes=3),
        image("a", [(2, 10, 1)], classes=3),
        image("b", [], false_calls=1, classes=3),
    ]
    sums = tally(counts, {"a": "W2", "b": "W1", "c": "W1"}, classes=3, small_px=10)
    assert sums.images.tolist() == [2, 1]
    assert sums.false_calls.tolist() == [3, 0]
    assert sums.defects.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert sums.found.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert (sums.small.tolist(), sums.small_found.tolist()) == ([1, 1], [0, 1])
    total = sums.total()
    assert total.confusion.tolist() == [[29_850, 30, 0], [40, 60, 0], [19, 0, 1]]
    assert DEFECT_IOU.value(total) == 61 / 150
    assert class_iou(1).value(total) == 60 / 130
    assert class_iou(2).value(total) == 1 / 20
    assert DEFECT_RECALL.value(total) == 2 / 3
    assert SMALL_RECALL.value(total) == 1 / 2
    assert FALSE_CALLS.value(total) == 1


def test_a_resample_is_the_sum_of_its_welds() -> None:
    sums = of_values(np.array([1.0, 4.0, 7.0]))
    drawn = sums.resampled(np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]]))
    assert MEAN.value(drawn).tolist() == [3.0, 4.0]


def test_counts_must_fit_the_set() -> None:
    with pytest.raises(UsageError, match="'b'"):
        tally([image("a", [])], {"a": "W", "b": "W"}, classes=2, small_px=1)
    with pytest.raises(UsageError, match="'a'"):
        tally([image("a", []), image("a", [])], {"a": "W"}, classes=2, small_px=1)
    with pytest.raises(UsageError, match="3 classes"):
        tally([image("a", [], classes=3)], {"a": "W"}, classes=2, small_px=1)


def test_weights_draw_as_many_welds_as_there_are() -> None:
    weights = draw_weights(7, 4000, [3, 1])
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.06)
    assert np.array_equal(weights, draw_weights(7, 4000, [3, 1]))
    assert not np.array_equal(weights, draw_weights(7, 4000, [3, 2]))


@pytest.mark.parametrize("n", [8, 30])
def test_the_interval_of_a_mean_is_the_t_interval(n: int) -> None:
    values = np.random.default_rng(4).uniform(size=n)
    found = estimate(draws(MEAN, of_values(values), draw_weights(n, 20_000, [0])))
    error = values.std(ddof=1) / math.sqrt(n)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(error, rel=0.02)
    half = float(student.ppf(0.975, n - 1)) * error
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.08 * half)


def test_pairing_takes_out_what_both_models_share() -> None:
    rng = np.random.default_rng(5)
    hard = rng.normal(10, 3, 40)
    a, b = of_values(hard), of_values(hard - 0.3 + rng.normal(0, 0.1, 40))
    paired = compare(MEAN, b, a)
    apart = estimate(draws(MEAN, b, draw_weights(40, 2000, [1])).minus(draws(MEAN, a, draw_weights(40, 2000, [2]))))
    assert paired.value == pytest.approx(apart.value)
    assert paired.error is not None
    assert apart.error is not None
    assert paired.error < 0.1 * apart.error
    assert paired.interval is not None
    assert paired.interval[1] < -0.2


def coverage(simulate: object, truth: float, statistic: Statistic, rounds: int, welds: int) -> float:
    """Share of simulated sets whose interval of the difference covers the true one."""
    hits = 0
    for seed in range(rounds):
        mine, other = simulate(np.random.default_rng([6, seed]))  # type: ignore[operator]
        found = compare(statistic, mine, other, resamples=600, seed=seed)
        assert found.interval is not None
        assert found.welds == welds
        hits += found.interval[0] <= truth <= found.interval[1]
    return hits / rounds


def test_the_interval_covers_as_often_as_it_says() -> None:
    def simulate(rng: np.random.Generator) -> tuple[Tally, Tally]:
        hard = rng.normal(5, 1, 12)
        return of_values(hard + rng.normal(0.2, 0.5, 12)), of_values(hard)

    rounds = 500
    assert abs(coverage(simulate, 0.2, MEAN, rounds, 12) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / rounds)


def test_shares_that_hardly_ever_change_are_covered_too() -> None:
    """Each found defect is lost with probability 3 %: 30 welds often hold no such loss, and no resample shows one."""

    def simulate(rng: np.random.Generator) -> tuple[Tally, Tally]:
        defects = np.ones(30)
        return of_recalls(rng.binomial(1, 0.97, 30), defects), of_recalls(defects, defects)

    rounds = 120
    assert coverage(simulate, -0.03, DEFECT_RECALL, rounds, 30) > 0.95
    naive = Statistic("recall", DEFECT_RECALL.value, DEFECT_RECALL.base)  # the same without `events`
    assert coverage(simulate, -0.03, naive, rounds, 30) < 0.75


def test_what_is_unseen_solves_the_score_test_without_discordant_pairs() -> None:
    n, z2 = 20, 1.959963984540054**2
    share = unseen(n, 0.95)
    # Tango 1998: (b - c - n d)^2 = z^2 n (2 q + d (1 - d)) at b = c = 0, where the constrained q is 0.
    assert (n * share) ** 2 == pytest.approx(z2 * n * share * (1 - share))


def test_the_detectable_difference_is_seen_as_often_as_asked() -> None:
    def simulate(rng: np.random.Generator, shift: float) -> tuple[Tally, Tally]:
        hard = rng.normal(5, 1, 20)
        return of_values(hard + shift + rng.normal(0, 0.5, 20)), of_values(hard)

    sizes = [
        compare(MEAN, *simulate(np.random.default_rng([7, seed]), 0.0), resamples=600).detectable for seed in range(50)
    ]
    shift = float(np.mean([size for size in sizes if size is not None]))
    seen = 0
    for seed in range(300):
        found = compare(MEAN, *simulate(np.random.default_rng([8, seed]), shift), resamples=600)
        seen += found.interval is not None and found.interval[0] > 0
    assert seen / 300 == pytest.approx(0.8, abs=0.08)


def test_too_few_welds_give_no_interval() -> None:
    assert [fewest_welds(confidence) for confidence in (0.9, 0.95, 0.99)] == [5, 6, 8]
    five, six = (compare(MEAN, of_values(np.arange(n)), of_values(np.zeros(n))) for n in (5, 6))
    assert five.interval is None
    assert (five.error, five.detectable, five.value) == (None, None, 2.0)
    assert six.interval is not None


def test_only_welds_that_hold_something_count() -> None:
    defects = np.array([1.0] * 6 + [0.0] * 94)
    found = compare(DEFECT_RECALL, of_recalls(0 * defects, defects), of_recalls(defects, defects))
    assert found.welds == 6
    assert found.value == -1
    assert found.interval is not None  # although some resamples hold no defect at all
    one_less = compare(DEFECT_RECALL, of_recalls(0 * defects[1:], defects[1:]), of_recalls(defects[1:], defects[1:]))
    assert one_less.interval is None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_a_worse_model_never_gets_a_better_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    defects = rng.integers(0, 4, 12).astype(float)
    defects[0] += 1
    production = rng.binomial(defects.astype(int), 0.8)
    candidate = rng.binomial(defects.astype(int), 0.7)
    worse = rng.binomial(candidate, 0.8)
    a, b = (
        compare(DEFECT_RECALL, of_recalls(model, defects), of_recalls(production, defects), resamples=500)
        for model in (candidate, worse)
    )
    if a.interval is not None and b.interval is not None:
        assert b.interval[0] <= a.interval[0]
        assert b.interval[1] <= a.interval[1]


def test_averages_of_independent_sets() -> None:
    parts = [
        draws(MEAN, of_values(np.random.default_rng(seed).normal(seed, 1, 30)), draw_weights(30, 4000, [seed]))
        for seed in range(3)
    ]
    mean = estimate(average(parts))
    errors = [estimate(part).error or 0.0 for part in parts]
    assert mean.value == pytest.approx(np.mean([part.value for part in parts]))
    assert mean.error == pytest.approx(math.hypot(*errors) / 3, rel=0.05)


def test_comparisons_need_one_truth() -> None:
    sums = of_recalls(np.ones(8), np.ones(8))
    with pytest.raises(UsageError, match="same set"):
        compare(DEFECT_RECALL, sums, of_recalls(np.ones(8), 2 * np.ones(8)))
    with pytest.raises(UsageError, match="same set"):
        compare(DEFECT_RECALL, sums, of_recalls(np.ones(7), np.ones(7)))


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95.0, math.nan])
def test_a_confidence_is_a_probability(confidence: float) -> None:
    with pytest.raises(UsageError, match="confidence"):
        estimate(Draws(0.0, np.zeros(10), 10), confidence=confidence)


def test_many_welds_take_little_time() -> None:
    counts = answers(0.8, 500), answers(0.78, 500)
    mine, other = (tally(part, {item.name: item.name for item in part}, classes=2, small_px=20) for part in counts)
    begin = time.process_time()
    compare(DEFECT_IOU, mine, other, resamples=2000)
    assert time.process_time() - begin < 1
