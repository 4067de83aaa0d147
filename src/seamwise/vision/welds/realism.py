"""Statistics by which a simulated weld radiograph is compared with real ones: noise, grain, histogram, defects.

Every function takes a picture as a plain (H, W) array, real or simulated, and says nothing about where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, label

from seamwise.errors import BadInputError

Doubles = NDArray[np.float64]
AnyPicture = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float64] | NDArray[np.float32]


def flat_windows(picture: AnyPicture, size: int = 96, share: float = 0.15) -> Doubles:
    """The flattest windows of a picture, each less its quadratic trend: (n, size, size) of noise.

    A window is flat when its coarse structure (means of 8 x 8 pixels) varies least; burnt-out ones are left out.
    Raises BadInputError when the picture is smaller than a window or burnt out everywhere.
    """
    values = np.asarray(picture, np.float64)
    rows, cols = values.shape[0] // size, values.shape[1] // size
    if rows == 0 or cols == 0:
        raise BadInputError(
            f"a picture of {values.shape} pixels is smaller than a window of {size}; choose a smaller size"
        )
    tiles = values[: rows * size, : cols * size].reshape(rows, size, cols, size).swapaxes(1, 2).reshape(-1, size, size)
    clipped = np.mean((tiles <= values.min()) | (tiles >= values.max()), (1, 2))
    tiles = tiles[clipped < 0.01]
    if len(tiles) == 0:
        raise BadInputError("every window of the picture is burnt out; nothing is left to measure the noise in")
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    flat = tiles.reshape(len(tiles), -1)
    rest = (flat - (flat @ np.linalg.pinv(terms).T) @ terms.T).reshape(-1, size, size)
    edge = size // 8 * 8
    coarse = rest[:, :edge, :edge].reshape(-1, edge // 8, 8, edge // 8, 8).mean((2, 4)).std((1, 2))
    best = np.argsort(coarse)[: max(1, round(share * len(tiles)))]
    return np.asarray(rest[best])


def noise_sigma(windows: Doubles) -> float:
    """Median standard deviation of flat windows."""
    return float(np.median(windows.std((1, 2))))


def autocorrelation(windows: Doubles, lags: tuple[int, ...] = (1, 3, 5)) -> tuple[float, ...]:
    """Median correlation between noise values so many pixels apart, along rows and columns together."""
    power = np.mean(windows**2, (1, 2))
    found = []
    for lag in lags:
        along = np.mean(windows[:, :, lag:] * windows[:, :, :-lag], (1, 2))
        down = np.mean(windows[:, lag:] * windows[:, :-lag], (1, 2))
        found.append(float(np.median((along + down) / 2 / power)))
    return tuple(found)


def noise_slope(windows: Doubles, pitch_mm: float, low: float, high: float) -> float:
    """Slope of the noise power spectrum on log-log axes between two frequencies in cycles/mm; NaN when too few fit.

    The power is a mean over directions; `high` is cut to 80 % of the Nyquist frequency. White noise has slope 0.
    """
    size = windows.shape[1]
    taper = np.outer(np.hanning(size), np.hanning(size))
    power = np.mean(np.abs(np.fft.fft2(windows * taper)) ** 2, 0)
    axis = np.fft.fftfreq(size, pitch_mm)
    radius = np.hypot(axis[:, None], axis)
    high = min(high, 0.4 / pitch_mm)
    if high <= low:
        return float("nan")
    edges = np.geomspace(low, high, 9)
    centres, heights = [], []
    for a, b in pairwise(edges):
        ring = (radius >= a) & (radius < b)
        if ring.any():
            centres.append(np.log(radius[ring]).mean())
            heights.append(np.log(power[ring].mean()))
    return float(np.polyfit(centres, heights, 1)[0]) if len(centres) >= 3 else float("nan")


def span(picture: AnyPicture) -> float:
    """Distance of the 1st and 99th percentile of the grey values."""
    low, high = np.percentile(np.asarray(picture), (1, 99))
    return float(high - low)


def weld_step(picture: AnyPicture) -> float:
    """Grey difference of weld and base metal: between the extreme plateaus (5, 95 %) of the rows' medians."""
    low, high = np.percentile(np.median(np.asarray(picture, np.float64), 1), (5, 95))
    return float(high - low)


