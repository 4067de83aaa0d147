"""Where a weld runs through a picture and how thick the steel is there: wall, cap, root bead, ripple.

A weld is drawn once from its own generator; the pictures of it are successive stretches of the same seam.
x runs along the weld, y across it, both in millimetres from the picture's upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from seamwise.vision.welds.radiography import Radiography

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_GRID_MM = 0.1  # step of the ripple's table


@dataclass(frozen=True)
class Seam:
    """The course of a weld in one picture, a value for each column.

    x_mm (W,); centres_mm: one (W,) for each image of the weld (two when both walls show); above_mm, below_mm (W,):
    from the centre to the cap's edges; root_mm, root_half_mm (W,): offset and half width of the root bead.
    """

    x_mm: Doubles
    y_mm: Doubles
    centres_mm: tuple[Doubles, ...]
    above_mm: Doubles
    below_mm: Doubles
    root_mm: Doubles
    root_half_mm: Doubles
    root_height_mm: Doubles
    cap_height_mm: float
    hi_lo_mm: float
    ripple_mm: float
    bow_mm: float
    ripple: Doubles  # (K,) height of the ripple along the seam, unit sd
    start_mm: float  # position of the picture's left edge on the seam

    def across(self, image: int) -> Floats:
        """Distance of every pixel from the weld's centre line, (H, W) in mm, positive downwards."""
        return np.subtract.outer(self.y_mm, self.centres_mm[image]).astype(np.float32)

    def inside(self, image: int) -> NDArray[np.bool_]:
        """Pixels within the cap, (H, W)."""
        u = self.across(image)
        return np.asarray((u > -self.above_mm.astype(np.float32)) & (u < self.below_mm.astype(np.float32)))


def _wander(rng: np.random.Generator, position_mm: Doubles, sd: float, scale_mm: float, waves: int = 14) -> Doubles:
    """A smooth random course of given sd and typical wave length, the same in every picture of a weld."""
    frequency = np.exp(rng.normal(0, 0.45, waves)) / scale_mm
    phase = rng.uniform(0, 2 * np.pi, waves)
    course = np.cos(2 * np.pi * np.outer(position_mm, frequency) + phase).sum(1)
    return np.asarray(course * sd * np.sqrt(2 / waves))


def _ripple(rng: np.random.Generator, length_mm: float, period_mm: float) -> Doubles:
    """Height along the seam of solidification ripples: each rises at once and runs out, none quite like the last."""
    count = int(length_mm / period_mm * 1.6) + 12
    starts = np.cumsum(period_mm * np.clip(rng.normal(1, 0.22, count), 0.4, 1.8)) - 20.0
    tall = rng.lognormal(0, 0.45, count)
    x = np.arange(-20.0, length_mm + 20.0, _GRID_MM)
    which = np.clip(np.searchsorted(starts, x) - 1, 0, count - 2)
    part = np.clip((x - starts[which]) / (starts[which + 1] - starts[which]), 0, 1)
    height = tall[which] * (1 - part) ** 1.4
    height = gaussian_filter1d(height, 0.28 / _GRID_MM) + 0.35 * _wander(rng, x, 1.0, 13.0)
    return np.asarray((height - height.mean()) / height.std())


