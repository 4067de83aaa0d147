"""Rounded defects: gas pores in their patterns, and slag. Lengths follow the quartiles of a list of 203 entries."""

from __future__ import annotations

import numpy as np

from seamwise.vision.welds.picture import CLASSES
from seamwise.vision.welds.shadow import Shadow
from seamwise.vision.welds.site import Site

POROSITY, SLAG = CLASSES.index("porosity"), CLASSES.index("slag inclusion")


def drawn_size(rng: np.random.Generator, median: float, quartile: float, low: float, high: float) -> float:
    """A log-normal draw by its median and upper quartile, cut to a range."""
    sigma = np.log(quartile / median) / 0.674
    return float(np.clip(median * np.exp(rng.normal(0, sigma)), low, high))


def porosity(site: Site, rng: np.random.Generator) -> Shadow | None:
    """Gas in one of its patterns: a single pore, a cluster, a line at the root, elongated cavities or wormholes."""
    pattern = rng.choice(["2011", "2013", "2014", "2015", "2016"], p=[0.44, 0.24, 0.12, 0.12, 0.08])
    if pattern == "2011":
        return _single(site, rng)
    if pattern == "2013":
        return _cluster(site, rng)
    if pattern == "2014":
        return _string(site, rng)
    return _tadpoles(site, rng, str(pattern))


def _pore(site: Site, rng: np.random.Generator, diameter: float) -> tuple[float, float, float]:
    """Half axes of a nearly round pore that fits into the steel."""
    limit = 0.45 * (site.domain.wall_mm + site.seam.cap_height_mm)
    radii = np.minimum(diameter / 2 * rng.normal(1, 0.08, 3).clip(0.75, 1.25), limit)
    return float(radii[0]), float(radii[1]), float(radii[2])


def _single(site: Site, rng: np.random.Generator) -> Shadow | None:
    diameter = drawn_size(rng, 0.86, 1.3, 0.25, 4.0)
    x = site.anywhere(rng)
    side = float(rng.choice((-1, 1)))
    y = float(site.centre_mm(x) + side * site.edge_mm(x, side) * min(abs(rng.normal(0, 0.4)), 0.85))
    board = site.board(x - diameter, x + diameter)
    board.ellipsoid(x, y, _pore(site, rng, diameter), rng.uniform(0, np.pi))
    if rng.random() < 0.15:  # two bubbles on one ray
        board.ellipsoid(x + 0.3 * diameter * rng.normal(), y, _pore(site, rng, 0.5 * diameter), 0.0)
    return board.finish(POROSITY, "2011", length_mm=diameter)


def _cluster(site: Site, rng: np.random.Generator) -> Shadow | None:
    length = drawn_size(rng, 8, 11, 3, 40)
    x = site.anywhere(rng)
    half = 0.5 * float(site.edge_mm(x, 1) + site.edge_mm(x, -1))
    offset = rng.normal(0, 0.3) * half
    count = int(rng.integers(5, 16) * np.clip(length / 8, 0.8, 2.6))
    size = drawn_size(rng, 0.42, 0.56, 0.22, 0.9)  # pores of one cause are alike
    board = site.board(x - length / 2 - 1, x + length / 2 + 1)
    for _ in range(count):
        px = x + np.clip(rng.normal(0, length / 5), -length / 2, length / 2)
        lateral = np.clip(offset + rng.normal(0, min(length / 7, 0.32 * half)), -0.85 * half, 0.85 * half)
        diameter = float(np.clip(size * rng.lognormal(0, 0.4), 0.2, 1.6))
        board.ellipsoid(
            float(px), float(site.centre_mm(px) + lateral), _pore(site, rng, diameter), rng.uniform(0, np.pi)
        )
    return board.finish(POROSITY, "2013", length_mm=length, pores=count)


def _string(site: Site, rng: np.random.Generator) -> Shadow | None:
    length = drawn_size(rng, 15, 26, 8, 76)
    start = site.anywhere(rng) - length / 2
    edge = float(rng.choice((-1.0, 0.0, 1.0)))
    board = site.board(start - 1, start + length + 1)
    x, size, count = start, drawn_size(rng, 0.6, 0.85, 0.3, 1.4), 0
    while x < start + length:
        lateral = site.root_mm(x) + edge * 0.9 * site.root_half_mm(x) + rng.normal(0, 0.15)
        half = _pore(site, rng, float(np.clip(size * rng.lognormal(0, 0.3), 0.2, 2.0)))
        board.ellipsoid(x, float(site.centre_mm(x) + lateral), half, rng.uniform(0, np.pi))
        x, count = x + size * (1.1 + rng.exponential(1.2)), count + 1
    return board.finish(POROSITY, "2014", length_mm=length, pores=count)


