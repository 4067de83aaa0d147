"""What it takes to make one kind of weld radiograph: source, wall, weld, detector, display, and which defects occur.

Lengths are in millimetres. Figures come from the radiographic standards' tables (ISO 17636-2, ISO 11699-1, ASTM E1815,
ISO 19232-1), from the attenuation tables of iron, and from measurements on public scans of weld films.
Fields marked "log" are scales: a drift moves them by equal ratios. Fields marked "switch" change at once, half way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from math import hypot

from seamwise.errors import UsageError

DETECTORS = ("film", "panel", "cr")
TECHNIQUES = ("swsi", "dwsi", "dwdi")  # single wall single image, double wall single image, double wall double image

# Share of each class among the defects of a picture. Round robin: entries of a published truth list of 38 films, kinds
# without a class left out. Field: pipe work, where slag and gas lead and cracks are rare. Even: for teaching.
MIXES: dict[str, dict[str, float]] = {
    "round robin": {"crack": 0.12, "fusion": 0.06, "penetration": 0.06, "porosity": 0.735, "slag": 0.025},
    "field": {"crack": 0.015, "fusion": 0.115, "penetration": 0.12, "porosity": 0.40, "slag": 0.35},
    "even": {"crack": 0.18, "fusion": 0.16, "penetration": 0.18, "porosity": 0.28, "slag": 0.20},
}


def _log(default: float) -> float:
    return field(default=default, metadata={"drift": "log"})


@dataclass(frozen=True)
class Radiography:
    """A domain of steel weld radiographs: every acquisition and process parameter the simulator reads.

    `mu_per_mm` is the attenuation at the nominal wall, `hardening` its relative change between none and endless steel.
    `snr_n` is the normalized signal-to-noise ratio in the base metal at `dose` 1 (fixed pattern comes on top).
    Raises UsageError for a choice that does not exist or a size that cannot be.
    """

    name: str
    # Source and wall. mu: 100 kV .45-.65, 150 kV .20-.30, 200 kV .14-.20, 300 kV .10-.14,
    # Se-75 .075-.10, Ir-192 .053-.065
    source: str = "160 kV"
    mu_per_mm: float = _log(0.22)
    hardening: float = 0.15
    wall_mm: float = _log(8.0)
    technique: str = "swsi"
    od_mm: float = 0.0  # outer diameter of the pipe, 0 for plate or a source in the pipe's axis
    # Weld. Band width 6-21 mm, median 11; cap .5-3 mm high, root bead 3-5 mm wide and 0-2 mm high
    cap_width_mm: float = 12.0
    cap_height_mm: float = 1.6
    cap_power: float = 2.4  # 2 is a parabola, 4 a table
    toe: float = 1.2  # 1 meets the plate at an angle, 2 runs out softly
    root_width_mm: float = 4.0
    root_height_mm: float = 0.7
    hi_lo_mm: float = 0.0
    width_sd_mm: float = 0.25  # along one weld .3-.8 mm by hand
    edge_roughness_mm: float = 0.1  # .2-.6 mm over 5-10 mm by hand
    ripple_mm: float = 0.02  # sd of the cap's height; manual welds show 7-9 grey of 255
    ripple_period_mm: float = _log(4.7)
    ripple_bow_mm: float = 2.5
    bow: float = 0.0  # rise over the picture's length; 5-15 % on curved set-ups
    rotation_deg: float = 1.0  # sd
    ellipse_mm: float = 0.0  # opening of the two images, technique dwdi
    # Scatter and unsharpness. n: X-rays 0.8-1.5 at 6-10 mm, 1.5-3 at 15-25 mm, Ir-192 2 at 20 mm, 3 at 31 mm
    scatter_ratio: float = 1.2
    scatter_kernel_mm: float = 30.0  # full width at half maximum, 20-60
    fog: float = 0.0  # even extra exposure, share of the base metal's
    focus_unsharpness_mm: float = 0.12
    detector_unsharpness_mm: float = 0.2  # twice the basic spatial resolution SRb
    cone: float = (
        0.1  # fall of the beam from its centre to the picture's ends; with curvature 20-60 % over a whole film
    )
    # Detector. Standard minimum SNR_N 70-150; film class special 130, I 65, II 52, III 43
    detector: str = "panel"
    pitch_mm: float = _log(0.1)
    snr_n: float = _log(150.0)
    dose: float = _log(1.0)
    spread: float = 0.0  # how much noise and grain differ from weld to weld, as a log-normal's sigma
    film_density: float = 2.5  # of the base metal, working range 2-4
    noise_correlation_mm: float = 0.0  # distance at which noise is half alike; film .10-.12
    grain_slope: float = 5.0  # final fall of grain power with frequency; on 3-12 cycles/mm it then measures -3 to -4
    read_noise_quanta: float = 3.0
    fixed_pattern: float = 0.001  # left after calibration, share of the signal: .002-.01 when old
    bad_pixels: float = 0.0  # share
    bad_lines: float = 0.0  # expected
    lag: float = 0.0  # ghost of the exposure before, .01-.03
    structure_noise: float = 0.0  # of an imaging plate: caps SNR at 1 / structure_noise
    line_jitter: float = 0.0  # of a laser scanner's lines, share of the signal
    # Display
    bits: int = field(default=8, metadata={"drift": "switch"})
    bright_is_thick: bool = False
    window_width: float = _log(2.0)  # in steps from base metal to weld: 1.2-3
    window_shift: float = 0.0  # in steps; moves the grey up in bright pictures, operator's taste
    window_sd: float = 0.08
    gamma: float = _log(1.0)
    # Things that are no defects: expected numbers a picture
    letters: float = 0.0
    wires: float = 0.0
    scratches: float = 0.0
    dust: float = 0.0
    spatter: float = 0.0
    undercut: float = 0.0
    tungsten: float = 0.0
    # Defects
    defect_free: float = 0.25  # share of pictures without any; most films in the field
    defects: float = 2.2  # expected number in the other pictures
    crack: float = MIXES["even"]["crack"]
    fusion: float = MIXES["even"]["fusion"]
    penetration: float = MIXES["even"]["penetration"]
    porosity: float = MIXES["even"]["porosity"]
    slag: float = MIXES["even"]["slag"]
    crack_tilt_deg: float = 4.0  # sd of the angle between crack and ray; beyond 10-15 degrees it vanishes
    # Picture
    height: int = 256
    width: int = 384
    views: int = 4  # pictures that share a weld

    def __post_init__(self) -> None:
        for key, choices in (("detector", DETECTORS), ("technique", TECHNIQUES), ("bits", (8, 16))):
            value = getattr(self, key)
            if value not in choices:
                raise UsageError(f"domain {self.name!r}: {key} {value!r} does not exist; choose one of {choices}")
        positive = ("mu_per_mm", "wall_mm", "pitch_mm", "snr_n", "dose", "window_width", "gamma", "cap_width_mm")
        for key in (*positive, "ripple_period_mm", "scatter_kernel_mm", "height", "width", "views"):
            if not getattr(self, key) > 0:
                raise UsageError(f"domain {self.name!r}: {key} is {getattr(self, key)}; it must be above zero")
        # every other number is a size, a share or a rate; only these have a sign
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, (int, float)) and value < 0 and item.name != "window_shift":
                raise UsageError(f"domain {self.name!r}: {item.name} is {value}; it must not be negative")
        if self.technique == "dwdi" and self.od_mm <= 2 * self.wall_mm:
            raise UsageError(f"domain {self.name!r}: technique dwdi needs od_mm above twice wall_mm")

    @property
    def walls_mm(self) -> float:
        """Nominal steel on the way of a ray through the base metal."""
        return self.wall_mm * (1 if self.technique == "swsi" else 2)

    @property
    def unsharpness_mm(self) -> float:
        """Total unsharpness U; an edge is blurred as by a Gaussian of sigma 0.34 U."""
        return hypot(self.focus_unsharpness_mm, self.detector_unsharpness_mm)

    @property
    def srb_mm(self) -> float:
        """Basic spatial resolution of the detector: half its unsharpness, one pixel at best."""
        return max(self.detector_unsharpness_mm / 2, self.pitch_mm)

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio of a pixel of base metal at dose 1."""
        return self.snr_n / self.snr_n_per_snr

    @property
    def snr_n_per_snr(self) -> float:
        """SNR_N over SNR: 88.6 um / SRb (ISO 17636-2); film is rated by an aperture as wide."""
        return 0.0886 / (max(0.0886, self.pitch_mm) if self.detector == "film" else self.srb_mm)

    def with_mix(self, mix: str) -> Radiography:
        """The same domain with another blend of defects, by its name in MIXES."""
        if mix not in MIXES:
            raise UsageError(f"defect mix {mix!r} does not exist; choose one of {tuple(MIXES)}")
        shares = MIXES[mix]
        return replace(
            self,
            crack=shares["crack"],
            fusion=shares["fusion"],
            penetration=shares["penetration"],
            porosity=shares["porosity"],
            slag=shares["slag"],
        )
