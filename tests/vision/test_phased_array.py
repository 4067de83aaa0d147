"""Simulated phased-array scans against the physics they are made of, and their masks against what they draw."""

from dataclasses import replace

import numpy as np
import pytest

from seamwise.errors import UsageError
from seamwise.vision.welds.beam import DB_PER_NEPER, attenuation_db_mm, echo_spectrum, spectrum_sd_mhz
from seamwise.vision.welds.phased_array import PHASED_ARRAY_DOMAINS, PhasedArray, simulate_scan
from seamwise.vision.welds.picture import CLASSES
from seamwise.vision.welds.pulse_echo import ScanGrid, point_echoes, scan_grid, speckle
from seamwise.vision.welds.reflectors import Flaw, smooth_line, spots
from seamwise.vision.welds.scan import flaw_extent, pixel_map

EF5, EF2, BUTT = PHASED_ARRAY_DOMAINS.values()
# No attenuation, no defocusing: the textbook probe, finely sampled.
IDEAL = replace(EF5, attenuation_db_mm=0.0, defocus=0.0, element_pitch_mm=0.1, active_elements=60, sample_mm=0.02)


def echo(domain: PhasedArray, x: float, z: float) -> tuple[ScanGrid, np.ndarray]:
    """Envelope (L, S) of one point of unit strength."""
    grid = scan_grid(domain)
    point = spots(np.array([x]), np.array([z]), 0.0, np.random.default_rng(0))
    return grid, np.abs(point_echoes(grid, point, 1.0, np.zeros(len(grid.lines))))


def half_width(values: np.ndarray, step: float) -> float:
    """Width at half the maximum, edges interpolated."""
    top = int(values.argmax())
    level = values[top] / 2
    right = top + int(np.argmax(values[top:] < level))
    left = top - int(np.argmax(values[top::-1] < level))
    after = right - (level - values[right]) / (values[right - 1] - values[right])
    before = left + (level - values[left]) / (values[left + 1] - values[left])
    return float((after - before) * step)


@pytest.mark.parametrize("domain", PHASED_ARRAY_DOMAINS.values(), ids=lambda d: d.name)
def test_every_domain_renders(domain: PhasedArray) -> None:
    picture = simulate_scan(domain, 3, 1)
    assert picture.pixels.shape == picture.mask.shape == picture.visible.shape == (domain.height, domain.width)
    assert picture.pixels.dtype == (np.uint8 if domain.bits == 8 else np.uint16)
    assert picture.mask.dtype == picture.visible.dtype == np.uint8
    assert picture.pitch_mm == domain.pitch_mm
    assert picture.pixels.std() > 0.03 * np.iinfo(picture.pixels.dtype).max
    assert PHASED_ARRAY_DOMAINS[domain.name] is domain


@pytest.mark.parametrize("domain", PHASED_ARRAY_DOMAINS.values(), ids=lambda d: d.name)
def test_same_numbers_give_the_same_bits_and_others_do_not(domain: PhasedArray) -> None:
    first = simulate_scan(domain, 5, 7)
    simulate_scan(domain, 6, 1)  # what was drawn before does not matter
    again = simulate_scan(domain, 5, 7)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes()
    assert first.visible.tobytes() == again.visible.tobytes()
    assert first.facts == again.facts
    assert not np.array_equal(first.pixels, simulate_scan(domain, 6, 7).pixels)
    assert not np.array_equal(first.pixels, simulate_scan(domain, 5, 6).pixels)


