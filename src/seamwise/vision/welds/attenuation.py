"""From steel to exposure: Beer-Lambert with beam hardening, scattered radiation, unsharpness.

Exposures are relative: 1 is the base metal's nominal wall in the middle of the beam, direct and scattered together.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from seamwise.vision.welds.radiography import Radiography
from seamwise.vision.welds.seam import Doubles, Floats

SIGMA_PER_UNSHARPNESS = 0.34  # the 16-84 % width of a blurred edge, by agreement
_SIGMA_PER_FWHM = 1 / 2.3548


def attenuation(domain: Radiography, steel_mm: Floats) -> Floats:
    """Exponent of the direct beam behind so much steel.

    The local coefficient is mu (1 + h (T - t) / (T + t)): mu itself at the nominal wall T, higher before it and lower
    behind it as the soft part of the spectrum is used up. Its integral is closed, so it never turns round.
    """
    wall, h = domain.walls_mm, domain.hardening
    if h == 0:
        return np.asarray(domain.mu_per_mm * steel_mm, np.float32)
    return np.asarray(domain.mu_per_mm * ((1 - h) * steel_mm + 2 * h * wall * np.log1p(steel_mm / wall)), np.float32)


def exposure(domain: Radiography, steel_mm: Floats) -> Floats:
    """Exposure of every pixel (H, W) behind the steel map: direct, scattered, fog, blurred by focus and detector."""
    nominal = attenuation(domain, np.full((1, 1), domain.walls_mm, np.float32))
    direct = np.exp(nominal - attenuation(domain, steel_mm)) * beam_cone(domain)
    n = domain.scatter_ratio
    source = np.where(steel_mm > 0, np.minimum(direct, 2.0), np.float32(0))  # rays that miss the steel scatter nowhere
    total = (direct + n * scatter(source, domain.scatter_kernel_mm / domain.pitch_mm)) / (1 + n) + domain.fog
    return unsharp(total, domain)


def beam_cone(domain: Radiography) -> Floats:
    """Strength of the primary beam, 1 in the middle and `cone` less at the picture's ends."""
    x = np.linspace(-1, 1, domain.width, dtype=np.float32)
    y = np.linspace(-1, 1, domain.height, dtype=np.float32)[:, None] * domain.height / domain.width
    return np.asarray(1 - domain.cone * np.minimum(x**2 + y**2, 1), np.float32)


def scatter(direct: Floats, kernel_px: float) -> Floats:
    """The direct beam seen through a wide Gaussian of that full width at half maximum, made on a coarse grid."""
    step = max(1, int(kernel_px / 10))
    height, width = direct.shape
    padded = np.pad(direct, ((0, -height % step), (0, -width % step)), mode="edge")
    cells = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).mean((1, 3))
    soft = gaussian_filter(cells, kernel_px * _SIGMA_PER_FWHM / step, mode="nearest", truncate=3.0)
    rows = (np.arange(height) + 0.5) / step - 0.5
    cols = (np.arange(width) + 0.5) / step - 0.5
    return _between_rows(_between_rows(soft, rows).T, cols).T


def _between_rows(cells: Floats, at: Doubles) -> Floats:
    """Linear interpolation of the rows of `cells` at fractional row numbers."""
    at = np.clip(at, 0, cells.shape[0] - 1)
    low = np.minimum(at.astype(np.intp), max(cells.shape[0] - 2, 0))
    high = np.minimum(low + 1, cells.shape[0] - 1)
    part = (at - low).astype(np.float32)[:, None]
    return np.asarray(cells[low] * (1 - part) + cells[high] * part, np.float32)


def unsharp(picture: Floats, domain: Radiography) -> Floats:
    """The picture blurred by the total unsharpness."""
    sigma_px = SIGMA_PER_UNSHARPNESS * domain.unsharpness_mm / domain.pitch_mm
    if sigma_px == 0:
        return np.asarray(picture, np.float32)
    return np.asarray(gaussian_filter(picture, sigma_px, mode="nearest", truncate=3.5), np.float32)
