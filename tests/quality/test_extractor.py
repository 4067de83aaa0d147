"""Feature statistics: what they tell, what they must not react to, and values that must never change."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from seamwise.errors import BadInputError
from seamwise.quality.extractor import FEATURES, extract

GOLDEN = [
    *(4.0755, 4.4014, 5.4615, -14.5727, 6.6835, 0.5914),
    *(-16.5539, -14.3171, -12.2748, -10.8079, -13.7265, 6.9537),
    *(7.072, 7.2757, 8.0915, 6.0322, -19.7003, 0.4446),
]


def noise(shape: tuple[int, ...] = (192, 256), sigma: float = 0.05, seed: int = 0) -> NDArray:
    return np.clip(0.5 + np.random.default_rng(seed).normal(0, sigma, shape), 0, 1).astype(np.float32)


def feature(image: NDArray, name: str) -> float:
    return float(extract(image)[FEATURES.index(name)])


def test_values_never_change() -> None:
    """States and references are stored: another value here means that all of them must be made anew."""
    rows, columns = np.mgrid[:100, :150] / 150
    picture = np.stack(
        [0.4 + 0.2 * np.sin(40 * rows) + 0.1 * np.sin(60 * rows * columns), 0.5 + 0 * rows, 0.3 + 0.3 * rows]
    )
    assert extract(picture) == pytest.approx(GOLDEN, abs=2e-4)


def test_levels_and_colour() -> None:
    ramp = np.linspace(0.2, 0.6, 256 * 256, dtype=np.float32).reshape(256, 256)
    grey = extract(ramp)
    assert grey[:3] == pytest.approx([0.204 / 0.08, 0.4 / 0.1, 0.596 / 0.1], abs=0.01)
    assert grey[3] == pytest.approx(np.log(0.4**2 / 12) / 0.4, abs=0.01)
    red = np.stack([ramp + 0.06, ramp, ramp])
    assert (feature(red, "saturation"), feature(red, "warmth")) == pytest.approx((2, 2), abs=1e-3)
    assert (feature(ramp, "saturation"), feature(ramp, "warmth")) == (0, 0)


def test_white_noise_halves_its_amplitude_each_octave() -> None:
    energies = [feature(noise((512, 512)), f"energy {level}") for level in range(5)]
    # The variance of a mean of 2 x 2 pixels is a quarter: log 4 less an octave, in units of 0.6.
    assert np.diff(energies) == pytest.approx(np.full(4, -np.log(4) / 0.6), abs=0.25)
    assert energies[0] == pytest.approx(np.log(3 / 4 * 0.05**2) / 0.6, abs=0.05)


def test_blur_takes_the_finest_texture_and_stripes_lean() -> None:
    blurred = ndimage.gaussian_filter(noise(), 1.5)
    assert feature(blurred, "energy 0") < feature(noise(), "energy 0") - 4
    stripes = np.tile(0.5 + 0.2 * np.sin(np.arange(192) * 1.1)[:, None], (1, 256)).astype(np.float32)
    assert feature(stripes, "direction 0") > 3
    assert feature(stripes.T, "direction 0") == pytest.approx(-feature(stripes, "direction 0"), abs=1e-3)


def test_a_cut_looks_like_the_whole() -> None:
    whole = ndimage.gaussian_filter(noise((512, 2048)), 0.7)
    assert extract(whole[:256, :512]) == pytest.approx(extract(whole), abs=0.7)


def test_depth_and_container_do_not_matter() -> None:
    eight = (noise() * 255).round()
    assert np.array_equal(extract((eight / 255).astype(np.float32)), extract(eight * 257 / 65535))
    assert np.array_equal(extract(noise()), extract(noise()[None]))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5, 300), (3, 64, 64), (63, 65), (700, 3)])
def test_any_size_has_finite_features(shape: tuple[int, ...]) -> None:
    for picture in (noise(shape), np.zeros(shape), np.ones(shape)):
        found = extract(picture)
        assert found.shape == (len(FEATURES),)
        assert np.isfinite(found).all()
        assert np.abs(found).max() < 100


@pytest.mark.parametrize("bad", [np.zeros((2, 8, 8)), np.zeros(8), np.zeros((0, 8)), np.full((8, 8), np.nan)])
def test_other_arrays_are_refused(bad: NDArray) -> None:
    with pytest.raises(BadInputError, match="features need"):
        extract(bad)


def test_a_long_film_takes_little_time() -> None:
    film = noise((400, 4000))
    begin = time.process_time()
    extract(film)
    assert time.process_time() - begin < 1
