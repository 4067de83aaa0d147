"""A butt-fused joint of two pipes under a sector scan from one side: walls, beads, eigen-lines, and its flaws.

x counts from the probe's index point, z downwards from the outer surface; the fusion face stands upright at the weld.
The sector sees the wall twice: straight (z up to the wall) and, after the inner surface has turned the beam, mirrored
beneath it (shown at z' = 2 wall - z), weaker.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seamwise.vision.welds.butt_flaws import ButtJoint, draw_flaw
from seamwise.vision.welds.flaw_plan import LACK_OF_PENETRATION, PlannedFlaw, generator
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.reflectors import Floats, Points, Scene, joined, rough_line, spots, wander

SECOND_LEG_DB = -7.0  # lost at the inner surface and in the longer, wider beam
FACING_POWER = 7.0  # how fast a face's echo falls as it turns from the beam


def draw_joint(domain: PhasedArray, rng: np.random.Generator, under_penetrated: bool) -> ButtJoint:
    """Draw one joint: place, misalignment, beads, heat."""
    offset, step = domain.weld_offset_sd_mm * rng.standard_normal(), domain.step_sd_mm * rng.standard_normal()
    grow, lift, distance = rng.uniform(0.85, 1.15), rng.uniform(0.8, 1.2), rng.normal(1.0, 0.06)
    chance, heat = rng.random(), "normal"
    if chance < domain.cold_share:
        heat = "cold"
    elif chance < domain.cold_share + domain.overheated_share:
        heat = "overheated"
    ratio = {"normal": 1.0, "cold": domain.cold_ratio, "overheated": domain.overheated_ratio}[heat]
    return ButtJoint(
        face_x=float(domain.weld_offset_mm + offset),
        wall_mm=domain.wall_mm,
        step_mm=float(step),
        bead_half_mm=float(0.5 * domain.bead_width_share * domain.wall_mm * grow * np.sqrt(ratio)),
        bead_height_mm=float(domain.bead_height_share * domain.wall_mm * lift * np.sqrt(ratio)),
        root_bead=0.45 if under_penetrated else 1.0,
        eigen_mm=float(domain.eigen_line_mm * ratio * distance),
        heat=heat,
    )


def butt_scene(domain: PhasedArray, seed: int, weld: int, view: int, planned: tuple[PlannedFlaw, ...]) -> Scene:
    """What one picture of the joint `weld` shows: geometry from the joint's numbers, grain from the picture's own."""
    rng, grain = generator(seed, 1, weld), generator(seed, 3, weld, view)
    missing = any(flaw.class_id == LACK_OF_PENETRATION for flaw in planned)
    joint = draw_joint(domain, rng, missing)
    flaws = []
    for plan in planned:
        flaw = draw_flaw(domain, joint, plan, generator(seed, 4, weld, plan.number), grain)
        flaws.append(replace(flaw, points=both_legs(flaw.points, joint, grain), images=2))
    lines = both_legs(_eigen_lines(domain, joint, generator(seed, 6, weld), grain), joint, grain)
    beads = joined([_beads(domain, joint, grain), _walls(domain, joint, grain)])
    return Scene(
        front=joined([]),
        structure=joined([lines, beads]),
        flaws=tuple(flaws),
        shades=(),
        facts={
            "heat": joint.heat,
            "eigen_ratio": round(joint.eigen_mm / domain.eigen_line_mm, 3),
            "step_mm": round(joint.step_mm, 2),
            "face_x_mm": round(joint.face_x, 2),
            "wall_mm": joint.wall_mm,
        },
    )


def both_legs(points: Points, joint: ButtJoint, rng: np.random.Generator) -> Points:
    """The points as seen straight and, weaker and with other phases, by way of the inner surface."""
    turned = np.exp(2j * np.pi * rng.random())
    second = Points(
        points.x,
        2.0 * joint.wall_mm - points.z,
        points.strength * turned * 10 ** (SECOND_LEG_DB / 20.0),
        points.line_mm,
        points.rough,
    )
    return joined([points, second])


def _eigen_lines(
    domain: PhasedArray, joint: ButtJoint, course: np.random.Generator, rng: np.random.Generator
) -> Points:
    """Three faint upright lines: both edges of the melt, waisted at mid wall, and the face of first contact."""
    z = np.arange(0.5, joint.wall_mm - 0.3, 0.25)
    waist = 1.0 + 0.7 * ((2.0 * z / joint.wall_mm) - 1.0) ** 2
    parts = []
    for side, fall in ((-1.0, 0.0), (0.0, -5.0), (1.0, -1.5)):
        x = joint.face_x + side * joint.eigen_mm * waist + 0.12 * wander(len(z), 0.25, 3.0, course)
        level = domain.eigen_line_db + fall + 2.0 * wander(len(z), 0.25, 2.0, course)
        parts.append(rough_line(x, z + 0.05 * rng.standard_normal(len(z)), level, rng))
    return joined(parts)


def _bead_profile(joint: ButtJoint, height_mm: float) -> tuple[Floats, Floats]:
    """A bead of two lobes with a notch between: offsets from the face and height above the wall."""
    x = np.linspace(-joint.bead_half_mm, joint.bead_half_mm, 60)
    lobe = np.abs(x) / joint.bead_half_mm
    rise = np.sqrt(np.clip(1.0 - ((lobe - 0.5) / 0.5) ** 2, 0.0, 1.0))
    return x, height_mm * np.where(lobe < 0.5, 0.35 + 0.65 * rise, rise)


def _facing(domain: PhasedArray, x: Floats, z: Floats) -> Floats:
    """How squarely a curve's parts face the sector's origin, 0 to 1 (sound comes from inside the plastic)."""
    middle = np.deg2rad((domain.angle_from_deg + domain.angle_to_deg) / 2.0)
    beam_x, beam_z = x + domain.apex_mm * np.tan(middle), z + domain.apex_mm
    along_x, along_z = np.gradient(x), np.gradient(z)
    cosine = (-along_z * beam_x + along_x * beam_z) / (np.hypot(along_x, along_z) * np.hypot(beam_x, beam_z) + 1e-9)
    result: Floats = np.clip(cosine, 0.0, 1.0) ** FACING_POWER
    return result


def _beads(domain: PhasedArray, joint: ButtJoint, rng: np.random.Generator) -> Points:
    """Inner bead beneath the wall, outer bead beneath the second leg: curved faces, notch, toes and late ghosts."""
    parts = []
    legs = ((joint.wall_mm, joint.root_bead, 0.0), (2.0 * joint.wall_mm, 1.0, SECOND_LEG_DB - 3.0))
    for base, share, fall in legs:
        offset, height = _bead_profile(joint, joint.bead_height_mm * share)
        x, z = joint.face_x + offset, base + height + np.where(offset > 0, joint.step_mm, 0.0)
        x, z = x + 0.05 * rng.standard_normal(len(x)), z + 0.03 * rng.standard_normal(len(z))
        level = domain.bead_db + fall
        curve = rough_line(x, z, level + 2.0, rng)
        parts.append(curve.scaled(0.06 + _facing(domain, joint.face_x + offset, base + height)))
        corner_x = joint.face_x + np.array([0.0, -joint.bead_half_mm, joint.bead_half_mm])
        corner_z = base + np.array([0.35 * joint.bead_height_mm * share, 0.0, joint.step_mm])
        parts.append(spots(corner_x, corner_z, level + np.array([-9.0, -16.0, -8.0]) + rng.standard_normal(3), rng))
        ghost = rng.uniform(3.0, 6.0, 2)
        parts.append(spots(corner_x[1:] + 0.6 * ghost, corner_z[1:] + 0.7 * ghost + 0.3, level - 18.0, rng))
    return joined(parts)


def _walls(domain: PhasedArray, joint: ButtJoint, rng: np.random.Generator) -> Points:
    """Inner surface and, on the second leg, outer surface: struck aslant, so only their roughness answers."""
    x = np.arange(0.0, domain.width * domain.pitch_mm + 2.0, 0.4)
    outside = np.abs(x - joint.face_x) > joint.bead_half_mm
    parts = []
    for base, fall in ((joint.wall_mm, 0.0), (2.0 * joint.wall_mm, SECOND_LEG_DB)):
        z = base + np.where(x > joint.face_x, joint.step_mm, 0.0) + 0.04 * rng.standard_normal(len(x))
        level = -28.0 + fall + 20.0 * np.log10(0.3 + 3.0 * _facing(domain, x, np.full(len(x), base)))
        line = rough_line(x[outside], z[outside], level[outside], rng)
        parts.append(line)
    return joined(parts)
