"""Simulated radiographs: determinism, masks, visibility, polarity, depth, places of the classes, ready domains."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from seamwise.errors import UsageError
from seamwise.vision.welds import radiograph
from seamwise.vision.welds.picture import CLASSES
from seamwise.vision.welds.planar import tilted_gap
from seamwise.vision.welds.radiograph import draw_shadows, simulate_radiograph
from seamwise.vision.welds.radiography import MIXES, Radiography
from seamwise.vision.welds.seam import Seam, draw_seam
from seamwise.vision.welds.shadow import Shadow, Stencil
from seamwise.vision.welds.steel import STEEL_DOMAINS

PANEL = STEEL_DOMAINS["panel-160kv-8mm"]
FILM = STEEL_DOMAINS["film-180kv-10mm"]
NOTHING = dict.fromkeys(MIXES["even"], 0.0)


def only(domain: Radiography, kind: str, **changes: float) -> Radiography:
    """The domain with one kind of defect in every picture."""
    return replace(domain, **{**NOTHING, kind: 1.0, "defect_free": 0.0, "defects": 1.0, **changes})  # type: ignore[arg-type]


def one_pore(monkeypatch: pytest.MonkeyPatch, radius_mm: float) -> None:
    """Every picture holds exactly one round pore in the middle of the weld."""

    def draw(domain: Radiography, seam: Seam, _rng: np.random.Generator) -> list[Shadow]:
        x = float(seam.x_mm[domain.width // 2])
        y = float(seam.centres_mm[0][domain.width // 2])
        board = Stencil((x - 2, y - 2, x + 2, y + 2), (domain.height, domain.width), domain.pitch_mm)
        board.ellipsoid(x, y, (radius_mm, radius_mm, radius_mm))
        shadow = board.finish(CLASSES.index("porosity"), "2011", length_mm=2 * radius_mm)
        assert shadow is not None
        return [shadow]

    monkeypatch.setattr(radiograph, "draw_shadows", draw)


def test_same_seed_and_index_give_the_same_picture_bit_for_bit() -> None:
    first, again = simulate_radiograph(FILM, 4, 2), simulate_radiograph(FILM, 4, 2)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.mask, again.mask)
    assert np.array_equal(first.visible, again.visible)
    assert first.facts == again.facts
    for other in (simulate_radiograph(FILM, 4, 3), simulate_radiograph(FILM, 5, 2)):
        assert not np.array_equal(first.pixels, other.pixels)


def test_successive_pictures_share_a_weld_and_continue_it() -> None:
    domain = replace(PANEL, views=3)
    assert [simulate_radiograph(domain, 1, i).weld for i in (0, 2, 3)] == [f"{domain.name}-1-{w}" for w in (0, 0, 1)]
    left, right = (draw_seam(domain, np.random.default_rng(9), view) for view in (0, 1))
    # the edge runs on from one picture into the next, while another weld has another width
    assert abs(left.above_mm[-1] - right.above_mm[0]) < 0.05
    assert left.cap_height_mm == right.cap_height_mm != draw_seam(domain, np.random.default_rng(8), 0).cap_height_mm


@pytest.mark.parametrize("name", STEEL_DOMAINS)
def test_every_ready_domain_renders(name: str) -> None:
    domain = STEEL_DOMAINS[name]
    picture = simulate_radiograph(replace(domain, defect_free=0.0, height=160, width=224), 2, 1)
    assert picture.pixels.shape == picture.mask.shape == picture.visible.shape == (160, 224)
    assert picture.pixels.dtype == (np.uint8 if domain.bits == 8 else np.uint16)
    assert picture.pitch_mm == domain.pitch_mm
    assert picture.pixels.std() > 5
    assert picture.mask.max() < len(CLASSES)
    assert np.all((picture.visible == 0) | (picture.visible == picture.mask))
    json.dumps(picture.facts)


def test_voids_darken_films_and_brighten_raw_panel_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    one_pore(monkeypatch, 1.0)
    for bright_is_thick in (True, False):
        domain = replace(PANEL, bright_is_thick=bright_is_thick, snr_n=2000.0, root_height_mm=0.0)
        picture = simulate_radiograph(domain, 0, 0)
        spot = picture.mask > 0
        rows, cols = np.nonzero(spot)
        row = rows[0] + 10
        inside = picture.pixels[row, cols.min() + 6 : cols.max() - 5].mean()
        beside = picture.pixels[row, cols.min() - 12 : cols.min() - 5].mean()
        assert (inside < beside) == bright_is_thick
        assert abs(inside - beside) > 20


def test_a_pore_mask_is_its_disc(monkeypatch: pytest.MonkeyPatch) -> None:
    one_pore(monkeypatch, 0.9)
    picture = simulate_radiograph(PANEL, 0, 0)
    seam = draw_seam(PANEL, np.random.default_rng([0, 0, 0]), 0)
    x0, y0 = seam.x_mm[PANEL.width // 2], seam.centres_mm[0][PANEL.width // 2]
    away = np.hypot(seam.x_mm[None, :] - x0, seam.y_mm[:, None] - y0)
    half_diagonal = PANEL.pitch_mm / np.sqrt(2)
    assert np.all(picture.mask[away < 0.9 - half_diagonal] == CLASSES.index("porosity"))
    assert np.all(picture.mask[away > 0.9 + half_diagonal] == 0)
    # a pixel that the shadow touches counts
    area = (picture.mask > 0).sum() * PANEL.pitch_mm**2
    assert np.pi * 0.9**2 <= area <= np.pi * (0.9 + half_diagonal) ** 2


@pytest.mark.parametrize("pitch_mm", [0.04, 0.1, 0.3])
@pytest.mark.parametrize("radius_mm", [0.05, 0.15, 0.6])
def test_a_pore_keeps_its_volume_at_every_pitch(pitch_mm: float, radius_mm: float) -> None:
    board = Stencil((0, 0, 4, 4), (200, 200), pitch_mm)
    board.ellipsoid(1.537, 1.611, (radius_mm, radius_mm, radius_mm))
    assert board.lost_mm.sum() * pitch_mm**2 == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.05)


def test_a_slit_keeps_its_cross_section_at_every_width() -> None:
    x = np.arange(1.0, 3.0, 0.02)
    for wide in (0.02, 0.3):
        board = Stencil((0, 0, 4, 4), (60, 60), 0.1, blur_mm=0.2)
        board.slit(x, np.full(x.size, 2.03), np.full(x.size, 0.12), np.full(x.size, wide))
        assert board.lost_mm.sum() * 0.1**2 == pytest.approx(0.12 * 2.0, rel=0.02)
        assert np.all(board.covered[board.lost_mm > 0.3 * board.lost_mm.max()])


def test_a_slit_narrower_than_the_blur_is_marked_as_wide_as_its_penumbra() -> None:
    x = np.arange(0.5, 5.5, 0.02)
    board = Stencil((0, 0, 6, 6), (120, 120), 0.05, blur_mm=0.4)
    board.slit(x, np.full(x.size, 3.0), np.full(x.size, 0.01), np.full(x.size, 0.02))
    assert board.covered[:, 60].sum() * 0.05 == pytest.approx(0.4, abs=0.1)


def test_tilt_widens_and_fades_a_crack() -> None:
    opening, height = np.array(0.1), np.array(3.0)
    straight, leaning = tilted_gap(opening, height, np.array(0.0)), tilted_gap(opening, height, np.deg2rad(15.0))
    assert straight == (pytest.approx(0.1), pytest.approx(3.0))
    assert leaning[0] == pytest.approx(0.1 * np.cos(np.pi / 12) + 3 * np.sin(np.pi / 12))
    assert leaning[1] == pytest.approx(0.1 / np.sin(np.pi / 12))


def test_cracks_tilted_away_from_the_ray_are_in_the_mask_but_not_visible() -> None:
    shares = []
    for tilt in (0.0, 40.0):
        domain = only(FILM, "crack", crack_tilt_deg=tilt, defects=2.0)
        pictures = [simulate_radiograph(domain, 3, index) for index in range(0, 24, 4)]
        shares.append(sum((p.visible > 0).sum() for p in pictures) / sum((p.mask > 0).sum() for p in pictures))
    assert shares[1] < 0.5 * shares[0]
    assert shares[1] < 0.25


def test_noise_decides_what_is_visible() -> None:
    quiet, loud = (simulate_radiograph(only(FILM, "porosity", defects=4.0, snr_n=snr), 6, 0) for snr in (300.0, 15.0))
    assert np.array_equal(quiet.mask, loud.mask)
    assert (loud.visible > 0).sum() < 0.6 * (quiet.visible > 0).sum()
    assert np.all(quiet.visible[loud.visible > 0] > 0)


def shadows_of(kind: str, count: int) -> list[tuple[Seam, Shadow]]:
    """Defects of one kind in several welds, drawn on a straight, even one."""
    domain = only(replace(PANEL, width_sd_mm=0.0, edge_roughness_mm=0.0, rotation_deg=0.0), kind)
    found = []
    for number in range(count):
        seam = draw_seam(domain, np.random.default_rng([1, number]), 0)
        found += [(seam, shadow) for shadow in draw_shadows(domain, seam, np.random.default_rng([2, number]))]
    return found


def offsets_mm(seam: Seam, shadow: Shadow) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Distance of every touched pixel from the weld's centre line."""
    rows, cols = np.nonzero(shadow.covered)
    return np.asarray(seam.y_mm[rows + shadow.rows.start] - seam.centres_mm[0][cols + shadow.cols.start])


