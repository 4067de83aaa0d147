"""The watch on drift: its promise on simulated streams, its delay, and real changes of simulated welds."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from seamwise.errors import BadInputError, UsageError
from seamwise.quality import drift
from seamwise.quality.drift import Evidence, Monitor, calibrate, evidence, fastest_alarm, restart, update
from seamwise.quality.extractor import FEATURES
from tests.quality.pictures import pictures

NAMES = ("a", "b")


def weld_images(rng: np.random.Generator, images: int, likeness: float, size: int = len(NAMES)) -> NDArray:
    """Features of one weld's images: skewed, of which `likeness` is common to the weld."""
    return likeness * rng.standard_exponential(size) + (1 - likeness) * rng.standard_exponential((images, size))


def watch(seed: int, run_length: float, welds: int = 20, images: int = 1, likeness: float = 0.0) -> Monitor:
    rng = np.random.default_rng([seed, 0])
    rows = np.concatenate([weld_images(rng, images, likeness) for _ in range(welds)])
    return calibrate(rows, np.repeat(np.arange(welds), images).astype(str).tolist(), run_length, NAMES)


def run_length(seed: int, promised: float, images: int = 1, likeness: float = 0.0) -> int:
    """Images until the first alarm on a stream like its reference."""
    monitor, rng, weld = watch(seed, promised, images=images, likeness=likeness), np.random.default_rng([seed, 1]), 0
    while True:
        for image in weld_images(rng, images, likeness):
            monitor, seen = update(monitor, image, f"new {weld}")
            if seen.alarm:
                return seen.images
        weld += 1


@pytest.mark.parametrize(("images", "likeness"), [(1, 0.0), (6, 0.0), (6, 0.95)])
def test_false_alarms_are_as_rare_as_promised(images: int, likeness: float) -> None:
    """Also where the images of a weld are nearly equal: an odd weld counts once."""
    promised = 40.0
    lengths = [run_length(seed, promised, images, likeness) for seed in range(80)]
    error = np.std(lengths) / math.sqrt(len(lengths))
    assert np.mean(lengths) > promised - 3 * error
    assert np.mean(lengths) < 4 * promised  # and not by never ringing at all


def test_a_pool_that_slides_keeps_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "_POOL_WELDS", 20)
    lengths = [run_length(seed, 60.0) for seed in range(40)]
    assert np.mean(lengths) > 60 - 3 * np.std(lengths) / math.sqrt(len(lengths))
    monitor = watch(0, 100.0)
    later = monitor
    for weld in range(5):
        later, _ = update(later, np.full(2, float(weld)), f"new {weld}")
    assert np.array_equal(later.pool, np.vstack([monitor.pool[:10], monitor.pool[15:], [[n, n] for n in range(5)]]))


def test_each_bet_is_fair() -> None:
    for n in (1, 7, 200):
        table = drift._gain_table(n)
        assert table.mean(axis=1) == pytest.approx(np.ones(3))
        assert (np.diff(table, axis=1) > 0).all()
    assert drift._gain_table(4)[1, 4] == pytest.approx(
        math.exp(ndtri(0.9)) / np.mean(np.exp(ndtri([0.1, 0.3, 0.5, 0.7, 0.9])))
    )


