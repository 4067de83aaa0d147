"""The geometry of one electrofusion joint: wires, fusion zone, pipe end, and how the joint was heated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.reflectors import Floats


@dataclass(frozen=True)
class Coupler:
    """Geometry of one electrofusion joint, mm; x grows towards the coupler's middle before any mirroring."""

    width_mm: float
    wires_x: Floats
    wires_z: Floats
    zone_left: float
    zone_right: float
    face_z: float
    pipe_end: float
    other_pipe: float
    eigen_mm: float
    heat: str
    displaced: str


def draw_coupler(domain: PhasedArray, rng: np.random.Generator, under_penetrated: bool) -> Coupler:
    """Draw one joint: where its wires lie, how it was heated, how far the pipe was pushed in."""
    width, n = domain.width * domain.pitch_mm, max(3, domain.wire_count)
    span = (n - 1) * domain.wire_pitch_mm
    first = (width - span) * rng.uniform(0.25, 0.6)
    x = first + domain.wire_pitch_mm * np.arange(n) + domain.wire_jitter_mm * rng.standard_normal(n)
    z = domain.wire_depth_mm + 0.2 * rng.uniform(-1, 1) + domain.wire_jitter_mm * rng.standard_normal(n)
    chance, heat = rng.random(), "normal"
    if chance < domain.cold_share:
        heat = "cold"
    elif chance < domain.cold_share + domain.overheated_share:
        heat = "overheated"
        x, z = x + 0.25 * rng.standard_normal(n), z + 0.25 * rng.standard_normal(n)
    ratio = {"normal": 1.0, "cold": domain.cold_ratio, "overheated": domain.overheated_ratio}[heat]
    x, z, displaced = _displace(domain, x, z, rng)
    left, right = x.min() - 0.5 * domain.wire_pitch_mm, x.max() + 0.5 * domain.wire_pitch_mm
    nominal = right + rng.uniform(0.06, 0.22) * width
    shortfall = rng.uniform(0.15, 0.55) * (right - left)
    return Coupler(
        width_mm=width,
        wires_x=x,
        wires_z=z,
        zone_left=float(left),
        zone_right=float(right),
        face_z=domain.wire_depth_mm + domain.wire_diameter_mm / 2.0 + domain.face_gap_mm * rng.uniform(0.7, 1.3),
        pipe_end=float(right - shortfall if under_penetrated else nominal),
        other_pipe=float(nominal + rng.uniform(0.03, 0.12) * width),
        eigen_mm=float(domain.eigen_line_mm * ratio * rng.normal(1.0, 0.05)),
        heat=heat,
        displaced=displaced,
    )


def _displace(domain: PhasedArray, x: Floats, z: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, str]:
    """In some joints the row of wires is bent, or one wire lies against its neighbour."""
    chance, kind, where, size = rng.random(), rng.random(), rng.integers(1, len(x) - 1), rng.uniform(0.25, 0.8)
    if chance >= domain.displaced_share:
        return x, z, "none"
    if kind < 0.6:
        bend = np.exp(-0.5 * ((np.arange(len(x)) - where) / 1.1) ** 2)
        return x, z + bend * size * domain.wire_pitch_mm * (1.0 if kind < 0.4 else -0.7), "bent"
    x = x.copy()
    x[where] += 0.75 * size * domain.wire_pitch_mm
    return x, z, "paired"