@pytest.mark.parametrize("kind", list(MIXES["even"]))
def test_every_class_lies_in_the_weld(kind: str) -> None:
    found = shadows_of(kind, 12)
    assert len(found) >= 8
    for seam, shadow in found:
        assert np.abs(offsets_mm(seam, shadow)).max() < 1.25 * max(seam.above_mm.max(), seam.below_mm.max())
        assert shadow.lost_mm.min() >= 0


def test_lack_of_penetration_is_a_straight_band_at_the_centre() -> None:
    for seam, shadow in shadows_of("penetration", 12):
        assert shadow.code == "402"
        across = offsets_mm(seam, shadow)
        assert abs(across.mean()) < 0.6
        assert np.ptp(across) < 3.8
        assert shadow.covered.any(0).sum() * 0.1 > 3 * min(np.ptp(across), 1.5)


def test_side_wall_lack_of_fusion_lies_beside_the_centre() -> None:
    walls = [(seam, shadow) for seam, shadow in shadows_of("fusion", 30) if shadow.code == "4011"]
    assert len(walls) >= 5
    for seam, shadow in walls:
        assert np.abs(offsets_mm(seam, shadow)).min() > 0.3


def test_cracks_win_over_what_they_cross() -> None:
    domain = replace(PANEL, defect_free=0.0, defects=30.0)
    seam = draw_seam(domain, np.random.default_rng(0), 0)
    kinds = [shadow.kind for shadow in draw_shadows(domain, seam, np.random.default_rng(1))]
    assert set(kinds) == set(range(1, len(CLASSES)))
    assert kinds[-1] == CLASSES.index("crack")
    assert kinds[0] == CLASSES.index("porosity")


