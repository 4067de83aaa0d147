"""The statistics that judge simulated pictures, on arrays whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from seamwise.errors import BadInputError
from seamwise.vision.welds import realism


def noisy(
    sigma: float, seed: int = 0, shape: tuple[int, int] = (400, 600)
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    ramp = np.add.outer(np.linspace(0, 20, shape[0]), np.linspace(60, 120, shape[1]))
    return np.asarray(ramp + np.random.default_rng(seed).normal(0, sigma, shape))


def test_sigma_is_found_under_a_gradient() -> None:
    assert realism.noise_sigma(realism.flat_windows(noisy(2.5))) == pytest.approx(2.5, rel=0.04)


def test_busy_windows_do_not_count() -> None:
    picture = noisy(1.0)
    picture[:200] += 40 * (np.arange(600) // 20 % 2)
    assert realism.noise_sigma(realism.flat_windows(picture)) == pytest.approx(1.0, rel=0.05)


def test_white_noise_has_no_correlation_and_no_slope() -> None:
    windows = realism.flat_windows(noisy(3.0), share=1.0)
    assert np.abs(realism.autocorrelation(windows)).max() < 0.05
    assert abs(realism.noise_slope(windows, 0.05, 1.0, 8.0)) < 0.15


def test_a_moving_mean_correlates_as_it_must() -> None:
    raw = np.random.default_rng(1).normal(size=(400, 605))
    mean = sum(raw[:, k : k + 600] for k in range(5)) / 5  # triangle along rows, nothing down columns
    near, middle, far = realism.autocorrelation(realism.flat_windows(np.asarray(mean), share=1.0))
    assert (near, middle, far) == (
        pytest.approx(0.4, abs=0.05),
        pytest.approx(0.2, abs=0.05),
        pytest.approx(0, abs=0.05),
    )


def test_step_and_span() -> None:
    picture = np.full((100, 200), 30.0)
    picture[40:60] = 130
    assert realism.weld_step(picture) == 100
    assert realism.span(picture) == 100


def test_defects_are_measured_against_their_ring() -> None:
    picture = np.full((80, 120), 100.0)
    mask = np.zeros((80, 120), np.uint8)
    picture[20:30, 10:50] = 70
    mask[20:30, 10:50] = 1
    mask[60, 60] = 4  # too small to measure
    (seen,) = realism.defects_seen(picture, mask, 0.1, sigma=2.0)
    assert seen == realism.DefectSeen(1, pytest.approx(4.0), pytest.approx(30.0), pytest.approx(15.0))


def test_auc_counts_pairs() -> None:
    truth = np.array([1.0, 1.0, 0.0, 0.0])
    assert realism.auc(np.array([3.0, 2.0, 1.0, 0.0]), truth) == 1
    assert realism.auc(np.array([1.0, 1.0, 1.0, 1.0]), truth) == 0.5
    assert realism.auc(np.array([0.0, 3.0, 1.0, 2.0]), truth) == 0.5


def test_the_discriminant_tells_grain_from_white_noise_but_not_like_from_like() -> None:
    white = [realism.patch_features(noisy(2.0, seed)) for seed in range(6)]
    smooth = []
    for seed in range(10, 13):
        picture = noisy(2.0, seed)
        smooth.append(realism.patch_features((picture[1:] + picture[:-1]) / 2))
    assert realism.separability(white[:3], smooth) > 0.95
    assert realism.separability(white[:3], white[3:]) < 0.75


def test_pictures_without_a_flat_place_are_refused() -> None:
    with pytest.raises(BadInputError, match="smaller"):
        realism.flat_windows(np.zeros((50, 50)))
    with pytest.raises(BadInputError, match="burnt out"):
        realism.flat_windows(np.zeros((200, 200), np.uint8))
