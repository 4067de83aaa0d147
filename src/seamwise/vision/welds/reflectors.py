"""Things in a plastic joint that send sound back: sets of points with a strength, and what casts a shadow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Point reflectors: place in mm (x along the surface, z down) and complex strength (1 is a 2 mm hole); all (N,).

    line_mm: 0 where the strength is that of a point; where positive, the point stands for that length of a line whose
    whole echo has this strength, whatever the beam's width. rough: the parts of such a line add in energy (True:
    crowded small crystals) rather than in phase (False: a smooth face).
    """

    x: Floats
    z: Floats
    strength: NDArray[np.complex128]
    line_mm: Floats
    rough: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.x)

    def scaled(self, factor: Floats | float) -> Points:
        """The same points, stronger or weaker."""
        return Points(self.x, self.z, self.strength * factor, self.line_mm, self.rough)


@dataclass(frozen=True)
class Shade:
    """Something from `left_mm` to `right_mm` at depth `z_mm` that keeps the share `strength` of the sound back."""

    left_mm: float
    right_mm: float
    z_mm: float
    strength: float


@dataclass(frozen=True)
class Flaw:
    """One flaw in one picture: class id of `picture.CLASSES`, what it is, its echoes, its size and level.

    images: how often the picture shows it; `points` holds that many copies one after another, the true one first.
    """

    class_id: int
    kind: str
    points: Points
    length_mm: float
    level_db: float
    images: int = 1

    def facts(self) -> dict[str, object]:
        """The flaw as plain values for `Picture.facts`."""
        true = slice(0, len(self.points) // self.images)
        return {
            "class": self.class_id,
            "kind": self.kind,
            "length_mm": round(self.length_mm, 2),
            "level_db": round(self.level_db, 1),
            "x_mm": round(float(self.points.x[true].mean()), 2),
            "depth_mm": round(float(self.points.z[true].mean()), 2),
        }


@dataclass(frozen=True)
class Scene:
    """All that one picture shows: sound structure, flaws, shadows, and facts about the joint.

    front: what no shade dims (wires, which cast the shades themselves). structure: all else that is no flaw.
    """

    front: Points
    structure: Points
    flaws: tuple[Flaw, ...]
    shades: tuple[Shade, ...]
    facts: dict[str, object]


def amplitude(level_db: Floats | float) -> Floats:
    """A level in dB as a factor."""
    return np.asarray(np.power(10.0, np.asarray(level_db) / 20.0), dtype=np.float64)


def spots(x: Floats, z: Floats, level_db: Floats | float, rng: np.random.Generator) -> Points:
    """Separate point reflectors, each with a phase of its own."""
    n = len(x)
    phase = np.exp(2j * np.pi * rng.random(n))
    strength = np.broadcast_to(amplitude(level_db), n) * phase
    return Points(np.asarray(x, float), np.asarray(z, float), strength, np.zeros(n), np.zeros(n, bool))


def smooth_line(x: Floats, z: Floats, level_db: Floats | float) -> Points:
    """A face whose parts add in phase: its echo fades where it tilts or is rough, as a mirror's does."""
    strength = np.broadcast_to(amplitude(level_db), len(x)).astype(np.complex128)
    return Points(x, z, strength, _steps(x, z), np.zeros(len(x), bool))


def rough_line(x: Floats, z: Floats, level_db: Floats | float, rng: np.random.Generator) -> Points:
    """A band of small reflectors: Gaussian strengths of random phase, seen from every side."""
    n = len(x)
    noise = (rng.standard_normal(n) + 1j * rng.standard_normal(n)) / np.sqrt(2.0)
    return Points(x, z, np.broadcast_to(amplitude(level_db), n) * noise, _steps(x, z), np.ones(n, bool))


def joined(parts: Iterable[Points]) -> Points:
    """Several sets as one."""
    kept = [part for part in parts if len(part)]
    if not kept:
        empty = np.zeros(0)
        return Points(empty, empty, empty.astype(np.complex128), empty, empty.astype(bool))
    return Points(
        np.concatenate([part.x for part in kept]),
        np.concatenate([part.z for part in kept]),
        np.concatenate([part.strength for part in kept]),
        np.concatenate([part.line_mm for part in kept]),
        np.concatenate([part.rough for part in kept]),
    )


def wander(n: int, step_mm: float, length_mm: float, rng: np.random.Generator) -> Floats:
    """A smooth random course of unit standard deviation: n values `step_mm` apart, alike over about `length_mm`."""
    half = max(1, round(2.0 * length_mm / step_mm))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) * step_mm / length_mm) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    result: Floats = np.convolve(rng.standard_normal(n + 2 * half), kernel, mode="valid")
    return result


def _steps(x: Floats, z: Floats) -> Floats:
    """Length of line that each point stands for."""
    if len(x) < 2:
        return np.full(len(x), 0.2)
    gaps = np.hypot(np.diff(x), np.diff(z))
    gaps = np.minimum(gaps, 2.0 * np.median(gaps))  # a break between two pieces is not part of the line
    return np.concatenate([gaps[:1], (gaps[1:] + gaps[:-1]) / 2.0, gaps[-1:]])
