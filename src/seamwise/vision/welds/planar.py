"""Flat defects: cracks, lack of fusion, lack of penetration. Their contrast hangs on the angle between flaw and ray."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from seamwise.vision.welds.defects import drawn_size
from seamwise.vision.welds.picture import CLASSES
from seamwise.vision.welds.seam import Doubles
from seamwise.vision.welds.shadow import Shadow, Stencil
from seamwise.vision.welds.site import Site

CRACK, FUSION, PENETRATION = (CLASSES.index(n) for n in ("crack", "lack of fusion", "lack of penetration"))
_STEP_MM = 0.05


def tilted_gap(opening_mm: Doubles, height_mm: Doubles, tilt: Doubles) -> tuple[Doubles, Doubles]:
    """Shadow width and steel lost (mm) of a gap tilted by `tilt` radians against the ray.

    Path min(h / cos a, w / sin a), shadow w cos a + h sin a: a tilted gap casts a wider, fainter shadow.
    """
    tilt = np.abs(tilt)
    path = np.minimum(height_mm / np.cos(tilt), opening_mm / np.maximum(np.sin(tilt), 1e-6))
    return opening_mm * np.cos(tilt) + height_mm * np.sin(tilt), path


def crack(site: Site, rng: np.random.Generator) -> Shadow | None:
    """A crack along the weld (1011), several across it (1021), or the star of a crater (104)."""
    form = rng.random()
    if form < 0.62:
        return _along(site, rng)
    return _across(site, rng) if form < 0.88 else _star(site, rng)


def _walk(rng: np.random.Generator, length: float, heading: float, restless: float) -> tuple[Doubles, Doubles]:
    """A path of points one step apart whose heading wanders (degrees per root mm) about `heading`, with kinks.

    Stress across the crack turns it back when it strays, by 11 degrees per mm.
    """
    count = max(4, int(length / _STEP_MM))
    kicks = rng.normal(0, np.deg2rad(restless) * np.sqrt(_STEP_MM), count)
    kicks += (rng.random(count) < _STEP_MM / 0.9) * rng.normal(0, np.deg2rad(1.6 * restless), count)
    turn, stray = np.zeros(count), 0.0
    for i in range(1, count):
        stray += np.sin(turn[i - 1]) * _STEP_MM
        turn[i] = 0.965 * turn[i - 1] + kicks[i] - 0.2 * stray * _STEP_MM / 0.5
    angle = heading + turn
    return np.cumsum(np.cos(angle)) * _STEP_MM, np.cumsum(np.sin(angle)) * _STEP_MM


def _gap(site: Site, rng: np.random.Generator, count: int, opening: float, deep: float) -> tuple[Doubles, Doubles]:
    """Cross-section (mm2) and shadow width (mm) along a crack: pinched tips, gaping parts, tilt that comes and goes."""
    along = np.linspace(0, 1, count)
    taper = np.clip(np.minimum(along, 1 - along) * 5, 0, 1) ** 0.7
    slow, quick = _rough(rng, count, 1.6 / _STEP_MM), _rough(rng, count, 0.3 / _STEP_MM)
    wide = opening * taper * np.exp(0.55 * slow + 0.25 * quick)
    high = np.full(count, deep) * taper * np.exp(0.2 * quick)
    base = np.deg2rad(site.domain.crack_tilt_deg) * rng.normal()
    tilt = base + np.deg2rad(0.8 * site.domain.crack_tilt_deg) * np.roll(slow, count // 3)
    shadow, _ = tilted_gap(wide, high, tilt)
    return wide * high, shadow


def _branch(
    board: Stencil, site: Site, rng: np.random.Generator, xy: tuple[Doubles, Doubles], wide: float, deep: float
) -> None:
    """Draw one strand of a crack along a path."""
    area, shadow = _gap(site, rng, xy[0].size, wide, deep)
    board.slit(xy[0], xy[1], area, shadow)


def _depth(site: Site, rng: np.random.Generator) -> float:
    """Height of a crack: from 1 mm to half the wall."""
    return float(min(drawn_size(rng, 1.7, 2.6, 1.0, 10.0), 0.5 * site.domain.wall_mm))


def _along(site: Site, rng: np.random.Generator) -> Shadow | None:
    """A longitudinal crack: near the centre or a root edge, one to three strands, side branches, tips that run out."""
    length = drawn_size(rng, 49, 81, 8, 100)
    start = site.anywhere(rng) - rng.uniform(0.2, 0.8) * length
    low, high = max(start, -2.0), min(start + length, site.length_mm + 2.0)  # only what the picture shows is drawn
    if high - low < 2:
        return None
    opening, deep = drawn_size(rng, 0.055, 0.11, 0.015, 0.5), _depth(site, rng)
    edge = float(rng.choice((-1.0, 0.0, 1.0), p=(0.25, 0.5, 0.25)))
    board = site.board(low, high)
    strands = int(rng.choice((1, 2, 3), p=(0.5, 0.35, 0.15)))
    for strand in range(strands):
        a = low if strand == 0 else rng.uniform(low, high - 1)
        b = high if strand == 0 else min(high, a + rng.uniform(0.15, 0.5) * (high - low))
        if b - a < 1.5:
            continue
        dx, dy = _walk(rng, (b - a) * 1.04, 0.0, 10.0)
        x = a + dx
        drift = dy - np.linspace(0, dy[-1], dy.size) * 0.9 + (0 if strand == 0 else rng.normal(0, 0.5))
        y = site.centre_mm(x) + site.root_mm(x) + edge * 0.95 * site.root_half_mm(x) + drift
        thin = 1.0 if strand == 0 else rng.uniform(0.25, 0.6)
        _branch(board, site, rng, (x, np.asarray(y)), opening * thin, deep)
        for _ in range(rng.poisson((b - a) / 14)):
            at = int(rng.integers(0, x.size))
            bx, by = _walk(rng, rng.uniform(0.8, 4), rng.choice((-1, 1)) * np.deg2rad(rng.uniform(15, 50)), 22.0)
            _branch(board, site, rng, (x[at] + bx * rng.choice((-1, 1)), y[at] + by), 0.4 * opening, 0.6 * deep)
    return board.finish(CRACK, "1011", length_mm=length, opening_mm=opening, height_mm=deep, strands=strands)


def _across(site: Site, rng: np.random.Generator) -> Shadow | None:
    """Transverse cracks: short, fine, faint, one or a small family."""
    count = int(1 + rng.poisson(1.2))
    x0, opening, deep = site.anywhere(rng), drawn_size(rng, 0.028, 0.042, 0.01, 0.15), _depth(site, rng)
    board = site.board(x0 - 4, x0 + 5.0 * count + 4)
    longest = 0.0
    for number in range(count):
        x = x0 + number * rng.uniform(2.5, 6.0)
        room = float(site.edge_mm(x, 1) + site.edge_mm(x, -1))
        length = float(np.clip(rng.uniform(2, 9), 1.5, 0.9 * room))
        longest = max(longest, length)
        heading = np.deg2rad(90 + rng.normal(0, 5))
        dx, dy = _walk(rng, length, heading, 14.0)
        top = -float(site.edge_mm(x, -1)) + rng.uniform(0.05, 0.95) * (room - length)
        _branch(board, site, rng, (x + dx, site.centre_mm(x) + top + dy), opening * rng.uniform(0.6, 1.2), deep)
    return board.finish(CRACK, "1021", length_mm=longest, opening_mm=opening, height_mm=deep, strands=count)


def _star(site: Site, rng: np.random.Generator) -> Shadow | None:
    """A crater crack: arms of 1-5 mm from one point, at a stop of the weld."""
    x = site.anywhere(rng)
    y = float(site.centre_mm(x) + site.root_mm(x) + rng.normal(0, 0.6))
    opening, deep, size = drawn_size(rng, 0.03, 0.05, 0.012, 0.15), float(rng.uniform(0.8, 2.0)), rng.uniform(1.0, 5.0)
    board = site.board(x - 4, x + 4)
    arms = int(rng.integers(3, 6))
    first = rng.uniform(0, 2 * np.pi)
    for arm in range(arms):
        heading = first + 2 * np.pi * (arm + 0.25 * rng.normal()) / arms
        dx, dy = _walk(rng, size * rng.uniform(0.4, 0.7), heading, 25.0)
        _branch(board, site, rng, (x + dx, y + dy), opening, deep)
    return board.finish(CRACK, "104", length_mm=float(size), opening_mm=opening, height_mm=deep, strands=arms)


def fusion(site: Site, rng: np.random.Generator) -> Shadow | None:
    """Lack of fusion: at a side wall (4011), at a root edge (4013) or between runs (4012)."""
    form = rng.random()
    if form < 0.45:
        return _side_wall(site, rng)
    return _root_edge(site, rng) if form < 0.8 else _between_runs(site, rng)


def _stretch(site: Site, rng: np.random.Generator, length: float) -> tuple[Stencil, Doubles, Doubles]:
    """A board over a stretch of that length, its column positions, and how far each lies inside the stretch (mm)."""
    start = site.anywhere(rng) - rng.uniform(0.2, 0.8) * length
    board = site.board(start, start + length)
    x, _ = site.on_board(board)
    return board, x, np.asarray(np.minimum(x - start, start + length - x))


def _rough(rng: np.random.Generator, count: int, scale_px: float) -> Doubles:
    """A smooth random line of unit sd, however short a piece of it."""
    scale_px = max(scale_px, 0.5)
    apron = int(4 * scale_px) + 1
    line = gaussian_filter1d(rng.standard_normal(count + 2 * apron), scale_px)[apron : apron + count]
    # white noise under a unit Gaussian keeps 1 / (2 sqrt(pi) sigma) of its variance
    return np.asarray(np.clip(line * np.sqrt(2 * np.sqrt(np.pi) * scale_px), -3, 3))


def _side_wall(site: Site, rng: np.random.Generator) -> Shadow | None:
    """Beside the centre, straight toward the plate and ragged toward the weld; the bevel's angle keeps it faint."""
    length = drawn_size(rng, 6, 16, 2.5, 200)
    board, x, within = _stretch(site, rng, length)
    if x.size < 2 or board.height == 0:
        return None
    side = float(rng.choice((-1, 1)))
    high, opening = rng.uniform(1.2, 3.0), drawn_size(rng, 0.14, 0.22, 0.03, 0.4)
    shadow, path = tilted_gap(np.array(opening), np.array(high), np.deg2rad(np.array(rng.normal(26, 5))))
    place = rng.uniform(0.35, 0.7) * 0.5 * float(site.edge_mm(x, 1).mean() + site.edge_mm(x, -1).mean())
    _, across = site.on_board(board)
    wall = np.full(x.size, place + shadow / 2)
    ragged = wall - shadow * np.clip(1 + 0.35 * _rough(rng, x.size, 0.4 / site.domain.pitch_mm), 0.25, 1.6)
    depth = (
        path * np.clip(1 + 0.3 * _rough(rng, x.size, 1.5 / site.domain.pitch_mm), 0.2, 2) * np.clip(within / 0.8, 0, 1)
    )
    board.band(side * across, ragged, wall, depth, 0.0)
    return board.finish(FUSION, "4011", length_mm=length, opening_mm=opening, height_mm=high, steel_mm=float(path))