def test_the_mix_decides_what_occurs() -> None:
    domain = replace(PANEL, defect_free=0.0, defects=6.0).with_mix("field")
    seam = draw_seam(domain, np.random.default_rng(0), 0)
    kinds = [s.kind for seed in range(14) for s in draw_shadows(domain, seam, np.random.default_rng(seed))]
    share = np.bincount(kinds, minlength=6) / len(kinds)
    assert share[CLASSES.index("crack")] < 0.08
    assert share[CLASSES.index("porosity")] > 0.25
    assert not draw_shadows(replace(domain, defect_free=1.0), seam, np.random.default_rng(0))


def test_sixteen_bits_use_their_depth() -> None:
    eight, sixteen = (simulate_radiograph(replace(PANEL, bits=bits), 2, 0).pixels for bits in (8, 16))
    assert sixteen.dtype == np.uint16
    assert len(np.unique(sixteen)) > 2000
    assert np.abs(sixteen / 257 - eight).max() < 0.51


def test_pictures_keep_their_size_from_small_to_long() -> None:
    for height, width in ((40, 56), (256, 384), (700, 1600)):
        picture = simulate_radiograph(replace(FILM, height=height, width=width), 0, 0)
        assert picture.pixels.shape == (height, width)


def test_facts_tell_what_was_drawn() -> None:
    picture = simulate_radiograph(only(PANEL, "penetration"), 3, 0)
    (defect,) = picture.facts["defects"]  # type: ignore[misc]
    assert defect["class"] == "lack of penetration"
    assert defect["code"] == "402"
    assert defect["length_mm"] > 0
    left, top, right, bottom = defect["box"]
    outside = picture.mask.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any()


@pytest.mark.parametrize(
    "change",
    [
        {"detector": "eye"},
        {"technique": "none"},
        {"bits": 12},
        {"pitch_mm": 0.0},
        {"cap_height_mm": -1.0},
        {"wall_mm": -2.0},
    ],
)
def test_impossible_domains_are_refused_by_name(change: dict[str, object]) -> None:
    key = next(iter(change))
    with pytest.raises(UsageError, match=key):
        replace(PANEL, **change)  # type: ignore[arg-type]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="negative"):
        simulate_radiograph(PANEL, -1, 0)
    with pytest.raises(UsageError, match="round robin"):
        PANEL.with_mix("none")
