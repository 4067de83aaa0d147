"""From a scene to the envelope that the instrument records: grain, coupling, front echoes, noise, gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seamwise.vision.welds.beam import Floats
from seamwise.vision.welds.flaw_plan import generator
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.pulse_echo import (
    LN16,
    Complexes,
    ScanGrid,
    point_echoes,
    receiver_noise,
    scan_grid,
    shadow,
    speckle,
)
from seamwise.vision.welds.reflectors import Points, Scene, amplitude, wander

KELVIN_M_S = -10.0  # change of the speed of sound in polyethylene per kelvin


@dataclass(frozen=True)
class Recording:
    """What the instrument received, on its own grid (L, S), 1 being the echo of the 2 mm hole.

    envelope: all together. flaws: envelope of each flaw alone. rest: what a flaw's echo must rise above, the energy sum
    of the expected grain and noise and of all echoes that are no flaw's. stretch: shown over true range. grain_rms:
    root mean square of the material's background before coupling and shadows, (S,).
    """

    grid: ScanGrid
    envelope: Floats
    flaws: tuple[Floats, ...]
    rest: Floats
    stretch: float
    grain_rms: Floats


def record(domain: PhasedArray, scene: Scene, seed: int, weld: int, view: int) -> Recording:
    """Scan the scene once."""
    grid = scan_grid(domain)
    rng = generator(seed, 7, weld, view)
    warmth = domain.temperature_c - 20.0 + domain.temperature_sd_c * generator(seed, 8, weld).standard_normal()
    stretch = domain.sound_speed_m_s / (domain.sound_speed_m_s + KELVIN_M_S * warmth)
    gain, delay_mm = _coupling(domain, grid, rng)

    def echoes(points: Points) -> Complexes:
        return gain[:, None] * point_echoes(grid, points, stretch, delay_mm)

    def shaded(points: Points) -> Points:
        return points.scaled(shadow(grid, scene.shades, points.x, points.z)) if scene.shades else points

    grain_rms = _grain_rms(domain, grid)
    grain = gain[:, None] * grain_rms * _grid_shadow(grid, scene, stretch)
    noise = amplitude(domain.noise_db) * grid.tcg_gain
    structure = echoes(scene.front) + echoes(shaded(scene.structure))
    structure += _front_echoes(domain, grid, gain, rng, generator(seed, 9, weld))
    flaws = [echoes(shaded(flaw.points)) for flaw in scene.flaws]
    total = structure + grain * speckle(grid, rng) + noise * receiver_noise(grid, rng)
    for flaw in flaws:
        total += flaw
    return Recording(
        grid=grid,
        envelope=np.abs(total),
        flaws=tuple(np.abs(flaw) for flaw in flaws),
        rest=np.sqrt(grain**2 + noise**2 + structure.real**2 + structure.imag**2),
        stretch=float(stretch),
        grain_rms=grain_rms,
    )


def _grain_rms(domain: PhasedArray, grid: ScanGrid) -> Floats:
    """Background level: scatterers in a cell add in energy, so it grows with the cell's area under the gain."""
    area = grid.axial_mm * grid.beam.at(grid.beam.lateral_mm, grid.ranges)
    at_focus = np.interp(domain.focus_mm, grid.ranges, area)
    level: Floats = amplitude(domain.speckle_db) * np.sqrt(area / at_focus) * grid.net_gain
    return level


def _grid_shadow(grid: ScanGrid, scene: Scene, stretch: float) -> Floats:
    """Shadows over the whole grid, reckoned at every eighth sample and filled in between."""
    if not scene.shades:
        return np.ones((1, 1))
    coarse = np.append(grid.ranges[::8], grid.ranges[-1] + grid.sample_mm)
    table = shadow(grid, scene.shades, grid.lines[:, None], coarse[None, :] / stretch)
    place = np.arange(len(grid.ranges)) / 8.0
    low = np.minimum(place.astype(int), len(coarse) - 2)
    part = place - low
    result: Floats = table[:, low] * (1.0 - part) + table[:, low + 1] * part
    return result


def _coupling(domain: PhasedArray, grid: ScanGrid, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Gain of each beam (L,) and its extra path in mm (L,): strips of poor coupling, air, a rough surface."""
    n = len(grid.lines)
    loss_db = domain.gain_jitter_db * rng.standard_normal(n)
    for _ in range(int(rng.poisson(domain.coupling_strips))):
        start, width = int(rng.integers(0, n)), int(rng.integers(1, 16))
        loss_db[start : start + width] += rng.uniform(0.3, 1.0) * domain.coupling_loss_db
    # Air comes in bubbles some beams wide.
    bubbles = int(rng.poisson(domain.air_gap_share * n / 5.0))
    for _ in range(bubbles):
        start = int(rng.integers(0, n))
        loss_db[start : start + int(rng.integers(2, 9))] += 35.0
    # In a sector every angle uses all elements, so a bad place in the couplant dims many angles a little.
    blur = np.exp(-0.5 * (np.arange(-12, 13) / (5.0 if grid.sector else 1.5)) ** 2)
    loss_db = np.convolve(np.pad(loss_db, 12, mode="edge"), blur / blur.sum(), mode="valid")
    speed_mm_us = domain.sound_speed_m_s / 1000.0
    smooth = max(2.0, domain.active_elements / 4.0)
    delay = domain.roughness_us * speed_mm_us / 2.0 * wander(n, 1.0, smooth, rng)
    return amplitude(-loss_db), delay


def _front_echoes(
    domain: PhasedArray, grid: ScanGrid, gain: Floats, rng: np.random.Generator, joint: np.random.Generator
) -> Complexes:
    """Surface echo and ring-down in the dead zone, and a few lines parallel to the surface beneath it."""
    r, n = grid.ranges, len(grid.lines)
    wavelength = domain.sound_speed_m_s / 1000.0 / domain.frequency_mhz
    fall = amplitude(domain.ring_db - 40.0 * r / max(domain.dead_zone_mm, 0.1))
    bars = 0.55 + 0.45 * np.cos(2.0 * np.pi * r / (1.7 * wavelength) + joint.uniform(0.0, 6.3))
    unevenness = 1.0 + 0.12 * wander(n, 1.0, 3.0, rng) + 0.05 * rng.standard_normal(n)
    # A beam that meets air keeps its sound in the wedge and rings on.
    ringing = unevenness * (1.0 + 0.5 * (1.0 - np.clip(gain, 0.0, 1.0)))
    front: Complexes = (ringing[:, None] * (fall * bars)[None, :]).astype(np.complex128)
    spacing = joint.uniform(0.22, 0.45) * r[-1]
    for repeat in range(1, 4):
        level = amplitude(domain.reverberation_db - 5.0 * (repeat - 1) + 2.0 * joint.standard_normal())
        pulse = np.exp(-LN16 * ((r - repeat * spacing) / grid.axial_mm) ** 2)
        phase = np.exp(1j * (joint.uniform(0.0, 6.3) + 0.7 * wander(n, 1.0, 6.0, rng)))
        uneven = np.clip(1.0 + 0.4 * wander(n, 1.0, 5.0, rng), 0.0, None)
        front += level * (uneven * phase)[:, None] * pulse[None, :]
    return front
