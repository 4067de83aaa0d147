"""Simulated phased-array pictures of polyethylene joints, with exact masks, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, map_coordinates

from seamwise.errors import UsageError
from seamwise.vision.welds.acquisition import Recording, record
from seamwise.vision.welds.butt_fusion import butt_scene
from seamwise.vision.welds.electrofusion import electrofusion_scene
from seamwise.vision.welds.flaw_plan import generator, plan_flaws
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.picture import Picture
from seamwise.vision.welds.pulse_echo import ScanGrid, scan_grid
from seamwise.vision.welds.reflectors import Flaw, Floats, Scene, amplitude

VISIBLE_OVER_REST = 2.0  # 6 dB
HOLE_SHARE = 0.8  # the 2 mm hole is set to 80 % of full screen before `gain_db`, as inspectors do


@dataclass(frozen=True)
class PixelMap:
    """Where each pixel of the picture lies on the machine's grid; arrays (H, W).

    line, sample: fractional indices. u, range_mm: the same as beam coordinate and range. inside: covered by beams.
    """

    line: Floats
    sample: Floats
    u: Floats
    range_mm: Floats
    inside: NDArray[np.bool_]


def simulate_scan(domain: PhasedArray, seed: int, index: int) -> Picture:
    """Picture number `index` of a domain: the same for the same domain, seed and index, and for no other reason.

    Every `domain.views` neighbouring numbers show one joint, some millimetres apart, and share `Picture.weld`.
    Masks hold class ids of `picture.CLASSES`. `mask`: the reflector's extent widened by half a -6 dB resolution cell on
    each side (in a butt joint also its image by way of the inner wall). `visible`: where in it the flaw's own echo
    stands 6 dB above the expected grain and noise and all other echoes. Raises UsageError for a negative number.
    """
    if seed < 0 or index < 0:
        raise UsageError(f"seed is {seed} and index is {index}; both must be 0 or more")
    weld, view = divmod(index, domain.views)
    scene = _scene(domain, seed, weld, view)
    recording = record(domain, scene, seed, weld, view)
    pixels = pixel_map(domain)
    grey = display(domain, _to_pixels(recording.envelope, pixels), pixels.inside)
    mask, visible, seen = _masks(domain, scene, recording, pixels)
    return Picture(
        pixels=grey,
        mask=mask,
        visible=visible,
        pitch_mm=domain.pitch_mm,
        weld=f"{domain.name}-{seed}-{weld:05d}",
        facts=_facts(domain, scene, recording, seen),
    )


def _scene(domain: PhasedArray, seed: int, weld: int, view: int) -> Scene:
    planned = plan_flaws(domain, generator(seed, 0, weld))
    shown = tuple(flaw for flaw in planned if flaw.shown_in(view))
    build = electrofusion_scene if domain.joint == "electrofusion" else butt_scene
    return build(domain, seed, weld, view, shown)


@lru_cache(maxsize=16)
def pixel_map(domain: PhasedArray) -> PixelMap:
    """Scan conversion: for a sector from angle and range to square pixels, else a plain change of sampling."""
    grid = scan_grid(domain)
    x = (np.arange(domain.width) + 0.5) * domain.pitch_mm
    z = (np.arange(domain.height) + 0.5) * domain.pitch_mm
    u, r = grid.place(*np.broadcast_arrays(x[None, :], z[:, None]))
    half = grid.line_step / 2.0
    inside = (u >= grid.lines[0] - half) & (u <= grid.lines[-1] + half) & (r <= grid.ranges[-1])
    return PixelMap((u - grid.lines[0]) / grid.line_step, r / grid.sample_mm, u, r, inside)


def _to_pixels(values: Floats, pixels: PixelMap) -> Floats:
    """Values on the machine's grid (L, S) as the screen shows them (H, W), linear in between, 0 without a beam."""
    result: Floats = map_coordinates(values, [pixels.line, pixels.sample], order=1, mode="nearest")
    return np.where(pixels.inside, result, 0.0)


