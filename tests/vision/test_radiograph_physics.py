"""The physics of simulated radiographs against closed forms: attenuation, scatter, blur, film, quanta, grain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label, sum_labels

from seamwise.vision.welds.attenuation import attenuation, exposure, scatter
from seamwise.vision.welds.detector import faults, noise, noise_sd, transfer
from seamwise.vision.welds.markings import WIRES_MM, wires_mm
from seamwise.vision.welds.radiograph import simulate_radiograph
from seamwise.vision.welds.radiography import Radiography
from seamwise.vision.welds.realism import autocorrelation, noise_slope, snr_n
from seamwise.vision.welds.seam import Floats, draw_seam, thickness_mm, wall_path_mm
from seamwise.vision.welds.steel import STEEL_DOMAINS

PLATE = Radiography(name="plate", cone=0.0, hardening=0.0, height=120, width=160)
FILM = replace(STEEL_DOMAINS["film-180kv-10mm"], cone=0.0, height=200, width=200)


def plate(domain: Radiography, steel_mm: float) -> Floats:
    return np.full((domain.height, domain.width), steel_mm, np.float32)


def test_a_half_value_layer_halves_the_direct_beam() -> None:
    domain = replace(PLATE, scatter_ratio=0.0)
    half_value_mm = np.log(2) / domain.mu_per_mm
    assert np.allclose(exposure(domain, plate(domain, domain.wall_mm)), 1)
    assert np.allclose(exposure(domain, plate(domain, domain.wall_mm + half_value_mm)), 0.5, rtol=1e-5)
    assert np.allclose(exposure(domain, plate(domain, domain.wall_mm + 3 * half_value_mm)), 0.125, rtol=1e-5)


def test_scatter_divides_the_contrast_of_a_small_void_by_one_plus_n() -> None:
    domain = replace(PLATE, scatter_ratio=2.0, focus_unsharpness_mm=0.0, detector_unsharpness_mm=0.0)
    steel = plate(domain, domain.wall_mm)
    steel[60, 80] -= 0.1
    rise = exposure(domain, steel)[60, 80] - 1
    assert rise == pytest.approx((np.exp(domain.mu_per_mm * 0.1) - 1) / 3, rel=0.02)


def test_scatter_of_a_flat_plate_is_n_times_the_direct_beam_and_fog_adds() -> None:
    domain = replace(PLATE, scatter_ratio=1.7, fog=0.2)
    thicker = exposure(domain, plate(domain, domain.wall_mm + 2.0))
    assert np.allclose(thicker, np.exp(-2.0 * domain.mu_per_mm) + 0.2, rtol=1e-5)


def test_scatter_is_smooth_and_keeps_the_mean_inside() -> None:
    direct = np.ones((300, 300), np.float32)
    direct[140:160, 140:160] = 3
    soft = scatter(direct, 60.0)
    assert soft.max() < 1.6
    assert np.abs(np.diff(soft, axis=0)).max() < 0.05
    assert soft.mean() == pytest.approx(direct.mean(), rel=0.01)


def test_hardening_lowers_the_coefficient_behind_more_steel() -> None:
    domain = replace(PLATE, hardening=0.2)
    step = 0.01
    slopes = []
    for steel in (0.0, domain.wall_mm, 50 * domain.wall_mm):
        pair = [float(attenuation(domain, np.array([[steel + d]], np.float64))[0, 0]) for d in (0, step)]
        slopes.append((pair[1] - pair[0]) / step / domain.mu_per_mm)
    assert slopes == pytest.approx([1.2, 1.0, 0.8], abs=0.02)


def test_an_edge_is_blurred_by_a_sigma_of_a_third_of_the_unsharpness() -> None:
    domain = replace(
        PLATE,
        pitch_mm=0.02,
        scatter_ratio=0.0,
        focus_unsharpness_mm=0.3,
        detector_unsharpness_mm=0.4,
        width=200,
        height=9,
    )
    steel = plate(domain, domain.wall_mm)
    steel[:, 100:] += 0.01
    spread = -np.diff(exposure(domain, steel)[4].astype(float))
    x = np.arange(spread.size) * domain.pitch_mm
    mean = (x * spread).sum() / spread.sum()
    sigma = np.sqrt(((x - mean) ** 2 * spread).sum() / spread.sum())
    assert domain.unsharpness_mm == pytest.approx(0.5)
    assert sigma == pytest.approx(0.34 * 0.5, rel=0.03)


def test_a_pipe_shows_the_chord_of_both_walls() -> None:
    domain = replace(PLATE, technique="dwsi", od_mm=100.0, wall_mm=10.0)
    path = wall_path_mm(domain, np.array([0.0, 30.0, 45.0, 60.0]))
    assert path == pytest.approx([20.0, 2 * (np.sqrt(2500 - 900) - np.sqrt(1600 - 900)), 2 * np.sqrt(2500 - 2025), 0.0])


def test_the_weld_is_as_high_as_asked() -> None:
    domain = replace(PLATE, height=220, ripple_mm=0.0, width_sd_mm=0.0, edge_roughness_mm=0.0, rotation_deg=0.0)
    seam = draw_seam(domain, np.random.default_rng(3), 0)
    rise = thickness_mm(domain, seam) - domain.wall_mm
    assert rise.max() == pytest.approx(seam.cap_height_mm + seam.root_height_mm[0], rel=0.02)
    assert np.all(rise[~seam.inside(0)] == 0)
    half = (seam.above_mm + seam.below_mm).mean() / domain.pitch_mm
    assert (rise > 0).sum(0).mean() == pytest.approx(half, abs=2)


def test_film_density_is_linear_with_dose_below_its_shoulder() -> None:
    doses = np.array([[0.5, 1.0, 1.5, 20.0]], np.float32)
    density = transfer(FILM, doses)[0]
    assert density[1] == pytest.approx(FILM.film_density, rel=1e-3)
    assert density[1] - density[0] == pytest.approx(density[2] - density[1], rel=0.02)
    assert density[3] < 7.5


@pytest.mark.parametrize("detector", ["film", "panel", "cr"])
@pytest.mark.parametrize("wanted", [60.0, 150.0])
def test_base_metal_has_the_snr_asked_for(detector: str, wanted: float) -> None:
    domain = replace(
        PLATE, detector=detector, snr_n=wanted, fixed_pattern=0.0, height=200, width=200, read_noise_quanta=5.0
    )
    dose = np.ones((200, 200), np.float32)
    signal = transfer(domain, dose) + noise_sd(domain, dose) * noise(domain, (200, 200), np.random.default_rng(1))
    # back to dose: film is linear above its base, CR a decimal logarithm
    linear = {"film": signal - 0.25, "panel": signal, "cr": 10**signal}[detector]
    srb_mm = 0.0886 / domain.snr_n_per_snr
    assert snr_n(linear, srb_mm) == pytest.approx(wanted, rel=0.03)


def test_quarter_the_dose_halves_the_snr_of_a_panel() -> None:
    dose = np.ones((1, 1), np.float32)
    ratio = []
    for share in (1.0, 0.25):
        domain = replace(PLATE, dose=share, read_noise_quanta=0.0)
        ratio.append(float((transfer(domain, dose) / noise_sd(domain, dose))[0, 0]))
    assert ratio[0] / ratio[1] == pytest.approx(2.0, rel=1e-3)


def test_the_picture_shows_the_snr_asked_for() -> None:
    domain = replace(STEEL_DOMAINS["panel-160kv-8mm"], cone=0.0, fixed_pattern=0.0, snr_n=100.0, cap_height_mm=0.5)
    facts = simulate_radiograph(domain, 1, 0).facts
    assert facts["snr_n"] == pytest.approx(100, rel=0.05)


def test_film_noise_falls_with_frequency_and_panel_noise_does_not() -> None:
    film = replace(FILM, pitch_mm=0.0403)
    panel = replace(PLATE, pitch_mm=0.1)
    fields = [noise(d, (384, 384), np.random.default_rng(2)).astype(float)[None] for d in (film, panel)]
    assert fields[0].std() == pytest.approx(1, abs=0.05)
    assert -4.5 < noise_slope(fields[0], 0.0403, 3.0, 12.0) < -2.8
    assert abs(noise_slope(fields[1], 0.1, 0.5, 5.0)) < 0.15
    near, middle, _ = autocorrelation(fields[0])
    assert near == pytest.approx(0.86, abs=0.04)
    assert middle == pytest.approx(0.46, abs=0.06)


@pytest.mark.parametrize("slope", [3.0, 3.7, 5.0])
def test_grain_is_half_alike_at_the_distance_asked_for(slope: float) -> None:
    domain = replace(FILM, pitch_mm=0.02, noise_correlation_mm=0.1, grain_slope=slope)
    field = noise(domain, (512, 512), np.random.default_rng(3)).astype(float)[None]
    assert autocorrelation(field, (5,))[0] == pytest.approx(0.5, abs=0.05)


def test_bad_pixels_stay_where_they_are() -> None:
    domain = replace(PLATE, bad_pixels=0.01, bad_lines=2.0, fixed_pattern=0.0)
    flat = plate(domain, 1.0)
    marks = [faults(domain, flat + 0.0, np.random.default_rng(7), np.random.default_rng(seed)) != 1 for seed in (1, 2)]
    assert marks[0].any()
    assert marks[0].mean() < 0.05
    assert np.array_equal(*marks)


def test_lag_leaves_a_ghost_of_another_exposure() -> None:
    domain = replace(PLATE, lag=0.05, fixed_pattern=0.0)
    signal = plate(domain, 1.0)
    signal[:, :10] = 2.0
    ghost = faults(domain, signal, np.random.default_rng(0), np.random.default_rng(0))
    assert ghost[:, 60:].max() == pytest.approx(1.05, abs=1e-3)


def test_wires_are_as_thick_as_their_standard_says() -> None:
    domain = replace(PLATE, pitch_mm=0.05, width=1600, height=20)
    for seed in range(40):
        row = wires_mm(domain, np.random.default_rng(seed))[10]
        parts, count = label(row > 0)
        if count == 7 and row[0] == row[-1] == 0:
            break
    # every wire's cross-section is a circle's area; 8 mm want wire 13, with three thicker and three thinner beside it
    areas = sum_labels(row, parts, range(1, 8)) * domain.pitch_mm
    assert areas == pytest.approx([np.pi / 4 * WIRES_MM[number] ** 2 for number in range(10, 17)], rel=0.01)
