"""A simulated weld radiograph: steel -> beam -> detector -> display, with the masks of its defects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import UsageError
from seamwise.vision.welds.attenuation import exposure
from seamwise.vision.welds.defects import porosity, slag
from seamwise.vision.welds.detector import faults, noise, noise_sd, transfer
from seamwise.vision.welds.markings import markings_mm, scratches
from seamwise.vision.welds.picture import CLASSES, Picture
from seamwise.vision.welds.planar import crack, fusion, penetration
from seamwise.vision.welds.radiography import Radiography
from seamwise.vision.welds.seam import Floats, Seam, draw_seam, thickness_mm
from seamwise.vision.welds.shadow import Shadow
from seamwise.vision.welds.site import Site

VISIBLE_SIGMA = 1.5  # contrast in noise sigma from which a defect's pixel counts as visible
_DRAWERS = {"crack": crack, "fusion": fusion, "penetration": penetration, "porosity": porosity, "slag": slag}
_WELD, _MARKS, _DEFECTS, _NOISE, _DISPLAY, _PANEL, _SPREAD = range(7)  # purposes: each has its own generator


@dataclass(frozen=True)
class Display:
    """From signal to grey: a window of two signals, a gamma, a polarity."""

    low: float
    high: float
    gamma: float
    bright_is_thick: bool
    levels: int

    def grey(self, signal: Floats, clip: bool = True) -> Floats:
        """Grey values 0..levels, not yet rounded; past the window only without `clip`."""
        part = (signal - self.low) / (self.high - self.low)
        if self.bright_is_thick:
            part = 1 - part
        if clip:
            part = np.clip(part, 0, 1)
        if self.gamma != 1:
            part = np.sign(part) * np.abs(part) ** np.float32(self.gamma)
        return np.asarray(part * self.levels, np.float32)


def simulate_radiograph(domain: Radiography, seed: int, index: int) -> Picture:
    """Picture number `index` of a domain: the same three arguments give the same picture, bit for bit.

    `domain.views` successive pictures show successive stretches of one weld. Raises UsageError for a negative number.
    """
    if seed < 0 or index < 0:
        raise UsageError(f"seed {seed} and picture index {index} must not be negative")
    weld, view = divmod(index, domain.views)

    def purpose(which: int, *more: int) -> np.random.Generator:
        return np.random.default_rng([seed, which, *more])

    if domain.spread > 0:
        domain = _today(domain, purpose(_SPREAD, weld))
    seam = draw_seam(domain, purpose(_WELD, weld), view)
    shadows = draw_shadows(domain, seam, purpose(_DEFECTS, weld, view))
    sound = thickness_mm(domain, seam) + markings_mm(domain, seam, purpose(_MARKS, weld, view))
    for shadow in shadows:
        sound[shadow.rows, shadow.cols] -= shadow.around_mm
    sound = np.maximum(sound, 0)
    lost = _lost_mm(domain, shadows)
    clean_dose = exposure(domain, sound)
    dose = exposure(domain, np.maximum(sound - lost, 0)) if shadows else clean_dose
    clean, signal = transfer(domain, clean_dose), transfer(domain, dose)
    deviation = noise_sd(domain, dose)
    display = _window(domain, seam, clean, purpose(_DISPLAY, weld, view))
    rng = purpose(_NOISE, weld, view)
    noisy = signal + deviation * noise(domain, signal.shape, rng)
    noisy = faults(domain, noisy, purpose(_PANEL), rng)
    if domain.scratches or domain.dust:
        noisy += 0.08 * (display.high - display.low) * scratches(domain, signal.shape, purpose(_MARKS, weld, view, 1))
    rounded = np.rint(display.grey(noisy))
    pixels = rounded.astype(np.uint8) if domain.bits == 8 else rounded.astype(np.uint16)
    # what the defects alone change on the display, and the noise they have to stand out from
    shown = display.grey(signal)
    contrast = np.abs(shown - display.grey(clean))
    sigma = np.abs(display.grey(signal + deviation, clip=False) - display.grey(signal, clip=False))
    mask, visible = _masks(shadows, contrast > VISIBLE_SIGMA * sigma)
    base = _base_metal(seam)
    to_8_bit = 255 / display.levels
    measured = float(
        np.std((noisy - signal)[base]) / max(abs(float(np.mean(transfer_slope(domain, dose)[base]))), 1e-9)
    )
    facts: dict[str, object] = {
        "domain": domain.name,
        "seed": seed,
        "index": index,
        "view": view,
        "noise_sigma_grey": round(float(np.median(sigma[base])) * to_8_bit, 3),
        "snr_n": round(float(np.mean(dose[base])) / max(measured, 1e-9) * domain.snr_n_per_snr, 1),
        "unsharpness_mm": round(domain.unsharpness_mm, 3),
        "weld_step_grey": round(_step(seam, shown) * to_8_bit, 1),
        "defects": [_facts(s, contrast / np.maximum(sigma, 1e-6), contrast, visible, lost, to_8_bit) for s in shadows],
    }
    return Picture(pixels, mask, visible, domain.pitch_mm, f"{domain.name}-{seed}-{weld}", facts)


def _today(domain: Radiography, rng: np.random.Generator) -> Radiography:
    """The domain as one weld was taken: noise and grain a little off the usual."""
    quiet, wide, steep = np.exp(domain.spread * rng.normal(size=3))
    return replace(
        domain,
        snr_n=domain.snr_n * quiet,
        noise_correlation_mm=domain.noise_correlation_mm * wide,
        grain_slope=max(3.0, domain.grain_slope * steep**0.5),
    )


def draw_shadows(domain: Radiography, seam: Seam, rng: np.random.Generator) -> list[Shadow]:
    """The defects of one picture, rarer classes last (they win in the mask, cracks above all)."""
    rates = np.array([getattr(domain, name) for name in _DRAWERS], float)
    if rng.random() < domain.defect_free or domain.defects == 0 or rates.sum() == 0:
        return []
    names = list(_DRAWERS)
    favourite = rng.choice(len(names), p=rates / rates.sum())  # faults of one cause come together
    rates = 0.75 * rates / rates.sum() + 0.25 * np.eye(len(names))[favourite]
    shadows = []
    for _ in range(max(1, rng.poisson(domain.defects))):
        site = Site(domain, seam, int(rng.integers(0, len(seam.centres_mm))))
        shadow = _DRAWERS[names[rng.choice(len(names), p=rates)]](site, rng)
        if shadow is not None:
            shadows.append(shadow)
    return sorted(shadows, key=lambda s: -s.kind if s.kind != CLASSES.index("porosity") else -len(CLASSES))


def _lost_mm(domain: Radiography, shadows: list[Shadow]) -> Floats:
    """Steel that all defects together take from each ray."""
    lost = np.zeros((domain.height, domain.width), np.float32)
    for shadow in shadows:
        lost[shadow.rows, shadow.cols] += shadow.lost_mm
    return lost


def _masks(shadows: list[Shadow], stands_out: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Geometric mask, and the part of it that stands out of the noise."""
    mask = np.zeros(stands_out.shape, np.uint8)
    for shadow in shadows:
        mask[shadow.rows, shadow.cols][shadow.covered] = shadow.kind
    return mask, np.where(stands_out, mask, np.uint8(0))


