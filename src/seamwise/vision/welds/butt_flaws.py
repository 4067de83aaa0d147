"""Flaws of butt-fused joints: upright and tilted faces with their tips, root gaps, voids and inclusions at the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seamwise.vision.welds.flaw_plan import PlannedFlaw
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.picture import CLASSES
from seamwise.vision.welds.reflectors import Flaw, joined, rough_line, spots, wander


@dataclass(frozen=True)
class ButtJoint:
    """Geometry of one butt joint, mm: the fusion face stands upright at `face_x`.

    step_mm: misalignment of the inner walls. bead_half_mm, bead_height_mm: half width and height of the beads.
    root_bead: share of its height that the inner bead reached. eigen_mm: half the distance of the outer eigen-lines.
    """

    face_x: float
    wall_mm: float
    step_mm: float
    bead_half_mm: float
    bead_height_mm: float
    root_bead: float
    eigen_mm: float
    heat: str


def draw_flaw(
    domain: PhasedArray, joint: ButtJoint, planned: PlannedFlaw, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """The planned flaw as this picture shows it: `rng` is the flaw's own, `grain` the picture's."""
    draw = {
        "crack": _crack,
        "lack of fusion": _unfused_face,
        "lack of penetration": _root_gap,
        "porosity": _voids,
        "slag inclusion": _dust,
    }[CLASSES[planned.class_id]]
    return draw(domain, joint, planned.class_id, rng, grain)


def _crack(
    domain: PhasedArray, joint: ButtJoint, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """A tilted planar flaw, 1.5 to 9 mm high: two tips, a faint rough face, a corner where it meets the inner wall.

    It starts at a bead's toe or in the heated zone beside the face.
    """
    height = float(np.clip(rng.lognormal(np.log(4.0), 0.5), 1.5, min(9.0, 0.6 * joint.wall_mm)))
    tilt, level = np.deg2rad(rng.uniform(-22.0, 22.0)), float(rng.uniform(-20.0, -8.0) + domain.flaw_db)
    open_to_wall, side = rng.random() < 0.5, rng.choice([-1.0, 1.0])
    if open_to_wall:
        foot_x, foot_z = joint.face_x + side * joint.bead_half_mm * rng.uniform(0.85, 1.05), joint.wall_mm
    else:
        foot_x = joint.face_x + side * rng.uniform(0.6, 1.6) * joint.eigen_mm
        foot_z = rng.uniform(0.35, 0.9) * joint.wall_mm
        height = min(height, 0.8 * foot_z)
    along = np.arange(0.0, height, 0.15)
    x = foot_x + np.sin(tilt) * along + 0.12 * wander(len(along), 0.15, 0.8, rng)
    z = foot_z - np.cos(tilt) * along
    body = rough_line(x, z, level - 9.0 + 2.0 * wander(len(along), 0.15, 1.0, rng), grain)
    foot_db = level + (8.0 if open_to_wall else -1.0)
    tips = spots(x[[0, -1]], z[[0, -1]], np.array([foot_db, level]) + grain.standard_normal(2), grain)
    kind = "planar, open to the inner wall" if open_to_wall else "planar"
    return Flaw(class_id, kind, joined([body, tips]), height, level)


def _unfused_face(
    domain: PhasedArray, joint: ButtJoint, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """A faint upright line at the fusion face, 1 to 10 mm high, -15 to -40 dB, with weak tips."""
    height = float(np.clip(rng.lognormal(np.log(4.5), 0.5), 1.0, min(10.0, 0.7 * joint.wall_mm)))
    top, level = rng.uniform(0.2, 0.92) * (joint.wall_mm - height), float(rng.uniform(-30.0, -15.0) + domain.flaw_db)
    z = np.arange(top, top + height, 0.15)
    x = joint.face_x + 0.15 * wander(len(z), 0.15, 2.0, rng)
    body = rough_line(x, z, level + 2.0 * wander(len(z), 0.15, 1.0, rng), grain)
    tips = spots(x[[0, -1]], z[[0, -1]], level + 1.0, grain)
    return Flaw(class_id, "unfused face", joined([body, tips]), height, level)


def _root_gap(
    domain: PhasedArray, joint: ButtJoint, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """Pipe ends that never met at the root: a gap up from the inner wall, a strong corner, a tip above."""
    height = float(rng.uniform(0.1, 0.28) * joint.wall_mm)
    level, opening = float(rng.uniform(-7.0, 0.0) + domain.flaw_db), rng.uniform(0.2, 1.2)
    z = joint.wall_mm - np.arange(0.0, height, 0.15)
    x = joint.face_x - 0.5 * opening * (z - joint.wall_mm + height) / height
    side = rough_line(x, z, level - 6.0 + 1.5 * wander(len(z), 0.15, 1.0, rng), grain)
    ends = spots(x[[0, -1]], z[[0, -1]], level + np.array([2.0, -9.0]), grain)
    return Flaw(class_id, "root gap", joined([side, ends]), height, level)


def _voids(
    domain: PhasedArray, joint: ButtJoint, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """Voids of 0.5 to 4 mm within the once molten zone, 0 to -15 dB: one, or a loose upright row."""
    level, count = float(rng.uniform(-15.0, 0.0) + domain.flaw_db), 1 if rng.random() < 0.5 else int(rng.integers(2, 6))
    size = np.clip(rng.lognormal(np.log(1.1 if count == 1 else 0.8), 0.5, count), 0.5, 4.0)
    middle = rng.uniform(0.25, 0.8) * joint.wall_mm
    z = np.clip(middle + (2.2 if count > 1 else 0.0) * rng.standard_normal(count), 2.0, joint.wall_mm - 1.5)
    x = joint.face_x + rng.normal(0.0, 0.5 * joint.eigen_mm, count)
    weaker = level - np.where(np.arange(count) == 0, 0.0, 4.0 * rng.random(count))
    parts = []
    for i in range(count):
        # The side that faces the probe, up and to the left.
        angle = np.deg2rad(np.linspace(15.0, 75.0, max(3, int(size[i] / 0.3))))
        arc_x, arc_z = x[i] - 0.5 * size[i] * np.sin(angle), z[i] - 0.5 * size[i] * np.cos(angle)
        if size[i] < 1.5:
            arc_x, arc_z = arc_x[1:2], arc_z[1:2]
        parts.append(spots(arc_x, arc_z, weaker[i] - 10.0 * np.log10(len(arc_x)), grain))
    return Flaw(class_id, "void" if count == 1 else "voids", joined(parts), float(np.ptp(z) + size.max()), level)


def _dust(
    domain: PhasedArray, joint: ButtJoint, class_id: int, rng: np.random.Generator, grain: np.random.Generator
) -> Flaw:
    """Sand, dust or grease specks scattered over the fusion face, -10 to -30 dB."""
    height = float(np.clip(rng.lognormal(np.log(5.0), 0.4), 2.0, 0.7 * joint.wall_mm))
    top, level = rng.uniform(0.1, 0.9) * (joint.wall_mm - height), float(rng.uniform(-22.0, -10.0) + domain.flaw_db)
    count = max(5, int(height * rng.uniform(1.2, 2.5)))
    x, z = joint.face_x + rng.normal(0.0, 0.5, count), top + height * rng.random(count)
    return Flaw(class_id, "sand or dust", spots(x, z, level - rng.exponential(4.0, count), grain), height, level)