def snr_n(signal: AnyPicture, srb_mm: float) -> float:
    """Normalized signal-to-noise ratio of a flat window whose values are linear in dose (ISO 17636-2)."""
    values = np.asarray(signal, np.float64)
    return float(values.mean() / values.std() * 0.0886 / srb_mm)


@dataclass(frozen=True)
class DefectSeen:
    """One drawn component of a mask: class id, longest side of its box, and how it stands out of a ring around it."""

    kind: int
    length_mm: float
    contrast: float
    cnr: float


def defects_seen(
    picture: AnyPicture, mask: NDArray[np.uint8], pitch_mm: float, sigma: float, least_px: int = 12
) -> list[DefectSeen]:
    """Every component of a mask: mean contrast to what surrounds it (darker or brighter), CNR = contrast / sigma."""
    values = np.asarray(picture, np.float64)
    found = []
    for kind in np.unique(mask[mask > 0]):
        parts, _ = label(mask == kind, np.ones((3, 3)))
        for number, box in enumerate(find_objects(parts), 1):
            grown = tuple(slice(max(side.start - 8, 0), side.stop + 8) for side in box)
            inside = parts[grown] == number
            if inside.sum() < least_px:
                continue
            near = binary_dilation(inside, iterations=2)
            ring = binary_dilation(near, iterations=4) & ~near & (mask[grown] == 0)
            if not ring.any():
                continue
            contrast = abs(values[grown][inside].mean() - values[grown][ring].mean())
            length = max(side.stop - side.start for side in box) * pitch_mm
            found.append(DefectSeen(int(kind), length, float(contrast), float(contrast / sigma)))
    return found


def patch_features(picture: AnyPicture, size: int = 64) -> Doubles:
    """Texture of every window of a picture, free of its grey level and contrast: (n, 14).

    Power in eight rings of frequency, correlations at four distances, skewness and kurtosis of the detrended window.
    """
    windows = flat_windows(picture, size, 1.0)
    windows = windows[windows.std((1, 2)) > 0]
    windows = windows / windows.std((1, 2), keepdims=True)
    taper = np.outer(np.hanning(size), np.hanning(size))
    power = np.abs(np.fft.fft2(windows * taper)) ** 2
    axis = np.fft.fftfreq(size)
    radius = np.hypot(axis[:, None], axis)
    edges = np.geomspace(1.5 / size, 0.5, 9)
    rings = [np.log(power[:, (radius >= a) & (radius < b)].mean(1) + 1e-12) for a, b in pairwise(edges)]
    lags = [np.mean(windows[:, :, k:] * windows[:, :, :-k], (1, 2)) for k in (1, 2, 4, 8)]
    shape = [np.mean(windows**3, (1, 2)), np.log(np.mean(windows**4, (1, 2)))]
    return np.stack([*rings, *lags, *shape], 1)


def separability(real: list[Doubles], simulated: list[Doubles]) -> float:
    """AUC of a linear discriminant that tells real windows from simulated ones, on pictures it has not learnt from.

    real, simulated: the features of one picture or film each. Each in turn is held out, so that nothing is learnt of
    the pictures tested. 0.5 means it cannot tell, 1 that it always can.
    """
    sources = [(features, 1) for features in real] + [(features, 0) for features in simulated]
    scores: list[Doubles] = []
    truth: list[Doubles] = []
    for held, (features, kind) in enumerate(sources):
        rest = [pair for number, pair in enumerate(sources) if number != held]
        groups = [np.concatenate([f for f, k in rest if k == which]) for which in (0, 1)]
        spread = np.cov(groups[0].T) + np.cov(groups[1].T)
        weights = np.linalg.solve(
            spread + 1e-3 * np.trace(spread) / len(spread) * np.eye(len(spread)), groups[1].mean(0) - groups[0].mean(0)
        )
        middle = (groups[0].mean(0) + groups[1].mean(0)) / 2
        scores.append((features - middle) @ weights)
        truth.append(np.full(len(features), float(kind)))
    return auc(np.concatenate(scores), np.concatenate(truth))


def auc(scores: Doubles, truth: Doubles) -> float:
    """Share of pairs (one of each kind) that the scores put in the right order; ties count half."""
    positive, negative = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.sum() / 2 / (len(positive) * len(negative)))
