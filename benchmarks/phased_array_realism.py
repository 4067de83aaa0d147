"""Measures simulated phased-array scans and sets the figures beside those published for polyethylene joints.

    python benchmarks/phased_array_realism.py [--json docs/results/phased-array.json]

Beside the JSON file it writes a table (.md) and a montage (.png) of the same name.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seamwise.vision.welds.acquisition import record
from seamwise.vision.welds.beam import attenuation_db_mm, echo_spectrum, spectrum_sd_mhz
from seamwise.vision.welds.butt_fusion import butt_scene
from seamwise.vision.welds.electrofusion import electrofusion_scene
from seamwise.vision.welds.phased_array import PHASED_ARRAY_DOMAINS, PhasedArray, simulate_scan
from seamwise.vision.welds.picture import CLASSES
from seamwise.vision.welds.pulse_echo import point_echoes, scan_grid
from seamwise.vision.welds.reflectors import spots

Array = NDArray[np.float64]
GREYS = 40  # levels in the montage: small enough a file, and the eye sees no steps
COLOURS = ((230, 60, 50), (240, 200, 40), (70, 200, 90), (60, 190, 230), (220, 90, 220))
HONEST = (
    "No public scans of polyethylene joints with defect masks were found, so nothing here compares pictures with real "
    "pictures: the table compares the simulator with formulas and with figures stated in the literature. Levels, sizes "
    "and rates of flaws are stated practice, not measurements. Whether a network trained on these pictures finds flaws "
    "in a real joint is not known."
)


@dataclass(frozen=True)
class Row:
    """One measured quantity beside what it ought to be."""

    domain: str
    quantity: str
    measured: float
    expected: str
    holds: bool


def half_width(values: Array, step: float) -> float:
    """Width at half the maximum, with the edges interpolated."""
    top, level = int(values.argmax()), values.max() / 2
    right = top + int(np.argmax(values[top:] < level))
    left = top - int(np.argmax(values[top::-1] < level))
    after = right - (level - values[right]) / (values[right - 1] - values[right])
    before = left + (level - values[left]) / (values[left + 1] - values[left])
    return float((after - before) * step)


def point_echo(domain: PhasedArray, depth_mm: float) -> tuple[Array, float, float]:
    """Envelope of a point at a depth on a beam near the middle, and the grid's steps (lines, samples)."""
    grid = scan_grid(domain)
    u = float(grid.lines[len(grid.lines) // 2])
    down = depth_mm + domain.apex_mm
    x = grid.apex_x_mm + down * np.tan(u) if grid.sector else u
    point = spots(np.array([x]), np.array([depth_mm]), 0.0, np.random.default_rng(0))
    envelope = np.abs(point_echoes(grid, point, 1.0, np.zeros(len(grid.lines))))
    range_mm = down / np.cos(u) if grid.sector else 1.0
    return envelope, grid.line_step * range_mm, grid.sample_mm


def unseen(domain: PhasedArray) -> PhasedArray:
    """The domain with material alone: no wires, faces, coupling loss or noise, and a screen that can be read back."""
    quiet = replace(domain, sound_share=1.0, wire_db=-200.0, contact_db=-200.0, inner_face_db=-200.0, noise_db=-200.0)
    quiet = replace(quiet, eigen_line_db=-200.0, ring_db=-200.0, reverberation_db=-200.0, bead_db=-200.0)
    quiet = replace(quiet, coupling_strips=0.0, air_gap_share=0.0, gain_jitter_db=0.0, overheated_share=0.0)
    return replace(quiet, display="linear", bits=16, gain_db=24.0)


def rayleigh_ratios(domain: PhasedArray) -> tuple[float, float]:
    """Mean over standard deviation of the background: of the recorded A-scans, and of the picture made from them.

    Taken depth by depth between the dead zone and the wires (butt: the inner wall), where neither shadow nor echo lies.
    """
    quiet = unseen(domain)
    sector = domain.joint == "butt"
    first, last = domain.dead_zone_mm + 0.5, 0.8 * (domain.wall_mm if sector else domain.wire_depth_mm)
    scene = butt_scene if sector else electrofusion_scene
    recordings = [record(quiet, scene(quiet, 1, weld, 0, ()), 1, weld, 0) for weld in range(16)]
    ranges = recordings[0].grid.ranges
    lines = np.stack([recording.envelope for recording in recordings])[:, :, (ranges > first) & (ranges < last)]
    pixels = np.stack([simulate_scan(quiet, 1, weld * quiet.views).pixels.astype(float) for weld in range(16)])
    depth = (np.arange(quiet.height) + 0.5) * quiet.pitch_mm
    pixels = np.where(pixels > 0, pixels, np.nan)[:, (depth > first) & (depth < last)]
    recorded = np.mean(lines.mean(axis=(0, 1)) / lines.std(axis=(0, 1)))
    shown = np.nanmean(np.nanmean(pixels, axis=(0, 2)) / np.nanstd(pixels, axis=(0, 2)))
    return float(recorded), float(shown)


def wire_pitch_mm(domain: PhasedArray) -> tuple[float, float]:
    """Period of the strongest peak in the spectrum of the wire row, and its power over the next peak elsewhere."""
    clean = replace(domain, sound_share=1.0, displaced_share=0.0, overheated_share=0.0, display="linear", gain_db=-6.0)
    power = np.zeros(2049)
    for i in range(8):
        rows = slice(int((domain.wire_depth_mm - 1.5) / domain.pitch_mm), int(domain.wire_depth_mm / domain.pitch_mm))
        profile = simulate_scan(clean, 1, i * clean.views).pixels[rows].max(axis=0).astype(float)
        power += np.abs(np.fft.rfft((profile - profile.mean()) * np.hanning(len(profile)), 4096)) ** 2
    frequency = np.fft.rfftfreq(4096, domain.pitch_mm)
    band = (frequency > 0.6 / domain.wire_pitch_mm) & (frequency < 1.6 / domain.wire_pitch_mm)
    peak = float(frequency[band][power[band].argmax()])
    rest = band & (np.abs(frequency - peak) > 0.25 / domain.wire_pitch_mm)
    return 1 / peak, float(power[band].max() / power[rest].max())


def measure(domain: PhasedArray) -> list[Row]:
    """All figures of one domain."""
    rows: list[Row] = []

    def note(quantity: str, measured: float, expected: float, tolerance: float, text: str = "") -> None:
        holds = bool(abs(measured - expected) <= tolerance * abs(expected))
        rows.append(Row(domain.name, quantity, round(measured, 3), text or f"{expected:.3f}", holds))

    c, f, bandwidth = domain.sound_speed_m_s / 1000, domain.frequency_mhz, domain.bandwidth_share * domain.frequency_mhz
    recorded, shown = rayleigh_ratios(domain)
    note("background as recorded, mean over sd", recorded, 1.913, 0.03, "1.91 (Rayleigh)")
    if domain.joint == "electrofusion":  # a row of a sector's picture mixes ranges, so levels
        note("background on screen, mean over sd", shown, 2.05, 0.07, "1.9 to 2.2: pixels between beams are means")
    free = replace(domain, attenuation_db_mm=0.0, defocus=0.0, sample_mm=0.02)
    depth = 0.8 * domain.height * domain.pitch_mm
    envelope, line_mm, sample_mm = point_echo(free, depth)
    top = np.unravel_index(envelope.argmax(), envelope.shape)
    axial = half_width(envelope[top[0]], sample_mm)
    note("axial cell, mm", axial, 0.883 * c / (2 * bandwidth), 0.05, f"0.88 c/(2B) = {0.883 * c / (2 * bandwidth):.3f}")
    grid = scan_grid(free)
    along = (depth + domain.apex_mm) / np.cos(grid.lines[len(grid.lines) // 2]) if grid.sector else depth
    theory = c / f * along / domain.aperture_mm
    lateral = half_width(envelope.max(axis=1), line_mm)
    note(f"lateral cell at range {along:.0f} mm, mm", lateral, theory, 0.1, f"lambda F/D = {theory:.3f}")
    narrow = replace(domain, bandwidth_share=0.02, tcg_share=0.0, frequency_mhz=2.0, defocus=0.0, sample_mm=0.02)
    near, far = (20 * np.log10(point_echo(narrow, z)[0].max()) for z in (0.3 * depth, 0.6 * depth))
    way = 0.3 * depth / np.cos(grid.lines[len(grid.lines) // 2]) if grid.sector else 0.3 * depth
    fall = 2 * float(attenuation_db_mm(narrow, np.array(2.0)))
    note("echo fall at 2 MHz, narrow band, dB/mm", (near - far) / way, fall, 0.03, f"2 alpha = {fall:.3f}")
    ranges = np.array([0.0, 2.0])
    centre = echo_spectrum(domain, ranges)[0]
    slope = 1.28 * float(attenuation_db_mm(domain, np.array(f))) / f / 8.686
    shift = slope * spectrum_sd_mhz(domain) ** 2 * 4.0
    note("spectrum down by, over 4 mm path, MHz", float(centre[0] - centre[1]), shift, 0.1, f"a s^2 L = {shift:.3f}")
    if domain.joint == "electrofusion":
        pitch, clear = wire_pitch_mm(domain)
        note("wire pitch from the spectrum, mm", pitch, domain.wire_pitch_mm, 0.04)
        rows.append(Row(domain.name, "that peak over the next", round(clear, 1), "> 3: one clear peak", clear > 3))
    return rows


def population(domain: PhasedArray, count: int = 120) -> dict[str, object]:
    """Speed and how often each class is drawn and can be seen."""
    simulate_scan(domain, 0, 0)
    began = time.process_time()
    pictures = [simulate_scan(domain, 1, i) for i in range(count)]
    ms = 1000 * (time.process_time() - began) / count
    return {
        "domain": domain.name,
        "picture": f"{domain.height} x {domain.width}, {domain.bits} bit, {domain.pitch_mm} mm",
        "ms_per_picture": round(ms, 1),
        "without_flaw": round(float(np.mean([not p.mask.any() for p in pictures])), 3),
        "pixels_visible_of_drawn": round(
            sum(int((p.visible > 0).sum()) for p in pictures) / max(1, sum(int((p.mask > 0).sum()) for p in pictures)),
            3,
        ),
        "pictures_with": {
            name: int(sum(bool((p.visible == k).any()) for p in pictures)) for k, name in enumerate(CLASSES) if k
        },
    }


def montage(path: Path) -> None:
    """Three pictures of each domain; beneath each the same with its visible flaws in colour over a darker picture."""
    columns = []
    for domain in PHASED_ARRAY_DOMAINS.values():
        flawed = [p for i in range(120) if (p := simulate_scan(domain, 5, i)).visible.any()]
        # The pictures with the most classes first, one of each joint.
        flawed.sort(key=lambda p: (-len(np.unique(p.visible)), p.weld))
        chosen = list({p.weld: p for p in reversed(flawed)}.values())[-3:]
        cells = []
        for picture in chosen:
            grey = np.rint(picture.pixels / np.iinfo(picture.pixels.dtype).max * (GREYS - 1)).astype(np.uint8)
            marked = np.where(picture.visible > 0, GREYS + picture.visible - 1, grey * 3 // 5)
            cells += [grey, marked.astype(np.uint8)]
        columns.append(np.vstack(cells))
    sheet = Image.fromarray(np.hstack(columns))
    greys = [round(i * 255 / (GREYS - 1)) for i in range(GREYS) for _ in range(3)]
    sheet.putpalette(greys + [value for colour in COLOURS for value in colour])
    sheet.save(path, optimize=True)


def table(rows: list[Row], groups: list[dict[str, object]]) -> str:
    """The page in Markdown."""
    lines = ["# Simulated phased-array scans of polyethylene: how real are they", "", HONEST, ""]
    lines += ["Made by `python benchmarks/phased_array_realism.py --json docs/results/phased-array.json`.", ""]
    lines += ["| domain | quantity | measured | expected | holds |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.domain} | {r.quantity} | {r.measured} | {r.expected} | {'yes' if r.holds else 'no'} |" for r in rows
    ]
    lines += ["", "120 pictures of each domain, seed 1 (a picture may show several classes):", ""]
    lines += ["| domain | picture | ms of one core | without flaw | visible / drawn | pictures showing each class |"]
    lines += ["|---|---|---|---|---|---|"]
    for g in groups:
        shown = g["pictures_with"]
        assert isinstance(shown, dict)
        classes = ", ".join(f"{name} {count}" for name, count in shown.items())
        lines.append(
            f"| {g['domain']} | {g['picture']} | {g['ms_per_picture']} | {g['without_flaw']} "
            f"| {g['pixels_visible_of_drawn']} | {classes} |"
        )
    lines += [
        "",
        "![Three pictures of each domain](phased-array.png)",
        "",
        f"Columns: {', '.join(PHASED_ARRAY_DOMAINS)}.",
        "Under each picture the same, darker, with its visible mask: crack red, lack of fusion yellow,",
        "lack of penetration green, porosity blue, inclusion violet.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and with `--json` write the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures; .md and .png go beside it")
    target: Path | None = parser.parse_args().json
    rows = [row for domain in PHASED_ARRAY_DOMAINS.values() for row in measure(domain)]
    groups = [population(domain) for domain in PHASED_ARRAY_DOMAINS.values()]
    page = table(rows, groups)
    print(page)
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        figures = {"note": HONEST, "figures": [row.__dict__ for row in rows], "populations": groups}
        target.write_text(json.dumps(figures, indent=1) + "\n")
        target.with_suffix(".md").write_text(page)
        montage(target.with_suffix(".png"))


if __name__ == "__main__":
    main()
