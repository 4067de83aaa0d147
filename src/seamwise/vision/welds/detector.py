"""What a detector makes of an exposure: its transfer curve, its noise and its faults.

Film answers with optical density (linear in the dose up to a shoulder near 6), a flat panel with counts, an imaging
plate (CR) with the logarithm of what its laser reads. All signals rise with dose.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from seamwise.vision.welds.radiography import Radiography
from seamwise.vision.welds.seam import Floats

BASE_DENSITY = 0.25  # of unexposed film
_SHOULDER = 7.0
# slope of a Matern spectrum in two dimensions, and the distance (times 2 pi f0) at which its correlation is one half
_HALF_WAY = ((2.5, 3.0, 3.5, 4.0, 5.0, 6.0), (0.296, 0.693, 1.001, 1.257, 1.678, 2.027))
_LEAST = 1e-4  # exposure that counts as none


def transfer(domain: Radiography, exposure: Floats) -> Floats:
    """Noise-free signal for an exposure (1 = base metal): density, relative counts, or their decimal logarithm."""
    dose = exposure * domain.dose
    if domain.detector == "panel":
        return dose
    if domain.detector == "cr":
        return np.asarray(np.log10(np.maximum(dose, _LEAST)), np.float32)
    line = (domain.film_density - BASE_DENSITY) * dose
    return np.asarray(BASE_DENSITY + line / (1 + (line / _SHOULDER) ** 6) ** (1 / 6), np.float32)


def noise_sd(domain: Radiography, exposure: Floats) -> Floats:
    """Standard deviation of the random noise in the signal at every exposure.

    Panel: Poisson quanta and read noise. Film: granularity, which grows with the root of density (ASTM E1815), set so
    that the base metal has the wanted SNR (dD = 0.434 G dE/E with G = 2.3 (D - D0)). CR: quanta and structure.
    """
    dose = np.maximum(exposure * domain.dose, _LEAST)
    if domain.detector == "film":
        above = domain.film_density - BASE_DENSITY
        density = transfer(domain, exposure)
        return np.asarray(above / domain.snr * np.sqrt(density / domain.film_density), np.float32)
    quanta = base_quanta(domain)
    relative = np.sqrt(quanta * dose + domain.read_noise_quanta**2) / quanta
    if domain.detector == "panel":
        return np.asarray(relative, np.float32)
    return np.asarray(0.4343 * np.hypot(relative / dose, domain.structure_noise), np.float32)


def base_quanta(domain: Radiography) -> float:
    """Quanta a pixel of base metal absorbs at dose 1, read noise allowed for."""
    s2, r2 = domain.snr**2, domain.read_noise_quanta**2
    return float((s2 + np.sqrt(s2 * s2 + 4 * s2 * r2)) / 2)


def noise(domain: Radiography, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A field of unit noise: white, or grain whose power falls with frequency as 1 / (1 + (f/f0)^2)^(slope/2).

    Its correlation is Matern's: exponential for slope 3, rounder at the top for more; half at `noise_correlation_mm`.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    if domain.noise_correlation_mm == 0:
        return white
    rows, cols = fft.next_fast_len(shape[0], real=True), fft.next_fast_len(shape[1], real=True)
    if (rows, cols) != shape:
        white = rng.standard_normal((rows, cols), dtype=np.float32)
    corner = np.interp(domain.grain_slope, *_HALF_WAY) / (2 * np.pi * domain.noise_correlation_mm)
    fy = np.fft.fftfreq(rows, domain.pitch_mm).astype(np.float32)[:, None] / corner
    fx = np.fft.rfftfreq(cols, domain.pitch_mm).astype(np.float32) / corner
    gain = (1 + fy**2 + fx**2) ** (-domain.grain_slope / 4)
    # the mean power of the whole spectrum, mirrored columns counted twice, is the field's variance
    power = 2 * (gain**2).sum() - (gain[:, 0] ** 2).sum() - (gain[:, -1] ** 2).sum() * (cols % 2 == 0)
    field = fft.irfft2(fft.rfft2(white) * gain, s=(rows, cols))
    return np.asarray(field[: shape[0], : shape[1]] / np.sqrt(power / (rows * cols)), np.float32)


def faults(domain: Radiography, signal: Floats, panel: np.random.Generator, rng: np.random.Generator) -> Floats:
    """The signal with the detector's own marks: `panel` draws what stays the same in all pictures, `rng` the rest."""
    height, width = signal.shape
    span = np.float32(1.0 if domain.detector == "cr" else np.median(signal))
    if domain.lag > 0:
        ghost = np.roll(signal, (int(rng.integers(-height // 3, height // 3 + 1)), width // 3), (0, 1))
        signal = (1 - domain.lag) * signal + domain.lag * ghost[:, ::-1]
    if domain.fixed_pattern > 0:
        pattern = panel.standard_normal(signal.shape, dtype=np.float32) * 0.6
        pattern += panel.standard_normal(width, dtype=np.float32) * 0.5
        pattern += panel.standard_normal((height, 1), dtype=np.float32) * 0.4
        signal = signal + span * domain.fixed_pattern * pattern
    if domain.line_jitter > 0:
        signal = signal + span * domain.line_jitter * rng.standard_normal((height, 1), dtype=np.float32)
    return _dead(domain, signal.copy(), span, panel)


def _dead(domain: Radiography, signal: Floats, span: np.float32, panel: np.random.Generator) -> Floats:
    """Bad lines and pixels: most are filled from their neighbours, some slip through the correction."""
    height, width = signal.shape
    for _ in range(panel.poisson(domain.bad_lines)):
        col = int(panel.integers(1, width - 1)) if width > 2 else 0
        filled = (signal[:, max(col - 1, 0)] + signal[:, min(col + 1, width - 1)]) / 2
        slip = 0.02 * panel.normal() if panel.random() < 0.5 else 0.0
        signal[:, col] = filled + np.float32(slip) * span
    count = round(domain.bad_pixels * signal.size)
    if count:
        rows, cols = panel.integers(0, height, count), panel.integers(0, width, count)
        around = (signal[np.maximum(rows - 1, 0), cols] + signal[np.minimum(rows + 1, height - 1), cols]) / 2
        slipped = panel.random(count) < 0.15
        signal[rows, cols] = around + np.where(slipped, panel.normal(0, 0.12, count), 0).astype(np.float32) * span
    return signal
