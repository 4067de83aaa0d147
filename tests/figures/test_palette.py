import itertools
import math

from seamwise.figures.palette import class_colour, ink_on, luminance, oklch, ramp, series_colour, series_dash


def test_white_black_and_a_known_colour_in_oklab() -> None:
    assert oklch(1.0, 0.0, 0.0) == (255, 255, 255)
    assert oklch(0.0, 0.0, 0.0) == (0, 0, 0)
    # sRGB red is L .628, C .258, h 29.2 degrees (Ottosson 2020).
    assert max(abs(a - b) for a, b in zip(oklch(0.62796, 0.25768, 29.234), (255, 0, 0), strict=True)) <= 1


def test_ramp_darkens_evenly_and_is_held_at_its_ends() -> None:
    lightness = [116 * luminance(ramp(k / 20)) ** (1 / 3) - 16 for k in range(21)]
    steps = [a - b for a, b in itertools.pairwise(lightness)]
    assert min(steps) > 0.6 * max(steps) > 0
    assert ramp(-3) == ramp(0)
    assert ramp(7) == ramp(1)


def test_numbers_are_readable_on_every_colour() -> None:
    for k in range(101):
        ground = luminance(ramp(k / 100))
        ink = 0.0 if ink_on(ramp(k / 100)) == "#000000" else 1.0
        contrast = (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05)
        assert contrast >= 4.5


def test_series_differ_in_colour_or_dash_and_classes_in_colour() -> None:
    assert len({(series_colour(k), series_dash(k)) for k in range(28)}) == 28
    assert class_colour(0) == (0, 0, 0)
    classes = [class_colour(k) for k in range(8)]
    assert min(math.dist(a, b) for i, a in enumerate(classes) for b in classes[:i] if a != b) > 60