def _tadpoles(site: Site, rng: np.random.Generator, code: str) -> Shadow | None:
    """Elongated cavities: a head and a thinning tail, across the weld, wormholes in herring-bone pairs."""
    count = int(rng.integers(1, 7))
    spacing = rng.uniform(1.5, 4.0)
    x0 = site.anywhere(rng)
    lean = rng.normal(0, 10) if code == "2015" else rng.uniform(35, 60)
    board = site.board(x0 - 3, x0 + spacing * count + 3)
    longest = 0.0
    for number in range(count):
        longest = max(longest, length := drawn_size(rng, 1.5, 2.6, 0.7, 6) * (1.5 if code == "2016" else 1.0))
        side = 1.0 if (number % 2 == 0) == (code == "2016") else float(rng.choice((-1, 1)))
        x = x0 + spacing * number * (1 + 0.2 * rng.normal())
        lateral = side * site.edge_mm(x, side) * rng.uniform(0.1, 0.55)
        turn = np.deg2rad(90 + side * lean + rng.normal(0, 6))
        head = float(np.clip(length * rng.uniform(0.12, 0.22), 0.12, 0.5))
        for part in np.linspace(0, 1, max(4, int(length / head))):
            thin = head * (1 - 0.55 * part)
            px, py = x + np.cos(turn) * part * length * side, lateral + np.sin(turn) * part * length * side
            py = float(site.centre_mm(px) + np.clip(py, -0.9 * site.edge_mm(px, -1), 0.9 * site.edge_mm(px, 1)))
            board.ellipsoid(px, py, (1.3 * thin, thin, 0.35 * thin), turn)
    return board.finish(POROSITY, code, length_mm=longest, pores=count)


def slag(site: Site, rng: np.random.Generator) -> Shadow | None:
    """Slag: a ragged angular patch or a few (3012), or two broken lines beside the root, the wagon tracks (3011)."""
    # density 2.5-3.5 beside steel's 7.9 leaves 55-70 % of a void's contrast
    filling = rng.uniform(0.55, 0.70)
    return _tracks(site, rng, filling) if rng.random() < 0.4 else _spots(site, rng, filling)


def _thickness(site: Site, rng: np.random.Generator, median: float) -> float:
    """Half the height of a piece of slag: more in a thick wall, whose runs are taller."""
    return float(np.clip(median * rng.lognormal(0, 0.33) * np.sqrt(site.domain.wall_mm / 8), 0.12, 1.5))


def _spots(site: Site, rng: np.random.Generator, filling: float) -> Shadow | None:
    length = drawn_size(rng, 5.2, 7.2, 2, 10)
    x = site.anywhere(rng)
    side = float(rng.choice((-1, 1)))
    offset = side * site.edge_mm(x, side) * rng.uniform(0.05, 0.6)
    board = site.board(x - length, x + length)
    pieces = int(rng.integers(1, 4))
    for piece in range(pieces):
        long = length / 2 * (1.0 if piece == 0 else rng.uniform(0.15, 0.5))
        px = x + (0 if piece == 0 else rng.normal(0, length / 2))
        half = (
            long,
            float(np.clip(long * rng.uniform(0.15, 0.5), 0.2, 1.0)),
            _thickness(site, rng, 0.5),
        )
        py = float(site.centre_mm(px) + offset + (0 if piece == 0 else rng.normal(0, 0.6)))
        board.ragged(px, py, half, np.deg2rad(rng.normal(0, 12)), rng, filling)
    return board.finish(SLAG, "3012", length_mm=length, filling=filling)


def _tracks(site: Site, rng: np.random.Generator, filling: float) -> Shadow | None:
    length = drawn_size(rng, 26, 45, 12, 200)
    start = site.anywhere(rng) - length / 2
    apart = rng.uniform(2, 6)
    board = site.board(start, start + length)
    for side in (-1.0, 1.0) if rng.random() < 0.75 else (float(rng.choice((-1, 1))),):
        x = start + rng.exponential(1.0)
        while x < start + length:
            piece = float(np.clip(rng.lognormal(1.0, 0.6), 0.8, 12))
            px = x + piece / 2
            wide = rng.uniform(0.15, 0.5)
            py = float(site.centre_mm(px) + site.root_mm(px) + side * apart / 2 + rng.normal(0, 0.15))
            half = (piece / 2, wide, _thickness(site, rng, 0.35))
            board.ragged(px, py, half, np.deg2rad(rng.normal(0, 2)), rng, filling)
            x += piece * 0.9 + rng.exponential(0.8)
    return board.finish(SLAG, "3011", length_mm=length, filling=filling)