def display(domain: PhasedArray, envelope: Floats, inside: NDArray[np.bool_]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Grey values of an envelope (1 is the 2 mm hole): linear or logarithmic, clipped at full screen, quantised."""
    screen = envelope * HOLE_SHARE * amplitude(domain.gain_db)
    if domain.display == "log":
        screen = 1.0 + 20.0 * np.log10(np.maximum(screen, 1e-9)) / domain.dynamic_range_db
    screen = np.where(inside, np.clip(screen, 0.0, 1.0), 0.0)
    levels = 2**domain.bits - 1
    steps: Floats = np.rint(screen * levels) / levels
    return np.rint(steps * 255).astype(np.uint8) if domain.bits <= 8 else np.rint(steps * 65535).astype(np.uint16)


def _least_shown(domain: PhasedArray) -> float:
    """Envelope that gives two grey steps of an 8-bit screen: less cannot be seen."""
    share = 2.0 / 255.0
    if domain.display == "log":
        share = 10.0 ** ((share - 1.0) * domain.dynamic_range_db / 20.0)
    return float(share / (HOLE_SHARE * amplitude(domain.gain_db)))


def _masks(
    domain: PhasedArray, scene: Scene, recording: Recording, pixels: PixelMap
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[float]]:
    """Both masks, and of each flaw the share of its geometric mask that is visible; later flaws cover earlier ones."""
    mask = np.zeros(pixels.inside.shape, dtype=np.uint8)
    visible = np.zeros_like(mask)
    seen = []
    for flaw, echo in zip(scene.flaws, recording.flaws, strict=True):
        extent = flaw_extent(domain, recording.grid, flaw, recording.stretch, pixels)
        clear = _stands_out(domain, recording, echo, pixels, extent)
        mask[extent], visible[extent] = flaw.class_id, 0
        visible[clear] = flaw.class_id
        seen.append(float(clear.sum() / max(int(extent.sum()), 1)))
    return mask, visible, seen


def _stands_out(
    domain: PhasedArray, recording: Recording, echo: Floats, pixels: PixelMap, extent: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which pixels of a flaw's extent show its echo clear of everything else, short breaks closed."""
    places = [pixels.line[extent], pixels.sample[extent]]
    rest = map_coordinates(recording.rest, places, order=1, mode="nearest")
    own = map_coordinates(echo, places, order=1, mode="nearest")
    clear = np.zeros_like(extent)
    clear[extent] = own > VISIBLE_OVER_REST * np.maximum(rest, _least_shown(domain))
    rows, columns = np.flatnonzero(clear.any(axis=1)), np.flatnonzero(clear.any(axis=0))
    if len(rows):
        # A person draws through the short breaks that wires and speckle leave.
        box = slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 4, 0), columns[-1] + 5)
        clear[box] |= binary_closing(clear[box], np.ones((3, 9), bool)) & extent[box]
    return clear


def flaw_extent(domain: PhasedArray, grid: ScanGrid, flaw: Flaw, stretch: float, pixels: PixelMap) -> NDArray[np.bool_]:
    """The flaw's geometric mask (H, W): all points within half a resolution cell of one of its reflectors."""
    extent = np.zeros(pixels.inside.shape, dtype=bool)
    u, r = grid.place(flaw.points.x, flaw.points.z)
    r = r * stretch
    axial, lateral = np.interp(r, grid.ranges, grid.axial_mm), np.interp(r, grid.ranges, grid.lateral)
    x = grid.apex_x_mm + r * np.sin(u) if grid.sector else u
    z = r * np.cos(u) - grid.apex_mm if grid.sector else r
    wide = np.maximum(axial, lateral * r) if grid.sector else lateral
    tall = np.maximum(axial, lateral * r) if grid.sector else axial
    p = domain.pitch_mm
    rows = np.stack([np.floor((z - tall / 2) / p - 0.5), np.ceil((z + tall / 2) / p + 0.5)], axis=1).astype(int)
    columns = np.stack([np.floor((x - wide / 2) / p - 0.5), np.ceil((x + wide / 2) / p + 0.5)], axis=1).astype(int)
    rows, columns = np.clip(rows, 0, domain.height), np.clip(columns, 0, domain.width)
    for i in range(len(u)):
        box = slice(rows[i, 0], rows[i, 1]), slice(columns[i, 0], columns[i, 1])
        near = ((pixels.u[box] - u[i]) / lateral[i]) ** 2 + ((pixels.range_mm[box] - r[i]) / axial[i]) ** 2
        extent[box] |= near <= 0.25
    return extent & pixels.inside


def _facts(domain: PhasedArray, scene: Scene, recording: Recording, seen: list[float]) -> dict[str, object]:
    """What was drawn, as plain JSON values."""
    grid = recording.grid
    focus = int(np.searchsorted(grid.ranges, min(domain.focus_mm, grid.ranges[-1])))
    lateral_mm = grid.lateral[focus] * (grid.ranges[focus] if grid.sector else 1.0)
    rms = float(recording.grain_rms[focus])
    defects = [flaw.facts() | {"visible_share": round(share, 3)} for flaw, share in zip(scene.flaws, seen, strict=True)]
    return {
        "defects": defects,
        "joint": scene.facts,
        "axial_mm": round(float(grid.axial_mm[focus]), 3),
        "lateral_mm": round(float(lateral_mm), 3),
        # A Rayleigh envelope of this root mean square.
        "speckle_mean": round(rms * float(np.sqrt(np.pi) / 2.0), 6),
        "speckle_sd": round(rms * float(np.sqrt(1.0 - np.pi / 4.0)), 6),
        "shown_over_true_range": round(recording.stretch, 4),
    }
