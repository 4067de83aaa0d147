import base64
import io

import numpy as np
import pytest
from PIL import Image

from seamwise.figures.overlay import data_uri, display, overlay, png, shrink
from seamwise.figures.palette import class_colour


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 64), (1, 1, 3), (9, 4, 3), (33, 17, 3)])
def test_png_decodes_to_the_same_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as image:
        image.load()
        assert image.mode == ("L" if len(shape) == 2 else "RGB")
        assert np.array_equal(np.asarray(image), pixels)


def test_png_of_a_view_and_its_address() -> None:
    pixels = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)[::2, ::-1]
    address = data_uri(png(pixels))
    head, _, body = address.partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(
    "pixels", [np.zeros((2, 2), np.uint16), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8)]
)
def test_png_refuses_what_it_cannot_write(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        png(pixels)


def test_shrinking_averages_blocks_and_what_is_left_over() -> None:
    pixels = np.array([[0, 10, 100], [20, 30, 200], [7, 8, 90]], np.uint8)
    assert shrink(pixels, 2).tolist() == [[15, 150], [8, 90]]
    assert shrink(pixels, 1) is pixels
    assert shrink(np.full((5, 7, 3), 200, np.uint8), 3).tolist() == np.full((2, 3, 3), 200).tolist()
    with pytest.raises(ValueError, match="factor"):
        shrink(pixels, 0)


def test_sixteen_bit_pictures_are_stretched_and_eight_bit_ones_kept() -> None:
    grey = np.linspace(30_000, 31_000, 10_000).reshape(100, 100).astype(np.uint16)
    shown = display(grey)
    assert shown.shape == (100, 100, 3)
    assert (shown.min(), shown.max()) == (0, 255)
    eight = np.arange(200, dtype=np.uint8).reshape(10, 20)
    assert np.array_equal(display(eight)[:, :, 1], eight)
    assert display(np.full((4, 4), 500, np.uint16)).max() == 0
    with pytest.raises(ValueError, match="uint8 or uint16"):
        display(np.zeros((2, 2)))


def test_overlay_fills_the_prediction_and_outlines_the_truth() -> None:
    image = np.full((20, 30), 100, np.uint8)
    mask, truth = np.zeros((2, 20, 30), np.uint8)
    mask[5:10, 5:10] = 1
    truth[5:10, 15:20] = 2
    result = overlay(image, mask, truth, strength=0.5)
    assert result[7, 7].tolist() == np.rint(0.5 * 100 + 0.5 * np.array(class_colour(1), np.float32)).tolist()
    assert result[4, 17].tolist() == list(class_colour(2))
    assert result[7, 17].tolist() == [100, 100, 100]
    assert result[0, 0].tolist() == [100, 100, 100]
    assert image.tolist() == np.full((20, 30), 100).tolist()


def test_overlay_leaves_the_ignored_and_checks_shapes() -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    ids = np.full((6, 8), 255, np.uint8)
    assert overlay(image, ids, ids, ignore=255).max() == 0
    assert overlay(image, ids).max() > 0
    with pytest.raises(ValueError, match="truth"):
        overlay(image, ids, np.zeros((3, 3), np.uint8))


def test_wide_pictures_come_down_to_the_asked_width_with_their_lines() -> None:
    image = np.zeros((40, 1000), np.uint16)
    truth = np.zeros((40, 1000), np.uint8)
    truth[20, 500] = 1
    result = overlay(image, np.zeros_like(truth), truth, max_width=300)
    assert result.shape == (10, 250, 3)
    assert result.max() > 100