def _root_edge(site: Site, rng: np.random.Generator) -> Shadow | None:
    """A straight thin line along one edge of the root bead, nearly parallel to the ray and so darker."""
    length = drawn_size(rng, 20, 50, 5, 200)
    board, x, within = _stretch(site, rng, length)
    if x.size < 2:
        return None
    side = float(rng.choice((-1, 1)))
    opening, high = drawn_size(rng, 0.06, 0.1, 0.02, 0.3), rng.uniform(0.7, 1.6)
    lateral = site.root_mm(x).mean() + side * site.root_half_mm(x).mean() + 0.03 * _rough(rng, x.size, 20)
    shadow, path = tilted_gap(np.array(opening), np.array(high), np.deg2rad(np.array(rng.normal(0, 5))))
    broken = np.clip(1.1 + 0.8 * _rough(rng, x.size, 3.0 / site.domain.pitch_mm), 0, 1.6)
    area = opening * high * np.clip(within / 1.0, 0, 1) * broken
    board.slit(x, site.centre_mm(x) + lateral, np.asarray(area), np.full(x.size, float(shadow)))
    return board.finish(FUSION, "4013", length_mm=length, opening_mm=opening, height_mm=high, steel_mm=float(path))


def _between_runs(site: Site, rng: np.random.Generator) -> Shadow | None:
    """A faint blurred patch: a flat gap across the ray between two runs."""
    length = drawn_size(rng, 4.5, 6, 2.5, 10)
    x = site.anywhere(rng)
    side = float(rng.choice((-1, 1)))
    y = float(site.centre_mm(x) + side * site.edge_mm(x, side) * rng.uniform(0.1, 0.5))
    gap = drawn_size(rng, 0.22, 0.3, 0.1, 0.5)
    board = site.board(x - length, x + length)
    half = (length / 2, rng.uniform(0.4, 0.9), gap / 2)
    board.ellipsoid(x, y, half, np.deg2rad(rng.normal(0, 5)))
    board.ragged(x, y, (half[0], half[1], gap / 5), 0.0, rng, 1.0)
    return board.finish(FUSION, "4012", length_mm=length, opening_mm=gap, steel_mm=gap)