def test_one_update_by_hand() -> None:
    monitor = replace(watch(0, 50.0), pool=np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    after, seen = update(monitor, [[2.5, 5.0], [9.0, 9.0]], "new")
    table = drift._gain_table(3)
    # Feature a ranks above two and below one; b ties with all, the worst rank for either bet.
    assert after.stakes == pytest.approx(2 * table[:, [2, 0, 1, 0]])
    assert seen == Evidence(pytest.approx(after.stakes.mean()), 50.0, False, (), 2, 1)
    again, seen = update(after, [7.0, 7.0], "new")  # the same weld: an image, no new observation
    assert again.stakes == pytest.approx(after.stakes + 1)
    assert (seen.images, seen.welds, len(again.pool)) == (3, 1, 4)


def alarm_after(monitor: Monitor, shift: float, seed: int, quiet: int = 0) -> tuple[int, Evidence]:
    """Welds from the shift of feature b on until an alarm."""
    rng = np.random.default_rng([seed, 2])
    for weld in range(quiet + 300):
        row = weld_images(rng, 1, 0.0)
        row[:, 1] += shift * (weld >= quiet)
        monitor, seen = update(monitor, row, f"new {weld}")
        if seen.alarm:
            return weld + 1 - quiet, seen
    raise AssertionError("no alarm")


@pytest.mark.parametrize(("shift", "welds"), [(1.0, 40), (2.0, 15), (5.0, 9)])
def test_a_shift_is_seen_soon(shift: float, welds: int) -> None:
    """Of so many standard deviations of one of two features, at one false alarm in 1000 images, after 30 quiet ones."""
    delays = [alarm_after(watch(seed, 1000.0, 50), shift, seed, quiet=30)[0] for seed in range(15)]
    assert 0 < np.median(delays) <= welds


def test_the_feature_that_moved_is_named() -> None:
    _, seen = alarm_after(watch(0, 1000.0, 50), 3.0, 0)
    assert (seen.moved[0].feature, seen.moved[0].up) == ("b", True)
    _, seen = alarm_after(watch(0, 1000.0, 50), -3.0, 0)
    assert (seen.moved[0].feature, seen.moved[0].up) == ("b", False)


def test_a_slow_drift_is_seen() -> None:
    monitor, rng = watch(0, 1000.0, 50), np.random.default_rng(3)
    for weld in range(300):
        monitor, seen = update(monitor, weld_images(rng, 1, 0.0) + weld / 100, f"new {weld}")
        if seen.alarm:
            break
    assert seen.alarm
    assert 20 < seen.welds < 150


def test_states_are_plain_values_and_streams_repeat() -> None:
    def stream(through_json: bool) -> list[Evidence]:
        monitor, rng, found = watch(1, 30.0), np.random.default_rng(9), []
        for weld in range(30):
            monitor, seen = update(monitor, weld_images(rng, 2, 0.5), f"new {weld // 2}")
            found.append(seen)
            if through_json:
                monitor = Monitor.from_json(json.loads(json.dumps(monitor.to_json(), allow_nan=False)))
        assert evidence(monitor) == found[-1]
        return found

    assert stream(True) == stream(False)
    assert stream(False)[-1].welds == 15


def test_an_endless_drift_stays_finite_and_a_restart_ends_it() -> None:
    monitor = watch(1, 100.0)
    for weld in range(400):
        monitor, seen = update(monitor, np.full(2, 10.0 + weld), f"new {weld}")
    assert seen.alarm
    assert np.isfinite(monitor.stakes).all()
    quiet = restart(monitor)
    assert (evidence(quiet).value, evidence(quiet).images, len(quiet.pool)) == (0, 0, len(monitor.pool))


def test_a_reference_too_small_is_refused_and_says_so() -> None:
    assert fastest_alarm(5, 1000) is None
    assert fastest_alarm(20, 1000) == 9
    with pytest.raises(BadInputError, match="5 welds are too few"):
        watch(0, 1000.0, welds=5)
    monitor, welds = watch(0, 1000.0, welds=20), 0
    while not evidence(monitor).alarm:
        monitor, _ = update(monitor, np.full(2, 1000.0 + (-1) ** welds * welds), f"new {welds}")
        welds += 1
    assert welds <= 2 * 9


def test_the_first_image_of_each_weld_counts() -> None:
    monitor = calibrate(np.arange(80.0).reshape(40, 2), [f"w{n // 2}" for n in range(40)], 10, NAMES)
    assert monitor.pool[:, 0].tolist() == list(np.arange(0, 80, 4.0))
    assert monitor.seen == tuple(f"w{n}" for n in range(20))


def test_bad_input_is_named() -> None:
    monitor = watch(0, 50.0)
    with pytest.raises(BadInputError, match=r"\(N, 2\)"):
        update(monitor, np.zeros((1, 3)), "w")
    with pytest.raises(BadInputError, match="not numbers"):
        update(monitor, [[0.0, math.nan]], "w")
    with pytest.raises(BadInputError, match="2 welds"):
        calibrate(np.zeros((3, 2)), ["a", "b"], 50, NAMES)
    with pytest.raises(UsageError, match="average_run_length is 0"):
        calibrate(np.zeros((3, 2)), ["a", "b", "c"], 0, NAMES)


def test_drift_between_simulated_welds_is_seen() -> None:
    """A machine wears out: the weld pictures move a third of the way to another domain."""
    rows, welds = pictures("panel-160kv-8mm", 30)
    monitor = calibrate(rows, welds, 1000)
    assert monitor.names == FEATURES

    def stream(domain: str) -> Evidence:
        state = monitor
        for row, weld in zip(*pictures(domain, 20, seed=1), strict=True):
            state, seen = update(state, row, f"new {weld}")
            if seen.alarm:
                break
        return seen

    assert not stream("panel-160kv-8mm").alarm
    moved = stream("panel-160kv-8mm..gamma-ir192-film@0.3")
    assert moved.alarm
    other = stream("gamma-ir192-film")
    assert other.alarm
    assert other.welds <= moved.welds
    assert other.welds <= 8
