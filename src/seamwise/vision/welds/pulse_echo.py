"""The pulse-echo model: reflectors and grain of the material in, complex baseband A-scans out.

A point at (x, z) answers the beam u with the pulse exp(-2 i k r) g(r' - r) b(u), where r is its range, k the wave
number of the echo's centre frequency at that range, g a Gaussian of -6 dB length c/(2B) and b the beam of -6 dB width
lambda F/D with side lobes. Working in baseband keeps the phase, so neighbouring echoes interfere as they do in
the machine, without sampling the carrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from scipy.special import erf

from seamwise.vision.welds.beam import Beam, Floats, beam
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.reflectors import Points, Shade

Complexes = NDArray[np.complex128]

LN16 = 4.0 * np.log(2.0)  # exp(-LN16 (d / width)^2) is 1/2 at half the width
SIDE_LOBE = 0.045  # two-way first side lobes of a line of equal elements, -27 dB
SIDE_LOBE_WIDTH = 2.6


@dataclass(frozen=True)
class ScanGrid:
    """The machine's own grid: beams by samples, and where each lies.

    lines (L,): beam places, mm (electrofusion) or rad (butt). ranges (S,): mm from the surface or from the sector's
    origin. Other arrays (S,): resolution cell in mm and in units of `lines`, echo and noise gain, wave number in 1/mm.
    """

    sector: bool
    apex_mm: float
    apex_x_mm: float
    aperture_mm: float
    lines: Floats
    ranges: Floats
    beam: Beam
    axial_mm: Floats
    lateral: Floats
    net_gain: Floats
    tcg_gain: Floats
    wave_number: Floats

    @property
    def line_step(self) -> float:
        """Distance of neighbouring beams."""
        return float(self.lines[1] - self.lines[0])

    @property
    def sample_mm(self) -> float:
        """Distance of neighbouring samples."""
        return float(self.ranges[1] - self.ranges[0])

    def place(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Beam coordinate and range of points in the joint."""
        if not self.sector:
            return x, z
        across, down = x - self.apex_x_mm, z + self.apex_mm
        return np.arctan2(across, down), np.hypot(across, down)


@lru_cache(maxsize=16)
def scan_grid(domain: PhasedArray) -> ScanGrid:
    """The domain's beams and samples, as many as its picture can show."""
    width_mm, height_mm = domain.width * domain.pitch_mm, domain.height * domain.pitch_mm
    sector = domain.joint == "butt"
    middle = np.deg2rad((domain.angle_from_deg + domain.angle_to_deg) / 2.0)
    apex_x = -domain.apex_mm * np.tan(middle)
    if sector:
        step = np.deg2rad(domain.angle_step_deg)
        lines = np.arange(np.deg2rad(domain.angle_from_deg), np.deg2rad(domain.angle_to_deg) + step / 2, step)
        longest = float(np.hypot(width_mm - apex_x, height_mm + domain.apex_mm))
    else:
        beams = min(domain.elements - domain.active_elements + 1, int(np.ceil(width_mm / domain.element_pitch_mm)) + 1)
        lines = (np.arange(beams) - (beams - 1) / 2.0) * domain.element_pitch_mm + width_mm / 2.0
        longest = height_mm
    ranges = np.arange(0.0, longest + domain.sample_mm, domain.sample_mm)
    pulse = beam(domain, float(ranges[-1]))
    lateral_mm = pulse.at(pulse.lateral_mm, ranges)
    loss_db, tcg_db = pulse.at(pulse.loss_db, ranges), pulse.at(pulse.tcg_db, ranges)
    return ScanGrid(
        sector=sector,
        apex_mm=domain.apex_mm,
        apex_x_mm=float(apex_x),
        aperture_mm=domain.aperture_mm,
        lines=lines,
        ranges=ranges,
        beam=pulse,
        axial_mm=pulse.at(pulse.axial_mm, ranges),
        lateral=lateral_mm / np.maximum(ranges, domain.aperture_mm) if sector else lateral_mm,
        net_gain=10.0 ** ((tcg_db - loss_db) / 20.0),
        tcg_gain=10.0 ** (tcg_db / 20.0),
        wave_number=2.0 * np.pi * pulse.at(pulse.frequency_mhz, ranges) / (domain.sound_speed_m_s / 1000.0),
    )