def penetration(site: Site, rng: np.random.Generator) -> Shadow | None:
    """Lack of penetration (402): a straight band with parallel edges at the weld's centre, sometimes broken."""
    length = drawn_size(rng, 36, 80, 6, 200)
    board, x, within = _stretch(site, rng, length)
    if x.size < 2 or board.height == 0:
        return None
    _, across = site.on_board(board)
    wide = drawn_size(rng, 1.1, 1.6, 0.5, 3.0)
    deep = drawn_size(rng, 0.29, 0.47, 0.12, 1.8) * np.sqrt(site.domain.wall_mm / 8)
    middle = float(site.root_mm(x).mean()) + rng.normal(0, 0.1) + 0.02 * _rough(rng, x.size, 4.0 / site.domain.pitch_mm)
    half = wide / 2 + 0.03 * _rough(rng, x.size, 0.8 / site.domain.pitch_mm)
    depth = deep * np.clip(1 + 0.3 * _rough(rng, x.size, 4.0 / site.domain.pitch_mm), 0.25, 1.8)
    depth = depth * np.clip(within / 1.5, 0, 1)
    if rng.random() < 0.35:  # in places the root did melt through
        depth = depth * np.clip(1.5 + 1.6 * _rough(rng, x.size, 5.0 / site.domain.pitch_mm), 0, 1)
    board.band(across, middle - half, middle + half, np.asarray(depth), 0.0)
    # where the root was not reached there is little root bead
    profile = np.clip(1 - ((across - site.root_mm(x)) / site.root_half_mm(x)) ** 2, 0, 1)
    bead = np.interp(x, site.seam.x_mm, site.seam.root_height_mm) * profile
    board.around_mm += (0.5 * bead * np.clip(within / 3.0, 0, 1)).astype(np.float32)
    return board.finish(PENETRATION, "402", length_mm=length, width_mm=wide, height_mm=deep)
