"""What else a weld radiograph shows: lead letters, wires of the image quality indicator, spatter, scratches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from seamwise.vision.welds.radiography import Radiography
from seamwise.vision.welds.seam import Doubles, Floats, Seam
from seamwise.vision.welds.shadow import Stencil

# ISO 19232-1 wire numbers and diameters
WIRES_MM = {
    6: 1.0,
    7: 0.8,
    8: 0.63,
    9: 0.5,
    10: 0.4,
    11: 0.32,
    12: 0.25,
    13: 0.2,
    14: 0.16,
    15: 0.125,
    16: 0.1,
    17: 0.08,
    18: 0.063,
    19: 0.05,
}
_WIRE_SPACING_MM = 5.0
LEAD_AS_STEEL = 9.0  # lead weakens like so much steel between 150 and 400 kV
TUNGSTEN_AS_STEEL = 12.0

# Strokes on a grid 4 wide and 6 high, y down: polylines "x y x y ..." parted by commas.
_GLYPHS = {
    "0": "1 0 3 0 4 1 4 5 3 6 1 6 0 5 0 1 1 0",
    "1": "1 1 2 0 2 6",
    "2": "0 1 1 0 3 0 4 1 4 2 0 6 4 6",
    "3": "0 0 4 0 2 2 4 4 4 5 3 6 1 6 0 5",
    "4": "3 6 3 0 0 4 4 4",
    "5": "4 0 0 0 0 3 3 3 4 4 4 5 3 6 0 6",
    "6": "4 0 2 0 0 3 0 5 1 6 3 6 4 5 4 4 3 3 0 3",
    "7": "0 0 4 0 1 6",
    "8": "1 3 0 2 0 1 1 0 3 0 4 1 4 2 3 3 1 3 0 4 0 5 1 6 3 6 4 5 4 4 3 3",
    "9": "4 3 1 3 0 2 0 1 1 0 3 0 4 1 4 3 2 6 0 6",
    "A": "0 6 2 0 4 6,1 4 3 4",
    "B": "0 0 0 6 3 6 4 5 4 4 3 3 0 3,0 0 3 0 4 1 4 2 3 3",
    "D": "0 0 0 6 2 6 4 4 4 2 2 0 0 0",
    "E": "4 0 0 0 0 6 4 6,0 3 3 3",
    "F": "4 0 0 0 0 6,0 3 3 3",
    "H": "0 0 0 6,4 0 4 6,0 3 4 3",
    "K": "0 0 0 6,4 0 0 3 4 6",
    "L": "0 0 0 6 4 6",
    "M": "0 6 0 0 2 3 4 0 4 6",
    "N": "0 6 0 0 4 6 4 0",
    "P": "0 6 0 0 3 0 4 1 4 2 3 3 0 3",
    "R": "0 6 0 0 3 0 4 1 4 2 3 3 0 3,2 3 4 6",
    "S": "4 1 3 0 1 0 0 1 0 2 1 3 3 3 4 4 4 5 3 6 1 6 0 5",
    "T": "0 0 4 0,2 0 2 6",
    "V": "0 0 2 6 4 0",
    "W": "0 0 1 6 2 2 3 6 4 0",
    "X": "0 0 4 6,4 0 0 6",
    "-": "1 3 3 3",
}


def _strokes(letter: str) -> list[Doubles]:
    """The polylines of a letter, each (N, 2)."""
    return [np.array(line.split(), float).reshape(-1, 2) for line in _GLYPHS[letter].split(",")]


def markings_mm(domain: Radiography, seam: Seam, rng: np.random.Generator) -> Floats:
    """Steel-equivalent thickness (H, W) in mm of all that lies on the weld."""
    extra = np.zeros((domain.height, domain.width), np.float32)
    for _ in range(rng.poisson(domain.letters)):
        _write(domain, seam, rng, extra)
    if rng.random() < domain.wires:
        extra += wires_mm(domain, rng)
    for _ in range(rng.poisson(domain.spatter)):
        _speck(domain, seam, rng, extra, (0.3, 1.2), 1.0, beside=True)
    for _ in range(rng.poisson(domain.tungsten)):
        _speck(domain, seam, rng, extra, (0.1, 0.5), TUNGSTEN_AS_STEEL, beside=False)
    for _ in range(rng.poisson(domain.undercut)):
        _undercut(domain, seam, rng, extra)
    return extra


def _write(domain: Radiography, seam: Seam, rng: np.random.Generator, extra: Floats) -> None:
    """A line of lead letters above or below the weld, 8-12 mm high (less where the picture leaves no room)."""
    length, tall = domain.width * domain.pitch_mm, domain.height * domain.pitch_mm
    below = rng.random() < 0.7
    edge = (
        max((c + seam.below_mm).max() for c in seam.centres_mm)
        if below
        else min((c - seam.above_mm).min() for c in seam.centres_mm)
    )
    room = float(tall - edge if below else edge)
    high = float(np.clip(0.75 * room, 3.0, 10.0))
    stroke, lead = 0.17 * high, rng.uniform(1.0, 2.5) * LEAD_AS_STEEL
    text = "".join(rng.choice(list(_GLYPHS), int(rng.integers(1, 6))))
    x = rng.uniform(-0.05, 0.85) * length
    y = float(edge + 0.5 * (room - high) if below else edge - 0.5 * (room + high)) + rng.normal(0, 0.06) * high
    lean = np.deg2rad(rng.normal(0, 2.5))
    for letter in text:
        wobble = np.deg2rad(rng.normal(0, 4)) + lean
        box = (x - high, y - high, x + 2 * high, y + 2 * high)
        board = Stencil(box, extra.shape, domain.pitch_mm)
        if board.lost_mm.size:
            _glyph(board, letter, (x, y), high / 6, stroke, wobble, lead)
            view = extra[board.top : board.top + board.height, board.left : board.left + board.width]
            np.maximum(view, board.lost_mm, out=view)
        x, y = x + 0.92 * high * np.cos(lean), y + 0.92 * high * np.sin(lean)


def _glyph(
    board: Stencil, letter: str, at: tuple[float, float], unit: float, stroke: float, turn: float, lead: float
) -> None:
    """Draw a letter as rods of lead with rounded edges."""
    px = (np.arange(board.width) + board.left + 0.5) * board.pitch_mm
    py = ((np.arange(board.height) + board.top + 0.5) * board.pitch_mm)[:, None]
    nearest = np.full(board.lost_mm.shape, np.inf)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    for line in _strokes(letter):
        points = line * unit @ rotation + at
        for a, b in pairwise(points):
            along = b - a
            part = np.clip(((px - a[0]) * along[0] + (py - a[1]) * along[1]) / (along @ along), 0, 1)
            np.minimum(nearest, np.hypot(px - a[0] - part * along[0], py - a[1] - part * along[1]), out=nearest)
    board.lost_mm[:] = lead * np.clip((stroke / 2 - nearest) / (0.12 * unit + board.pitch_mm) + 0.5, 0, 1)


def wires_mm(domain: Radiography, rng: np.random.Generator) -> Floats:
    """Steel (H, W) of a wire indicator: seven wires 5 mm apart across the weld, the wanted one in their middle."""
    wanted = int(np.clip(round(14 - np.log2(max(domain.walls_mm, 2) / 6) * 2), 9, 16))
    x0 = rng.uniform(-10, 0.8 * domain.width * domain.pitch_mm)
    lean = np.tan(np.deg2rad(rng.normal(0, 1.0)))
    y = np.asarray((np.arange(domain.height) + 0.5) * domain.pitch_mm, np.float64)
    edges = np.asarray(np.arange(domain.width + 1) * domain.pitch_mm, np.float64)
    total = np.zeros((domain.height, domain.width), np.float32)
    for number in range(7):
        radius = WIRES_MM[wanted - 3 + number] / 2
        x = np.asarray(x0 + _WIRE_SPACING_MM * number + (lean + rng.normal(0, 0.003)) * y, np.float64)
        near = (edges[1:] > x.min() - radius) & (edges[:-1] < x.max() + radius)
        if near.any():
            cols = np.flatnonzero(near)
            total[:, cols] += _wire(edges[cols[0] : cols[-1] + 2], x, radius, domain.pitch_mm)
    return total


def _wire(edges: Doubles, x: Doubles, radius: float, pitch: float) -> Floats:
    """Mean chord of a round wire in each pixel, exact: the circle's area between two pixel edges."""
    z = np.clip(np.subtract.outer(-x, -edges) / radius, -1, 1)
    area = radius**2 * (z * np.sqrt(1 - z * z) + np.arcsin(z))
    return np.asarray(np.diff(area, axis=1) / pitch, np.float32)


