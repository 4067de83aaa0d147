"""The settings of one simulated phased-array inspection of polyethylene joints: a `PhasedArray` is a domain."""

from __future__ import annotations

from dataclasses import dataclass, field

from seamwise.errors import UsageError

JOINTS = ("electrofusion", "butt")
DISPLAYS = ("linear", "log")
POSITIVE = (
    *("frequency_mhz", "bandwidth_share", "element_pitch_mm", "active_elements", "focus_mm", "angle_step_deg"),
    *("sound_speed_m_s", "wire_pitch_mm", "wire_diameter_mm", "eigen_line_mm", "wall_mm", "dynamic_range_db"),
    *("pitch_mm", "height", "width", "sample_mm", "views", "view_step_mm"),
)


@dataclass(frozen=True)
class PhasedArray:
    """One way of scanning one sort of polyethylene joint; two such records far apart are two domains.

    All fields are plain numbers and names, so that a domain can drift towards another field by field. Levels in dB are
    relative to the echo of a 2 mm side-drilled hole under perfect time-corrected gain (0 dB). Depths count from the
    surface on which the probe stands. Angles in degrees from the surface normal.

    joint: 'electrofusion' (linear scan, beam straight down through the coupler) or 'butt' (sector scan from one side).
    Raises UsageError for a name or number that cannot be simulated.
    """

    name: str
    joint: str = "electrofusion"

    # Probe: the active group (n elements of pitch p) makes one beam; its aperture n p decides the beam's width.
    frequency_mhz: float = 5.0
    bandwidth_share: float = 0.6  # -6 dB width of the echo's spectrum over its centre
    elements: int = 128
    element_pitch_mm: float = 0.3
    active_elements: int = 20
    focus_mm: float = 9.0
    defocus: float = 0.06  # beam growth away from the focus, as a share of the aperture; 0 is focused at every depth
    angle_from_deg: float = 40.0
    angle_to_deg: float = 75.0
    angle_step_deg: float = 0.5
    apex_mm: float = 3.0  # height of the sector's common origin above the surface (path in the wedge)

    # Material: attenuation one way is `attenuation_db_mm` times (f / 1 MHz) to the power `attenuation_exponent`.
    sound_speed_m_s: float = 2250.0
    attenuation_db_mm: float = 0.3
    attenuation_exponent: float = 1.28
    temperature_c: float = 20.0  # the speed falls by 10 m/s per kelvin while the instrument keeps its 20 degree setting
    temperature_sd_c: float = 0.0
    speckle_db: float = -35.0  # root mean square of the background at the focus

    # Electrofusion coupler: a row of wires above the fusion face, pipe below it.
    wire_depth_mm: float = 7.5  # to the wire's centre
    wire_pitch_mm: float = 2.6
    wire_diameter_mm: float = 0.8
    wire_count: int = 9
    wire_jitter_mm: float = 0.08
    wire_db: float = 0.0
    wire_repeat_db: float = -9.0  # each echo of the tail relative to the one before
    displaced_share: float = 0.12  # joints whose row of wires is bent or paired
    face_gap_mm: float = 0.7  # from the wires' lower edge to the fusion face
    pipe_wall_mm: float = 9.0
    contact_db: float = -15.0  # unfused contact of coupler and pipe in the cold zones
    inner_face_db: float = -12.0
    eigen_line_mm: float = 3.2  # distance from the wires (butt: half the distance of the outer two) of a normal joint
    eigen_line_db: float = -27.0
    cold_share: float = 0.12
    cold_ratio: float = 0.62  # eigen-line distance over normal
    overheated_share: float = 0.10
    overheated_ratio: float = 1.4

    # Butt fusion of two pipes.
    wall_mm: float = 20.0
    weld_offset_mm: float = 33.0  # from the probe's index point to the fusion face
    weld_offset_sd_mm: float = 1.5
    bead_width_share: float = 0.75  # of the wall
    bead_height_share: float = 0.22
    bead_db: float = 2.0
    step_sd_mm: float = 0.5  # misalignment of the two inner walls

    # Instrument.
    tcg_share: float = 0.92  # share of the loss with depth that time-corrected gain gives back
    tcg_max_db: float = 60.0
    noise_db: float = -86.0  # electronic noise before time-corrected gain
    dead_zone_mm: float = 2.5
    ring_db: float = 6.0
    reverberation_db: float = -36.0  # lines parallel to the surface
    coupling_strips: float = 1.0  # mean number of badly coupled strips in a picture
    coupling_loss_db: float = 6.0  # largest loss in such a strip
    air_gap_share: float = 0.005  # lines without any coupling
    roughness_us: float = 0.02
    gain_jitter_db: float = 0.4

    # Display: grey amplitude, no palette.
    display: str = "linear"
    gain_db: float = 16.0
    dynamic_range_db: float = 50.0
    bits: int = field(default=8, metadata={"drift": "switch"})
    pitch_mm: float = 0.1
    height: int = 224
    width: int = 320
    sample_mm: float = 0.05

    # Population of joints: a joint gives `views` neighbouring pictures, `view_step_mm` apart along the circumference.
    views: int = 4
    view_step_mm: float = 5.0
    sound_share: float = 0.3  # joints without any flaw
    flaws_mean: float = 1.7  # in a joint with flaws
    mix_crack: float = 0.0
    mix_lack_of_fusion: float = 0.35
    mix_lack_of_penetration: float = 0.15
    mix_porosity: float = 0.3
    mix_slag_inclusion: float = 0.2
    flaw_db: float = 0.0  # added to every flaw's level

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if self.joint not in JOINTS:
            raise UsageError(f"joint is {self.joint!r}; choose one of {', '.join(JOINTS)}")
        if self.display not in DISPLAYS:
            raise UsageError(f"display is {self.display!r}; choose one of {', '.join(DISPLAYS)}")
        if not 1 <= self.bits <= 16:
            raise UsageError(f"bits is {self.bits}; choose 8 or 16 (1 to 16 are stored in the next larger of them)")
        if self.elements < self.active_elements:
            raise UsageError(f"elements is {self.elements}; the active group alone has {self.active_elements}")
        for name in POSITIVE:
            value = getattr(self, name)
            if not value > 0:
                raise UsageError(f"{name} is {value}; it must be greater than 0")

    @property
    def aperture_mm(self) -> float:
        """Length of the active group, n p."""
        return self.active_elements * self.element_pitch_mm

    @property
    def flaw_mix(self) -> tuple[float, ...]:
        """Relative rates of the flaw classes, in the order of `picture.CLASSES` after background.

        Cracks belong to butt joints: in an electrofusion joint `mix_crack` counts as 0.
        """
        return (
            self.mix_crack if self.joint == "butt" else 0.0,
            self.mix_lack_of_fusion,
            self.mix_lack_of_penetration,
            self.mix_porosity,
            self.mix_slag_inclusion,
        )