def test_axial_cell_is_c_over_2b() -> None:
    grid, envelope = echo(IDEAL, 16.0, 9.0)
    bandwidth = IDEAL.bandwidth_share * IDEAL.frequency_mhz
    theory = IDEAL.sound_speed_m_s / 1000 / (2 * bandwidth)
    axial = half_width(envelope[len(grid.lines) // 2], grid.sample_mm)
    # A Gaussian pulse is 4 ln 2 / pi = 0.883 of the rule of thumb c / (2 B).
    assert axial == pytest.approx(theory * 4 * np.log(2) / np.pi, rel=0.02)


@pytest.mark.parametrize("depth_mm", [9.0, 15.0])
def test_lateral_cell_is_wavelength_times_range_over_aperture(depth_mm: float) -> None:
    grid, envelope = echo(IDEAL, 16.0, depth_mm)
    theory = IDEAL.sound_speed_m_s / 1000 / IDEAL.frequency_mhz * depth_mm / IDEAL.aperture_mm
    assert half_width(envelope.max(axis=1), grid.line_step) == pytest.approx(theory, rel=0.06)


def test_sector_cell_is_an_arc_of_constant_range() -> None:
    grid, envelope = echo(BUTT, 33.0, 18.0)
    top = envelope.argmax(axis=1)[envelope.max(axis=1) > 0.5 * envelope.max()]
    assert len(top) >= 2
    assert np.ptp(top) == 0
    angle = np.rad2deg(grid.lines[envelope.max(axis=1).argmax()])
    expected = np.rad2deg(np.arctan2(33.0 - grid.apex_x_mm, 18.0 + BUTT.apex_mm))
    assert angle == pytest.approx(expected, abs=BUTT.angle_step_deg)


def test_echo_falls_by_twice_alpha_before_gain() -> None:
    narrow = replace(IDEAL, attenuation_db_mm=0.3, bandwidth_share=0.02, tcg_share=0.0, frequency_mhz=2.0)
    tops = [20 * np.log10(echo(narrow, 16.0, z)[1].max()) for z in (8.0, 12.0, 16.0)]
    alpha = float(attenuation_db_mm(narrow, np.array(2.0)))
    assert alpha == pytest.approx(0.3 * 2**1.28)
    assert (tops[0] - tops[1]) / 4 == pytest.approx(2 * alpha, rel=0.02)
    assert (tops[1] - tops[2]) / 4 == pytest.approx(2 * alpha, rel=0.02)
    full = replace(narrow, tcg_share=1.0, tcg_max_db=200.0)
    assert 20 * np.log10(echo(full, 16.0, 16.0)[1].max()) == pytest.approx(0.0, abs=0.5)


def test_attenuation_at_the_anchors() -> None:
    alpha = attenuation_db_mm(EF5, np.array([1.0, 2.25, 3.5, 4.0, 5.0]))
    np.testing.assert_allclose(alpha, [0.3, 0.85, 1.5, 1.8, 2.4], rtol=0.03)


def test_spectrum_slides_down_as_the_closed_form_says() -> None:
    straight = replace(EF5, frequency_mhz=4.0, attenuation_exponent=1.0, attenuation_db_mm=0.05 * DB_PER_NEPER)
    path_mm, s = np.array([0.0, 10.0, 20.0, 40.0]), spectrum_sd_mhz(straight)
    mean, sd, loss_db = echo_spectrum(straight, path_mm / 2)
    # fc' = fc - a s^2 L, as long as no part of the spectrum would fall below 0 MHz.
    np.testing.assert_allclose(mean[:3], (4.0 - 0.05 * s**2 * path_mm)[:3], atol=0.01)
    np.testing.assert_allclose(sd[:3], s, rtol=0.02)
    neper = 0.05 * 4.0 * path_mm - (0.05 * s * path_mm) ** 2 / 2
    np.testing.assert_allclose(loss_db, DB_PER_NEPER * neper, atol=0.3)
    assert mean[-1] == pytest.approx(2.0, abs=0.1)  # 4 MHz with a 60 % band comes back at 2 MHz from 20 mm


@pytest.mark.parametrize("domain", PHASED_ARRAY_DOMAINS.values(), ids=lambda d: d.name)
def test_background_is_rayleigh(domain: PhasedArray) -> None:
    grid = scan_grid(domain)
    envelope = np.concatenate([np.abs(speckle(grid, np.random.default_rng(seed))).ravel() for seed in range(4)])
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, rel=0.05)
    assert np.sqrt((envelope**2).mean()) == pytest.approx(1.0, rel=1e-6)


def test_speckle_is_as_long_as_the_cell() -> None:
    grid = scan_grid(IDEAL)
    field = np.concatenate([speckle(grid, np.random.default_rng(seed)) for seed in range(3)])
    half = np.abs(np.mean(field[:, 100:400] * np.conj(field[:, 100 + 5 : 400 + 5])))
    # White noise through a Gaussian of width w has the autocorrelation exp(-2 ln 2 (d / w)^2).
    lag_mm, width_mm = 5 * grid.sample_mm, grid.axial_mm[0]
    assert half == pytest.approx(np.exp(-2 * np.log(2) * (lag_mm / width_mm) ** 2), abs=0.06)


def test_row_of_wires_repeats_at_the_wire_pitch() -> None:
    domain = replace(EF5, sound_share=1.0, displaced_share=0.0, cold_share=0.0, overheated_share=0.0, gain_db=-6.0)
    spectrum = np.zeros(4096 // 2 + 1)
    for index in range(3):
        rows = slice(int(6.3 / domain.pitch_mm), int(8.0 / domain.pitch_mm))
        profile = simulate_scan(domain, 1, index * domain.views).pixels[rows].max(axis=0).astype(float)
        spectrum += np.abs(np.fft.rfft((profile - profile.mean()) * np.hanning(len(profile)), 4096)) ** 2
    frequency = np.fft.rfftfreq(4096, domain.pitch_mm)
    band = frequency > 0.2
    assert frequency[band][spectrum[band].argmax()] == pytest.approx(1 / domain.wire_pitch_mm, rel=0.04)


@pytest.mark.parametrize(("domain", "x", "z"), [(EF5, 12.0, 10.0), (EF2, 30.0, 20.0), (BUTT, 33.0, 15.0)])
def test_mask_of_a_known_reflector_lies_round_its_echo(domain: PhasedArray, x: float, z: float) -> None:
    grid, envelope = echo(domain, x, z)
    pixels = pixel_map(domain)
    flaw = Flaw(4, "point", spots(np.array([x]), np.array([z]), 0.0, np.random.default_rng(0)), 0.0, 0.0)
    extent = flaw_extent(domain, grid, flaw, 1.0, pixels)
    rows, columns = np.nonzero(extent)
    assert (rows.mean() + 0.5) * domain.pitch_mm == pytest.approx(z, abs=domain.pitch_mm)
    assert (columns.mean() + 0.5) * domain.pitch_mm == pytest.approx(x, abs=domain.pitch_mm)
    u, r = grid.place(np.array([x]), np.array([z]))
    at = round(float(r[0]) / grid.sample_mm)
    lateral_mm = grid.lateral[at] * (r[0] if grid.sector else 1.0)
    area = np.pi / 4 * grid.axial_mm[at] * lateral_mm
    assert extent.sum() * domain.pitch_mm**2 == pytest.approx(area, rel=0.15)
    line, sample = np.unravel_index(envelope.argmax(), envelope.shape)
    assert grid.lines[line] == pytest.approx(u[0], abs=grid.line_step)
    assert grid.ranges[sample] == pytest.approx(r[0], abs=2 * grid.sample_mm)


def test_a_smooth_line_keeps_its_level_whatever_the_beam() -> None:
    grid = scan_grid(replace(EF5, attenuation_db_mm=0.0))
    for depth in (6.0, 9.0, 16.0):
        x = np.arange(0.0, 32.0, 0.2)
        line = smooth_line(x, np.full_like(x, depth), -12.0)
        envelope = np.abs(point_echoes(grid, line, 1.0, np.zeros(len(grid.lines))))
        middle = envelope[len(grid.lines) // 2].max()
        assert 20 * np.log10(middle) == pytest.approx(-12.0, abs=1.5)


@pytest.mark.parametrize("domain", PHASED_ARRAY_DOMAINS.values(), ids=lambda d: d.name)
def test_masks_cover_what_flaws_change(domain: PhasedArray) -> None:
    loud = replace(domain, flaw_db=8.0, sound_share=0.0, cold_share=0.0, overheated_share=0.0)
    inside, total = 0.0, 0.0
    for index in range(6):
        with_flaw = simulate_scan(loud, 4, index)
        silent = simulate_scan(replace(loud, flaw_db=-200.0), 4, index)
        change = np.abs(with_flaw.pixels.astype(float) - silent.pixels)
        assert not silent.visible.any()
        near = np.zeros(with_flaw.mask.shape, bool)
        rows, columns = np.nonzero(with_flaw.mask)
        if len(rows):
            near[max(rows.min() - 12, 0) : rows.max() + 13, max(columns.min() - 30, 0) : columns.max() + 31] = True
        # Shadows beneath flaws dim what is there: only what becomes brighter is an echo.
        brighter = np.where(with_flaw.pixels > silent.pixels, change, 0.0)
        inside, total = inside + brighter[near].sum(), total + brighter.sum()
    assert inside > 0.9 * total > 0


def test_cold_plastic_shows_echo_and_mask_too_near() -> None:
    only_voids = {
        "mix_crack": 0.0,
        "mix_lack_of_fusion": 0.0,
        "mix_lack_of_penetration": 0.0,
        "mix_slag_inclusion": 0.0,
    }
    frost = replace(BUTT, temperature_c=-20.0, temperature_sd_c=0.0, sound_share=0.0, flaw_db=12.0, **only_voids)
    checked = 0
    for weld in range(6):
        picture = simulate_scan(frost, 6, weld * frost.views)
        silent = simulate_scan(replace(frost, flaw_db=-200.0), 6, weld * frost.views)
        if picture.visible.any():
            gained = picture.pixels.astype(int) - silent.pixels
            assert picture.mask[np.unravel_index(gained.argmax(), gained.shape)] == CLASSES.index("porosity")
            checked += 1
        # 400 m/s faster than the instrument believes.
        assert picture.facts["shown_over_true_range"] == pytest.approx(2250 / 2650, abs=1e-3)
    assert checked >= 3


def test_visible_is_a_part_of_the_mask_and_grows_with_level() -> None:
    shares = []
    for level in (-25.0, 0.0, 15.0):
        covered = seen = 0
        for domain in (EF5, BUTT):
            for index in range(8):
                picture = simulate_scan(replace(domain, flaw_db=level, sound_share=0.0), 2, index)
                assert np.all((picture.visible == 0) | (picture.visible == picture.mask))
                covered, seen = covered + int((picture.mask > 0).sum()), seen + int((picture.visible > 0).sum())
        shares.append(seen / covered)
    assert shares[0] < 0.5 * shares[1] < shares[1] < shares[2]


@pytest.mark.parametrize("name", CLASSES[1:])
@pytest.mark.parametrize("domain", [EF5, BUTT], ids=lambda d: d.name)
def test_each_class_lies_where_it_belongs(domain: PhasedArray, name: str) -> None:
    only = {f"mix_{other.replace(' ', '_')}": float(other == name) for other in CLASSES[1:]}
    domain = replace(domain, sound_share=0.0, overheated_share=0.0, displaced_share=0.0, **only)
    p, pixels = domain.pitch_mm, 0
    for weld in range(6):
        for picture in (simulate_scan(domain, 11, weld * domain.views + view) for view in range(2)):
            assert set(np.unique(picture.mask)) <= {0, CLASSES.index(name)}
            rows, columns = np.nonzero(picture.mask)
            pixels += len(rows)
            if not len(rows):
                continue
            joint = picture.facts["joint"]
            assert isinstance(joint, dict)
            z, x = (rows + 0.5) * p, (columns + 0.5) * p
            if domain.joint == "electrofusion" and name != "porosity":
                assert abs(np.median(z) - joint["fusion_face_mm"]) < 0.4
                assert np.abs(z - joint["fusion_face_mm"]).max() < 1.5
            elif domain.joint == "electrofusion":
                assert z.min() > domain.wire_depth_mm - 5.5
                assert z.max() < joint["fusion_face_mm"] + 2.0
            elif name == "lack of penetration":  # also its image, as high above the mirrored root
                stretch = picture.facts["shown_over_true_range"]
                assert abs(np.median(z) - joint["wall_mm"] * stretch) < 3.5
            elif name != "crack":
                face = joint["face_x_mm"] * picture.facts["shown_over_true_range"]
                assert abs(np.median(x) - face) < 4.0
    assert pixels == 0 if (name == "crack" and domain.joint == "electrofusion") else pixels > 50


def test_views_of_a_joint_share_its_geometry_and_name() -> None:
    first, second, other = (simulate_scan(EF5, 9, index) for index in (4, 5, 8))
    assert first.weld == second.weld != other.weld
    assert first.facts["joint"] == second.facts["joint"] != other.facts["joint"]
    assert not np.array_equal(first.pixels, second.pixels)


def test_share_of_sound_joints() -> None:
    domain = replace(EF5, sound_share=1.0, overheated_share=0.0)
    assert all(not simulate_scan(domain, 1, index).mask.any() for index in range(0, 12, 4))
    flawed = replace(domain, sound_share=0.0)
    for weld in range(4):
        assert any(simulate_scan(flawed, 1, weld * 4 + view).mask.any() for view in range(4))


def test_depth_of_storage_follows_bits() -> None:
    coarse = simulate_scan(replace(EF5, bits=8), 1, 0).pixels
    fine = simulate_scan(replace(EF5, bits=16), 1, 0).pixels
    assert (coarse.dtype, fine.dtype) == (np.uint8, np.uint16)
    assert np.abs(coarse / 255 - fine / 65535).max() <= 0.5 / 255 + 1e-9
    assert len(np.unique(fine)) > 1000


def test_log_screen_shows_decibels() -> None:
    linear = replace(EF5, bits=16, gain_db=0.0)
    log = replace(linear, display="log", dynamic_range_db=40.0)
    a, b = simulate_scan(linear, 1, 0).pixels / 65535, simulate_scan(log, 1, 0).pixels / 65535
    shown = (a > 0.02) & (a < 0.99)
    np.testing.assert_allclose(b[shown], 1 + 20 * np.log10(a[shown]) / 40, atol=2e-4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"joint": "socket"}, "socket"),
        ({"display": "rainbow"}, "rainbow"),
        ({"bits": 32}, "bits is 32"),
        ({"frequency_mhz": 0.0}, "frequency_mhz"),
        ({"elements": 8}, "elements is 8"),
    ],
)
def test_impossible_settings_are_refused_by_name(change: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        replace(EF5, **change)


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="index is -1"):
        simulate_scan(EF5, 1, -1)