def _speck(
    domain: Radiography,
    seam: Seam,
    rng: np.random.Generator,
    extra: Floats,
    size: tuple[float, float],
    metal: float,
    beside: bool,
) -> None:
    """A drop of metal: spatter beside the weld, or tungsten near the root."""
    col = int(rng.integers(0, domain.width))
    image = int(rng.integers(0, len(seam.centres_mm)))
    side = rng.choice((-1, 1))
    edge = seam.below_mm[col] if side > 0 else seam.above_mm[col]
    offset = side * (edge * rng.uniform(1.02, 1.8)) if beside else seam.root_mm[col] + rng.normal(0, 1.0)
    x, y, radius = float(seam.x_mm[col]), float(seam.centres_mm[image][col] + offset), rng.uniform(*size) / 2
    board = Stencil((x - 1, y - 1, x + 1, y + 1), extra.shape, domain.pitch_mm)
    board.ellipsoid(x, y, (radius, radius * rng.uniform(0.7, 1.0), radius), rng.uniform(0, np.pi), part=metal)
    extra[board.top : board.top + board.height, board.left : board.left + board.width] += board.lost_mm


def _undercut(domain: Radiography, seam: Seam, rng: np.random.Generator, extra: Floats) -> None:
    """A groove beside the cap's edge, .3-1.5 mm wide and 3.5-20 mm long: a shape fault that no mask names."""
    length, wide, deep = rng.uniform(3.5, 20), rng.uniform(0.3, 1.5), rng.uniform(0.1, 0.5)
    start = rng.uniform(0, seam.x_mm[-1])
    cols = np.flatnonzero((seam.x_mm > start) & (seam.x_mm < start + length))
    side = rng.choice((-1, 1))
    image = int(rng.integers(0, len(seam.centres_mm)))
    if cols.size:
        edge = side * (seam.below_mm if side > 0 else seam.above_mm)[cols]
        beside = np.subtract.outer(seam.y_mm, seam.centres_mm[image][cols] + edge) / (wide / 2)
        taper = np.sin(np.pi * (seam.x_mm[cols] - start) / length)
        extra[:, cols] -= (deep * taper * np.clip(1 - beside**2, 0, None)).astype(np.float32)


def scratches(domain: Radiography, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Handling marks on film or plate, (H, W) in units of a clear mark: straight scratches and specks of dust."""
    marks = np.zeros(shape, np.float32)
    height, width = shape
    for _ in range(rng.poisson(domain.scratches)):
        long = rng.uniform(0.1, 0.7) * width
        x0, y0, turn = rng.uniform(0, width), rng.uniform(0, height), rng.normal(0, 0.25)
        t = np.arange(0, long, 0.5)
        cols = (x0 + t * np.cos(turn)).astype(np.intp)
        rows = (y0 + t * np.sin(turn) + 1.5 * np.sin(t / long * 3)).astype(np.intp)
        keep = (cols < width) & (rows >= 0) & (rows < height) & (rng.random(t.size) < 0.9)
        marks[rows[keep], cols[keep]] += rng.normal(0, 0.6)
    for _ in range(rng.poisson(domain.dust)):
        row, col, size = int(rng.integers(0, height)), int(rng.integers(0, width)), int(rng.integers(1, 3))
        marks[row : row + size, col : col + int(rng.integers(1, 4))] += abs(rng.normal(0, 1.2))
    return marks
