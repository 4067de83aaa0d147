"""An electrofusion joint under a linear scan: coupler, row of wires, eigen-line, fusion face, pipe, and its flaws.

From the surface down: coupler body, eigen-line (the edge of plastic that was once molten), wires, fusion face (silent
where fused), pipe wall, inner pipe face. Outside the wires lie the cold zones, where coupler and pipe only touch;
towards the coupler's middle the pipe ends and leaves air.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seamwise.vision.welds.coupler import Coupler, draw_coupler
from seamwise.vision.welds.electrofusion_flaws import draw_flaw, voids_round_wires
from seamwise.vision.welds.flaw_plan import LACK_OF_PENETRATION, PlannedFlaw, generator
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.reflectors import (
    Flaw,
    Points,
    Scene,
    Shade,
    joined,
    rough_line,
    smooth_line,
    spots,
    wander,
)

WIRE_REPEATS = 4


def electrofusion_scene(
    domain: PhasedArray, seed: int, weld: int, view: int, planned: tuple[PlannedFlaw, ...]
) -> Scene:
    """What one picture of the joint `weld` shows: geometry from the joint's numbers, grain from the picture's own."""
    rng = generator(seed, 1, weld)
    missing = any(flaw.class_id == LACK_OF_PENETRATION for flaw in planned)
    coupler = draw_coupler(domain, rng, missing)
    mirrored, shift = rng.random() < 0.5, 0.4 * generator(seed, 2, weld, view).standard_normal()
    grain = generator(seed, 3, weld, view)
    flaws = [draw_flaw(domain, coupler, flaw, generator(seed, 4, weld, flaw.number), grain) for flaw in planned]
    if coupler.heat == "overheated":
        flaws.append(voids_round_wires(domain, coupler, generator(seed, 5, weld), grain))
    wires = _wires(domain, coupler, grain)
    lines = joined([_eigen_line(domain, coupler, generator(seed, 6, weld), grain), _faces(domain, coupler, grain)])

    def placed(points: Points) -> Points:
        x = coupler.width_mm - points.x if mirrored else points.x
        return Points(x + shift, points.z, points.strength, points.line_mm, points.rough)

    return Scene(
        front=placed(wires),
        structure=placed(lines),
        flaws=tuple(replace(flaw, points=placed(flaw.points)) for flaw in flaws),
        shades=tuple(_placed_shade(shade, coupler, mirrored, shift) for shade in _shades(domain, coupler, flaws)),
        facts={
            "heat": coupler.heat,
            "eigen_ratio": round(coupler.eigen_mm / domain.eigen_line_mm, 3),
            "wires": coupler.displaced,
            "fusion_face_mm": round(coupler.face_z, 2),
        },
    )


def _placed_shade(shade: Shade, coupler: Coupler, mirrored: bool, shift: float) -> Shade:
    left, right = shade.left_mm, shade.right_mm
    if mirrored:
        left, right = coupler.width_mm - right, coupler.width_mm - left
    return Shade(left + shift, right + shift, shade.z_mm, shade.strength)


def _wires(domain: PhasedArray, coupler: Coupler, rng: np.random.Generator) -> Points:
    """Each wire: an echo from its top and repeats at 2 d / c beneath."""
    top = coupler.wires_z - domain.wire_diameter_mm / 2.0
    level = domain.wire_db + 1.2 * rng.standard_normal(len(top))
    parts = []
    for repeat in range(WIRE_REPEATS):
        fall = domain.wire_repeat_db * repeat + (1.5 * rng.standard_normal(len(top)) if repeat else 0.0)
        parts.append(spots(coupler.wires_x, top + repeat * domain.wire_diameter_mm, level + fall, rng))
    return joined(parts)


def _eigen_line(domain: PhasedArray, coupler: Coupler, course: np.random.Generator, rng: np.random.Generator) -> Points:
    """The edge of the once molten zone: above the row, bulging a little over each wire, closing at the zone's ends."""
    x = np.arange(coupler.zone_left - 0.3 * coupler.eigen_mm, coupler.zone_right + 0.3 * coupler.eigen_mm, 0.2)
    half = (x[-1] - x[0]) / 2.0
    corner = np.clip((np.abs(x - x.mean()) - (half - 1.2 * coupler.eigen_mm)) / (1.2 * coupler.eigen_mm), 0.0, 1.0)
    height = coupler.eigen_mm * np.sqrt(1.0 - 0.92 * corner**2)
    row = np.interp(x, np.sort(coupler.wires_x), coupler.wires_z[np.argsort(coupler.wires_x)])
    ripple = 0.06 * coupler.eigen_mm * np.exp(-coupler.eigen_mm / domain.wire_pitch_mm)
    bulge = ripple * np.cos(2.0 * np.pi * (x - coupler.wires_x[0]) / domain.wire_pitch_mm)
    z = row - height - bulge - 0.1 * wander(len(x), 0.2, 3.0, course)
    level = domain.eigen_line_db + 2.0 * wander(len(x), 0.2, 2.0, course) - 8.0 * corner
    layer = 0.06 * rng.standard_normal(len(x))
    return joined([smooth_line(x, z, level - 3.0), rough_line(x, z + layer, level - 1.0, rng)])


def _faces(domain: PhasedArray, coupler: Coupler, rng: np.random.Generator) -> Points:
    """Coupler on pipe in the cold zones, air beyond the pipe's end, a trace of the fused face, the inner pipe face."""
    step = 0.2
    x = np.arange(-2.0, coupler.width_mm + 2.0, step)
    n = len(x)
    on_pipe = (x < coupler.pipe_end) | (x > coupler.other_pipe)
    fused = (x > coupler.zone_left) & (x < coupler.zone_right)
    face = coupler.face_z + 0.03 * wander(n, step, 4.0, rng)
    contact = domain.contact_db + 4.0 * wander(n, step, 1.5, rng)
    trace = -30.0 if coupler.heat == "cold" else -42.0
    inner = face + domain.pipe_wall_mm + 0.06 * wander(n, step, 8.0, rng)
    inner_level = domain.inner_face_db + 2.0 * wander(n, step, 3.0, rng)
    gap = ~on_pipe & ~fused  # an end short of this is a flaw of its own
    touch, melt = on_pipe & ~fused, on_pipe & fused
    return joined(
        [
            smooth_line(x[touch], face[touch], contact[touch]),
            rough_line(x[melt], face[melt], trace, rng),
            smooth_line(x[gap], face[gap], 0.0),
            smooth_line(x[on_pipe][::2], inner[on_pipe][::2], inner_level[on_pipe][::2]),
        ]
    )


def _shades(domain: PhasedArray, coupler: Coupler, flaws: list[Flaw]) -> list[Shade]:
    """Wires hide nearly all beneath them, air gaps all, unfused faces and voids their part."""
    half = domain.wire_diameter_mm / 2.0
    shades = [Shade(x - half, x + half, z, 0.9) for x, z in zip(coupler.wires_x, coupler.wires_z, strict=True)]
    shades.append(Shade(coupler.pipe_end, coupler.other_pipe, coupler.face_z + 0.3, 0.97))
    for flaw in flaws:
        if flaw.kind == "unfused face":
            strength = min(0.85, 2.0 * 10.0 ** (flaw.level_db / 20.0))
            shades.append(Shade(float(flaw.points.x.min()), float(flaw.points.x.max()), coupler.face_z + 0.3, strength))
    return shades