def draw_seam(domain: Radiography, rng: np.random.Generator, view: int) -> Seam:
    """Draw a weld and look at stretch number `view` of it; the same generator state gives the same weld."""
    pitch, width_mm, height_mm = domain.pitch_mm, domain.width * domain.pitch_mm, domain.height * domain.pitch_mm
    x: Doubles = np.asarray((np.arange(domain.width) + 0.5) * pitch, np.float64)
    y: Doubles = np.asarray((np.arange(domain.height) + 0.5) * pitch, np.float64)
    along = x + view * width_mm
    wide, tall, bead, rough = np.exp(rng.normal(0, 1, 4) * (0.07, 0.15, 0.22, 0.25))
    ripple = _ripple(rng, domain.views * width_mm, domain.ripple_period_mm)
    travel = rng.choice((-1.0, 1.0))
    place = rng.normal(0, 0.025) * height_mm
    slope = np.tan(np.deg2rad(rng.normal(0, domain.rotation_deg)))
    bend = domain.bow * width_mm * rng.uniform(0.6, 1.4) * rng.choice((-1.0, 1.0))
    step = domain.hi_lo_mm * rng.normal()
    middle = x - width_mm / 2
    course = height_mm / 2 + place + slope * middle + bend * (1 / 3 - (2 * middle / width_mm) ** 2)
    course = course + _wander(rng, along, 0.3 * domain.width_sd_mm + 0.1 * domain.edge_roughness_mm, 40.0)
    half = domain.cap_width_mm / 2 * wide
    swell = _wander(rng, along, domain.width_sd_mm / 2, 45.0)
    soft = gaussian_filter1d(ripple, 0.15 * domain.ripple_period_mm / _GRID_MM)
    edges = []
    for _ in range(2):  # each ripple ends in a scallop, later at one edge than at the other
        scallop = np.interp(along + rng.normal(0, 0.8), np.arange(ripple.size) * _GRID_MM - 20.0, soft)
        edge = half + swell + _wander(rng, along, domain.edge_roughness_mm, 8.0)
        edges.append(np.maximum(edge + 0.5 * domain.edge_roughness_mm * scallop, 0.25 * half))
    root = _wander(rng, along, min(0.35, 0.5 * domain.width_sd_mm), 30.0)
    root_half = domain.root_width_mm / 2 * wide * np.exp(_wander(rng, along, 0.25 * domain.width_sd_mm, 14.0))
    root_tall = domain.root_height_mm * bead * np.exp(_wander(rng, along, 0.4 * domain.width_sd_mm, 16.0))
    return Seam(
        x_mm=x,
        y_mm=y,
        centres_mm=_images(domain, course, middle),
        above_mm=edges[0],
        below_mm=edges[1],
        root_mm=root,
        root_half_mm=root_half,
        root_height_mm=root_tall,
        cap_height_mm=domain.cap_height_mm * tall,
        hi_lo_mm=step,
        ripple_mm=domain.ripple_mm * rough,
        bow_mm=domain.ripple_bow_mm * travel,
        ripple=ripple,
        start_mm=view * width_mm,
    )


def _images(domain: Radiography, course: Doubles, middle: Doubles) -> tuple[Doubles, ...]:
    """One centre line, or two halves of an ellipse where both walls of the pipe show their weld."""
    if domain.technique != "dwdi":
        return (course,)
    radius = domain.od_mm / 2 - domain.wall_mm / 2
    opening = domain.ellipse_mm / 2 * np.sqrt(np.clip(1 - (middle / radius) ** 2, 0, None))
    return (course - opening, course + opening)


def wall_path_mm(domain: Radiography, middle_mm: Doubles) -> Doubles:
    """Steel along a ray at each distance from the pipe's axis: sqrt(R^2 - x^2) - sqrt(r^2 - x^2) for each wall."""
    if domain.od_mm == 0 or domain.technique == "swsi":
        return np.full(middle_mm.shape, domain.walls_mm)
    outer, inner = domain.od_mm / 2, domain.od_mm / 2 - domain.wall_mm
    chord = np.sqrt(np.clip(outer**2 - middle_mm**2, 0, None)) - np.sqrt(np.clip(inner**2 - middle_mm**2, 0, None))
    return np.asarray(2 * chord)


def thickness_mm(domain: Radiography, seam: Seam) -> Floats:
    """Steel on the way of every pixel's ray without any defect, (H, W) in mm."""
    wall = wall_path_mm(domain, seam.x_mm - domain.width * domain.pitch_mm / 2)
    slanted = np.minimum(wall / domain.walls_mm, 3.0).astype(
        np.float32
    )  # a slanting ray sees the weld's rise longer too
    total = np.broadcast_to(wall.astype(np.float32), (domain.height, domain.width)).copy()
    for image in range(len(seam.centres_mm)):
        total += _rise_mm(domain, seam, image) * slanted
    return total


def _rise_mm(domain: Radiography, seam: Seam, image: int) -> Floats:
    """What the weld adds to the wall: cap with its crescents, root bead, and a step between the two plates."""
    u = seam.across(image)
    part = np.where(u < 0, -u / seam.above_mm.astype(np.float32), u / seam.below_mm.astype(np.float32))
    shape = np.clip(1 - part**domain.cap_power, 0, 1)
    rise = seam.cap_height_mm * shape**domain.toe
    if seam.ripple_mm > 0:
        # a crescent is the ripple's front, held back toward the edges
        along = (seam.x_mm + seam.start_mm).astype(np.float32) + seam.bow_mm * np.minimum(part, 1) ** 2
        crescents = np.interp(along[shape > 0], np.arange(seam.ripple.size) * _GRID_MM - 20.0, seam.ripple)
        rise[shape > 0] += seam.ripple_mm * crescents * np.sqrt(shape[shape > 0])
    root = np.clip(1 - ((u - seam.root_mm) / seam.root_half_mm) ** 2, 0, 1)
    rise += (seam.root_height_mm * root).astype(np.float32)
    if seam.hi_lo_mm != 0:
        rise -= np.float32(seam.hi_lo_mm) / (1 + np.exp(np.clip(-u / 0.4, -50, 50)))
    return np.asarray(rise, np.float32)