def transfer_slope(domain: Radiography, exposure_map: Floats) -> Floats:
    """Change of the signal per change of exposure."""
    step = np.float32(1e-2)
    return np.asarray(
        (transfer(domain, exposure_map * (1 + step)) - transfer(domain, exposure_map)) / (step * exposure_map)
    )


def _base_metal(seam: Seam) -> NDArray[np.bool_]:
    """Pixels beside the weld, or the whole picture where the weld fills it."""
    weld = seam.inside(0)
    for image in range(1, len(seam.centres_mm)):
        weld |= seam.inside(image)
    return ~weld if (~weld).sum() > 0.02 * weld.size else np.ones_like(weld)


def _step(seam: Seam, values: Floats) -> float:
    """Difference between the base metal and the middle of the weld."""
    core = np.abs(seam.across(0)) < 0.35 * np.float32(np.mean(seam.below_mm))
    base = _base_metal(seam)
    return float(abs(np.median(values[base][::7]) - np.median(values[core][::7]))) if core.any() else 0.0


def _window(domain: Radiography, seam: Seam, clean: Floats, rng: np.random.Generator) -> Display:
    """The window an operator sets by eye: so many steps from base metal to weld wide, about their middle."""
    middle_third = slice(domain.width // 3, max(2 * domain.width // 3, 1))  # a pipe's flanks do not count
    core = (np.abs(seam.across(0)) < 0.35 * np.float32(np.mean(seam.below_mm)))[:, middle_third]
    base = float(np.median(clean[:, middle_third][_base_metal(seam)[:, middle_third]][::7]))
    weld = float(np.median(clean[:, middle_third][core][::7])) if core.any() else base
    step = max(abs(base - weld), 0.02 * max(abs(base), 1.0))
    jitter = rng.normal(0, domain.window_sd, 2)
    half = 0.5 * domain.window_width * step * np.exp(jitter[0])
    brighter = (domain.window_shift + jitter[1]) * step * (1 if domain.bright_is_thick else -1)
    middle = (base + weld) / 2 + brighter
    return Display(middle - half, middle + half, domain.gamma, domain.bright_is_thick, 2**domain.bits - 1)


def _facts(
    shadow: Shadow, cnr: Floats, contrast: Floats, visible: NDArray[np.uint8], lost: Floats, to_8_bit: float
) -> dict[str, object]:
    """What was drawn and how it came out where this defect takes most steel: contrast in 8-bit grey, and over noise."""
    here = (shadow.rows, shadow.cols)
    spot = shadow.covered
    own = spot & (shadow.lost_mm > 0.5 * lost[here])
    own = own if own.any() else spot
    drawn = {k: round(v, 3) if isinstance(v, float) else v for k, v in shadow.facts.items()}
    return {
        "class": CLASSES[shadow.kind],
        "code": shadow.code,
        **drawn,
        "box": [shadow.cols.start, shadow.rows.start, shadow.cols.stop, shadow.rows.stop],
        "contrast_grey": round(float(contrast[here][own].max()) * to_8_bit, 2),
        "cnr": round(float(cnr[here][own].mean()), 2),
        "visible_share": round(float((visible[here][spot] == shadow.kind).mean()), 3),
    }
