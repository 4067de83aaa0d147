"""Flaws of electrofusion joints, each bound to its place: fusion face, wires, pipe end, cold centre."""

from __future__ import annotations

import numpy as np

from seamwise.vision.welds.coupler import Coupler
from seamwise.vision.welds.flaw_plan import PlannedFlaw
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.picture import CLASSES
from seamwise.vision.welds.reflectors import Flaw, Points, joined, smooth_line, spots, wander

POROSITY = CLASSES.index("porosity")


def draw_flaw(
    domain: PhasedArray, coupler: Coupler, planned: PlannedFlaw, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """The planned flaw as this picture shows it: `rng` is the flaw's own, `grain` the picture's."""
    draw = {
        "lack of fusion": _unfused_face,
        "lack of penetration": _missing_pipe,
        "porosity": _voids,
        "slag inclusion": _dust,
    }[CLASSES[planned.class_id]]
    return draw(domain, coupler, planned.class_id, rng, grain)


def _unfused_face(
    domain: PhasedArray, coupler: Coupler, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """A line of echo at the fusion face, 3 to 40 mm, -6 to -20 dB, between and beneath the wires."""
    start, length = _stretch(coupler, rng, 8.0, 0.7, 3.0, 40.0)
    level = float(rng.uniform(-20.0, -6.0) + domain.flaw_db)
    x = np.arange(start, start + length, 0.15)
    z = coupler.face_z + 0.05 * wander(len(x), 0.15, 2.0, rng) + 0.02 * grain.standard_normal()
    patchy = level + 2.5 * wander(len(x), 0.15, 1.0, rng) + 1.0 * wander(len(x), 0.15, 0.6, grain)
    return Flaw(class_id, "unfused face", smooth_line(x, z, patchy), length, level)


def _stretch(
    coupler: Coupler, rng: np.random.Generator, typical_mm: float, spread: float, least_mm: float, most_mm: float
) -> tuple[float, float]:
    """Start and length (mm) of a flaw that lies somewhere along the fusion face."""
    room = min(coupler.zone_right, coupler.pipe_end) - coupler.zone_left
    length = float(min(np.clip(rng.lognormal(np.log(typical_mm), spread), least_mm, most_mm), 0.9 * room))
    return coupler.zone_left + rng.random() * (room - length), length


def _missing_pipe(
    domain: PhasedArray, coupler: Coupler, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """The pipe's end stands inside the fusion zone: a corner, then the coupler's bare inner wall against air."""
    level = float(rng.uniform(-4.0, 1.0) + domain.flaw_db)
    x = np.arange(coupler.pipe_end, coupler.zone_right, 0.15)
    z = coupler.face_z + 0.06 * wander(len(x), 0.15, 3.0, rng)
    wall = smooth_line(x, z, level + 2.0 * wander(len(x), 0.15, 1.5, grain))
    corner = spots(np.full(1, coupler.pipe_end), np.full(1, coupler.face_z), level - 2.0, grain)
    return Flaw(class_id, "missing pipe end", joined([wall, corner]), float(x[-1] - x[0]), level)


def _voids(
    domain: PhasedArray, coupler: Coupler, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """Bright short arcs, 0.5 to 5 mm, 0 to -15 dB: single ones, rows between the wires, groups in the cold centre."""
    form, level = rng.random(), float(rng.uniform(-15.0, 0.0) + domain.flaw_db)
    near = 0.5 * domain.wire_diameter_mm + domain.face_gap_mm
    if form < 0.4:
        kind, size = "void", np.clip(rng.lognormal(np.log(1.2), 0.6, 1), 0.5, 5.0)
        x = rng.uniform(coupler.zone_left, coupler.zone_right, 1)
        z = domain.wire_depth_mm + rng.uniform(-1.5, 1.0, 1) * near
    elif form < 0.75:
        kind, count = "row of voids", int(rng.integers(2, 6))
        count = min(count, len(coupler.wires_x) - 1)
        first = rng.integers(0, len(coupler.wires_x) - count)
        x = coupler.wires_x[first : first + count] + domain.wire_pitch_mm * rng.uniform(0.3, 0.7, count)
        z = domain.wire_depth_mm + near * rng.uniform(-0.6, 0.8, count)
        size = np.clip(rng.lognormal(np.log(0.7), 0.4, count), 0.4, 2.0)
    else:
        kind, count = "voids in the cold centre", int(rng.integers(2, 7))
        x = coupler.zone_right + rng.normal(0.6, 1.2, count)
        z = coupler.face_z - np.abs(rng.normal(0.6, 0.6, count))
        size = np.clip(rng.lognormal(np.log(0.7), 0.4, count), 0.4, 2.0)
    weights = level + np.where(np.arange(len(x)) == 0, 0.0, -np.abs(3.0 * rng.standard_normal(len(x))))
    voids = [_top_arc(x[i], z[i], size[i], weights[i], grain) for i in range(len(x))]
    return Flaw(class_id, kind, joined(voids), float(np.ptp(x) + size.max()), level)


def _top_arc(x: float, z: float, size_mm: float, level_db: float, grain: np.random.Generator) -> Points:
    """The upper side of a round void: only what faces the probe answers."""
    if size_mm < 0.8:
        return spots(np.full(1, x), np.full(1, z - size_mm / 2.0), level_db, grain)
    angle = np.deg2rad(np.linspace(-50.0, 50.0, max(5, int(size_mm / 0.15))))
    arc_x, arc_z = x + 0.5 * size_mm * np.sin(angle), z - 0.5 * size_mm * np.cos(angle)
    return joined(
        [
            spots(np.full(1, x), np.full(1, z - size_mm / 2.0), level_db - 3.0, grain),
            smooth_line(arc_x, arc_z, level_db - 1.0),
        ]
    )


def _dust(
    domain: PhasedArray, coupler: Coupler, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """Sand and dust: scattered spots of 0.1 to 2 mm at the fusion face, -10 to -30 dB, over a thin veil."""
    start, length = _stretch(coupler, rng, 6.0, 0.5, 2.0, 20.0)
    level = float(rng.uniform(-22.0, -10.0) + domain.flaw_db)
    count = max(4, int(length * rng.uniform(1.0, 2.5)))
    x = start + length * rng.random(count)
    z = coupler.face_z + rng.normal(0.0, 0.22, count)
    return Flaw(class_id, "sand or dust", spots(x, z, level - rng.exponential(4.0, count), grain), length, level)


def voids_round_wires(
    domain: PhasedArray, coupler: Coupler, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """An overheated joint boils: small voids about several wires."""
    count = max(2, int(0.6 * len(coupler.wires_x)))
    chosen = rng.choice(len(coupler.wires_x), count, replace=False)
    side = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    x = coupler.wires_x[chosen] + side * domain.wire_pitch_mm * rng.uniform(0.25, 0.45, count)
    z = coupler.wires_z[chosen] + domain.wire_diameter_mm * rng.uniform(-0.8, 0.6, count)
    level = float(rng.uniform(-14.0, -5.0) + domain.flaw_db)
    points = spots(x, z, level - rng.exponential(2.0, count), grain)
    return Flaw(POROSITY, "voids round the wires", points, float(np.ptp(x)), level)