def point_echoes(grid: ScanGrid, points: Points, stretch: float, delay_mm: Floats) -> Complexes:
    """Echoes of the points, (L, S) complex.

    stretch: displayed over true range (a speed that differs from the instrument's setting). delay_mm (L,): extra
    path of each beam through the couplant. Points out of the grid give what of their echo falls into it.
    """
    total = np.zeros(len(grid.lines) * len(grid.ranges), dtype=np.complex128)
    u, r = grid.place(points.x, points.z)
    for kind, sort in enumerate((points.line_mm > 0, points.line_mm <= 0)):
        order = np.flatnonzero(sort)[np.argsort(r[sort], kind="stable")]
        # Deep points have wide echoes: windows are cut to size for a few groups of similar range.
        for chosen in np.array_split(order, min(6, max(1, len(order) // 8))):
            if len(chosen):
                _add_echoes(grid, total, (u[chosen], r[chosen] * stretch), points, chosen, delay_mm, lobes=kind == 1)
    return total.reshape(len(grid.lines), len(grid.ranges))


def _add_echoes(
    grid: ScanGrid,
    total: Complexes,
    place: tuple[Floats, Floats],
    points: Points,
    chosen: NDArray[np.intp],
    delay_mm: Floats,
    lobes: bool,
) -> None:
    """Add the echoes of the chosen points, P of them, each in a window of W beams by V samples.

    Without `lobes` the window is narrow: the side lobes of a line's parts fall on the line itself.
    """
    u, r = place
    at = np.clip(np.rint(r / grid.sample_mm).astype(int), 0, len(grid.ranges) - 1)
    axial, lateral = grid.axial_mm[at], grid.lateral[at]
    strength = points.strength[chosen] * grid.net_gain[at] * _line_share(grid, points, chosen, at, r)
    reach = int(np.ceil((0.9 * SIDE_LOBE_WIDTH if lobes else 1.25) * lateral.max() / grid.line_step))
    line = np.rint((u - grid.lines[0]) / grid.line_step).astype(int)[:, None] + np.arange(-reach, reach + 1)
    off = grid.lines[0] + line * grid.line_step - u[:, None]  # (P, W)
    known = np.clip(line, 0, len(grid.lines) - 1)
    path = (r[:, None] if grid.sector else np.sqrt(r[:, None] ** 2 + off**2)) + delay_mm[known]
    near = (off / lateral[:, None]) ** 2
    shape = np.exp(-LN16 * near)
    if lobes:
        shape += SIDE_LOBE * np.exp(-LN16 * near / SIDE_LOBE_WIDTH**2)
    answer = (strength[:, None] * shape) * np.exp(-2j * grid.wave_number[at][:, None] * path)
    answer[line != known] = 0.0
    depth = int(np.ceil((1.35 if lobes else 1.15) * axial.max() / grid.sample_mm))
    middle = np.rint(path / grid.sample_mm).astype(int)
    window = np.arange(-depth, depth + 1)
    late = ((middle * grid.sample_mm - path) / axial[:, None])[:, :, None]
    pulse = np.exp(-LN16 * (late + (window * grid.sample_mm) / axial[:, None, None]) ** 2)  # (P, W, V)
    sample = middle[:, :, None] + window
    pulse[(sample < 0) | (sample >= len(grid.ranges))] = 0.0
    flat = (known[:, :, None] * len(grid.ranges) + np.clip(sample, 0, len(grid.ranges) - 1)).ravel()
    total.real += np.bincount(flat, (answer.real[:, :, None] * pulse).ravel(), len(total))
    total.imag += np.bincount(flat, (answer.imag[:, :, None] * pulse).ravel(), len(total))


def _line_share(grid: ScanGrid, points: Points, chosen: NDArray[np.intp], at: NDArray[np.intp], r: Floats) -> Floats:
    """What one point adds so that a whole line of such points has the line's strength."""
    step = points.line_mm[chosen]
    width_mm = grid.lateral[at] * (r if grid.sector else 1.0)
    cell = 1.064 * np.sqrt(width_mm * grid.axial_mm[at]) if grid.sector else 1.064 * width_mm
    share = step / np.maximum(cell, 1e-6)
    # The squared beam is narrower by root 2: N_eff = cell / (root 2 step) parts add in energy.
    share = np.where(points.rough[chosen], np.sqrt(share * np.sqrt(2.0)), share)
    return np.where(step > 0, share, 1.0)


def speckle(grid: ScanGrid, rng: np.random.Generator, zones: int = 6) -> Complexes:
    """Echo of countless small scatterers, (L, S), unit root mean square: white noise seen through the cell.

    The cell changes with depth, so the noise is filtered for `zones` + 1 depths and blended between neighbours.
    """
    lines, samples = len(grid.lines), len(grid.ranges)
    noise = rng.standard_normal((lines, samples)) + 1j * rng.standard_normal((lines, samples))
    centres = np.rint(np.linspace(0, samples - 1, zones + 1)).astype(int)
    result = np.zeros_like(noise)
    for k, centre in enumerate(centres):
        low, high = centres[max(k - 1, 0)], centres[min(k + 1, zones)]
        along = _kernel(grid.axial_mm[centre] / grid.sample_mm)
        across = _kernel(grid.lateral[centre] / grid.line_step)
        margin = len(along) // 2
        part = np.take(noise, np.arange(low - margin, high + 1 + margin), axis=1, mode="wrap")
        part = convolve1d(part, along, axis=1, mode="wrap")[:, margin : part.shape[1] - margin]
        part = convolve1d(part, across, axis=0, mode="wrap")
        position = np.arange(low, high + 1)
        span = np.where(position < centre, max(centre - low, 1), max(high - centre, 1))
        result[:, low : high + 1] += part * (1.0 - np.abs(position - centre) / span)
    # A blend of two differently filtered fields is a little too quiet half way: put the energy back.
    result /= np.sqrt((np.abs(result) ** 2).mean())
    return result


def receiver_noise(grid: ScanGrid, rng: np.random.Generator) -> Complexes:
    """Electronic noise within the probe's band, (L, S), unit root mean square, each beam on its own."""
    shape = (len(grid.lines), len(grid.ranges))
    noise = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)
    return np.asarray(convolve1d(noise, _kernel(grid.axial_mm[0] / grid.sample_mm), axis=1, mode="wrap"))


def _kernel(width: float) -> Floats:
    """Gaussian of -6 dB width in samples whose squares sum to one."""
    half = max(1, int(np.ceil(1.3 * width)))
    kernel = np.exp(-LN16 * (np.arange(-half, half + 1) / max(width, 0.3)) ** 2)
    return np.asarray(kernel / np.sqrt((kernel**2).sum()))


def shadow(grid: ScanGrid, shades: tuple[Shade, ...], x: Floats, z: Floats) -> Floats:
    """What is left of the sound at points (any shape) beneath the shades, 0 to 1.

    Looking down at (x, z) the active group's cone crosses the shade's depth with a width that grows with the way
    beneath it: just below, a wire hides all; deeper, sound goes round it.
    """
    left = np.ones(np.broadcast_shapes(x.shape, z.shape))
    for shade in shades:
        beneath = np.maximum(z - shade.z_mm, 0.0)
        cone = np.minimum(grid.aperture_mm, 0.9 * z) * beneath / np.maximum(z, 1e-6)
        spread = 0.6 * np.hypot(cone, grid.beam.at(grid.beam.lateral_mm, np.full_like(z, shade.z_mm)))
        share = 0.5 * (erf((x - shade.left_mm) / spread) - erf((x - shade.right_mm) / spread))
        left = left * np.where(z > shade.z_mm + 0.05, 1.0 - shade.strength * share, 1.0)
    return left
