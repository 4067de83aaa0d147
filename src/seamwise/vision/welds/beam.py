"""What polyethylene does to an ultrasonic pulse on its way down and back: spectrum, loss and resolution by depth.

Symbols: f frequency in MHz, fc and s centre and standard deviation of the pulse's Gaussian spectrum, alpha(f) one-way
attenuation, z depth in mm, L = 2 z path, B = 2.355 s the -6 dB bandwidth, c sound speed, lambda wavelength,
D aperture, F range. The echo's spectrum is exp(-(f - fc)^2 / (2 s^2)) * exp(-alpha(f) L). For a straight-line
alpha = a f in Np/mm this stays a Gaussian of the same width whose centre slides down: fc' = fc - a s^2 L.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seamwise.vision.welds.phased_array_settings import PhasedArray

Floats = NDArray[np.float64]

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))  # full width at half maximum of a Gaussian over its standard deviation
DB_PER_NEPER = 20.0 / np.log(10.0)


@dataclass(frozen=True)
class Beam:
    """The pulse at a ladder of ranges; every array has the shape of `range_mm`.

    frequency_mhz: centre of the echo's spectrum. loss_db: fall of the echo of a point, both ways, before any gain.
    tcg_db: gain that the instrument adds at that range. axial_mm, lateral_mm: -6 dB size of the resolution cell.
    """

    range_mm: Floats
    frequency_mhz: Floats
    loss_db: Floats
    tcg_db: Floats
    axial_mm: Floats
    lateral_mm: Floats

    def at(self, values: Floats, range_mm: Floats) -> Floats:
        """One of the beam's arrays interpolated at other ranges."""
        return np.interp(range_mm, self.range_mm, values)


def attenuation_db_mm(domain: PhasedArray, frequency_mhz: Floats) -> Floats:
    """One-way attenuation of the material, dB/mm."""
    result: Floats = domain.attenuation_db_mm * np.power(frequency_mhz, domain.attenuation_exponent)
    return result


def spectrum_sd_mhz(domain: PhasedArray) -> float:
    """Standard deviation of the probe's Gaussian spectrum."""
    return float(domain.bandwidth_share * domain.frequency_mhz / FWHM)


@lru_cache(maxsize=64)
def beam(domain: PhasedArray, longest_mm: float) -> Beam:
    """The domain's pulse at 129 ranges from 0 to `longest_mm`."""
    ranges = np.linspace(0.0, longest_mm, 129)
    frequency, sd, loss_db = echo_spectrum(domain, ranges)
    wavelength_mm = domain.sound_speed_m_s / 1000.0 / frequency
    aperture = domain.aperture_mm
    # A wider opening than one to one does not sharpen the beam: elements hardly see steeper.
    diffraction = wavelength_mm * np.maximum(ranges / aperture, 1.0)
    spread = domain.defocus * aperture * np.abs(1.0 - ranges / domain.focus_mm)
    return Beam(
        range_mm=ranges,
        frequency_mhz=frequency,
        loss_db=loss_db,
        tcg_db=np.minimum(domain.tcg_share * loss_db, domain.tcg_max_db),
        # Half maximum of a Gaussian pulse, 0.88 c / (2 B).
        axial_mm=2.0 * np.log(2.0) / np.pi * domain.sound_speed_m_s / 1000.0 / (FWHM * sd),
        lateral_mm=np.hypot(diffraction, spread),
    )


def echo_spectrum(domain: PhasedArray, range_mm: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean frequency (MHz), standard deviation (MHz) and loss (dB) of the echo from each range, by summing spectra."""
    fc, s = domain.frequency_mhz, spectrum_sd_mhz(domain)
    f = np.linspace(max(0.02, fc - 5.0 * s), fc + 5.0 * s, 400)
    path_mm = 2.0 * range_mm[:, None]
    log_start = -0.5 * ((f - fc) / s) ** 2
    log_echo = log_start - attenuation_db_mm(domain, f) / DB_PER_NEPER * path_mm
    peak = log_echo.max(axis=1, keepdims=True)  # the sums would underflow without it
    weight = np.exp(log_echo - peak)
    total = weight.sum(axis=1)
    mean = (weight * f).sum(axis=1) / total
    sd = np.sqrt((weight * (f - mean[:, None]) ** 2).sum(axis=1) / total)
    loss_db = -DB_PER_NEPER * (np.log(total) + peak[:, 0] - np.log(np.exp(log_start).sum()))
    return mean, sd, loss_db
