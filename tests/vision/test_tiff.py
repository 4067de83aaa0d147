"""TIFF of every kind that is read, and a clear refusal of the others."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from seamwise.errors import BadInputError
from seamwise.vision.images import read_image, read_mask, write_image
from seamwise.vision.prepare import image_size

SMALL = np.zeros((9, 8, 1), np.uint8)  # 72 bytes: 40 are too few


def random_pixels(dtype, *shape):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def literal_lzw(data):
    """LZW that never uses its table: Clear before the codes grow to ten bits. Longer than the data, but valid."""
    codes = []
    for at in range(0, len(data), 200):
        codes += [256, *data[at : at + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def by_hand(pixels, order="<", compression=1, photometric=None, body=None, predictor=1, unit=1, density=(0, 0)):
    """A TIFF of one strip, its fields in the order that the standard wants."""
    height, width, channels = pixels.shape
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes() if body is None else body
    short, long, ratio = 3, 4, 5
    depths, x_at = 8, 16
    head = struct.pack(f"{order}4H", *([8 * pixels.itemsize] * 4)) + struct.pack(f"{order}4I", *density, *density)
    photometric = (1 if channels == 1 else 2) if photometric is None else photometric
    entries = [
        (256, long, 1, width), (257, long, 1, height),
        (258, short, channels, 8 * pixels.itemsize if channels == 1 else depths),
        (259, short, 1, compression), (262, short, 1, photometric), (273, long, 1, 32), (277, short, 1, channels),
        (278, long, 1, height), (279, long, 1, len(raw)), (282, ratio, 1, x_at), (283, ratio, 1, x_at + 8),
        (296, short, 1, unit), (317, short, 1, predictor),
    ]  # fmt: skip
    ifd = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        packed = (
            struct.pack(f"{order}HH", value, 0) if kind == short and count == 1 else struct.pack(f"{order}I", value)
        )
        ifd += struct.pack(f"{order}HHI", tag, kind, count) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    at = 32 + len(raw) + len(raw) % 2
    return mark + struct.pack(f"{order}I", at) + head + raw + bytes(len(raw) % 2) + ifd + bytes(4)


@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (1, 7), (2, 3), (40, 30, 1), (40, 30, 3), (3, 3, 3), (4, 40, 3)])
def test_what_is_written_comes_back(tmp_path, dtype, shape, suffix):
    pixels = random_pixels(dtype, *shape)
    write_image(tmp_path / f"a{suffix}", pixels, pitch_mm=0.0403)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.pixels.dtype == dtype
    np.testing.assert_array_equal(image.pixels, pixels if pixels.ndim == 3 else pixels[:, :, None])
    assert image.pitch_mm == 0.0403


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("lzw", [False, True])
def test_both_byte_orders_plain_and_lzw_by_hand(tmp_path, order, dtype, channels, lzw):
    pixels = random_pixels(dtype, 9, 8, channels)
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    body, compression = (literal_lzw(raw), 5) if lzw else (raw, 1)
    (tmp_path / "a.tif").write_bytes(by_hand(pixels, order, compression, body=body))
    read = read_image(tmp_path / "a.tif").pixels
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_lzw_with_differences_of_neighbours(tmp_path, dtype, channels):
    pixels = random_pixels(dtype, 9, 8, channels)
    steps = pixels.copy()
    steps[:, 1:] -= pixels[:, :-1]
    body = literal_lzw(steps.astype(steps.dtype.newbyteorder("<")).tobytes())
    (tmp_path / "a.tif").write_bytes(by_hand(pixels, compression=5, body=body, predictor=2))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", None])
@pytest.mark.parametrize("kind", ["grey", "deep", "rgb"])
def test_what_another_program_writes(tmp_path, compression, kind):
    pixels = {"grey": (np.uint8, 50, 70), "deep": (np.uint16, 50, 70), "rgb": (np.uint8, 50, 70, 3)}[kind]
    pixels = random_pixels(*pixels)
    Pillow.fromarray(pixels).save(tmp_path / "a.tif", compression=compression, dpi=(508, 508))
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(image.pixels.squeeze(), pixels)
    assert image.pitch_mm == 0.05


@pytest.mark.parametrize(
    "options",
    [
        {"rowsperstrip": 7, "compression": "zlib", "predictor": 2},
        {"tile": (16, 32), "compression": "zlib"},
        {"tile": (16, 32)},
        {"planarconfig": "separate", "photometric": "rgb"},
        {"byteorder": ">", "bigtiff": True},
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strips_tiles_planes_and_large_files(tmp_path, options, dtype):
    pixels = random_pixels(dtype, 45, 50, 3)
    stored = pixels.transpose(2, 0, 1) if "planarconfig" in options else pixels
    tifffile.imwrite(tmp_path / "a.tif", stored, **{"photometric": "rgb", **options})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_is_turned(tmp_path, dtype, compression, order):
    pixels = random_pixels(dtype, 9, 8, 1)
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    body = {1: bytes, 5: literal_lzw, 8: zlib.compress}[compression](raw)
    (tmp_path / "a.tif").write_bytes(by_hand(pixels, order, compression, photometric=0, body=body))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.iinfo(dtype).max - pixels)


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"])
def test_bilevel_masks_of_other_programs_are_not_turned_inside_out(tmp_path, compression):
    mask = np.zeros((20, 30), np.uint8)
    mask[5:8, 5:20] = 1
    Pillow.fromarray(mask * 255).convert("1").save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0})
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", classes=2), mask)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"])
def test_pictures_are_read_as_stored_whatever_the_orientation_says(tmp_path, compression, orientation):
    """A mask beside it knows of no orientation."""
    pixels = random_pixels(np.uint8, 6, 10, 1)
    picture = Pillow.fromarray(pixels[:, :, 0])
    picture.save(tmp_path / "a.tif", compression=compression, tiffinfo={274: orientation})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)
    assert image_size(tmp_path / "a.tif") == (6, 10)


def test_the_size_of_a_picture_is_not_that_of_its_preview(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(random_pixels(np.uint8, 3, 4, 1)[:, :, 0], subfiletype=1)
        file.write(random_pixels(np.uint8, 12, 16, 1)[:, :, 0])
    assert image_size(tmp_path / "a.tif") == read_image(tmp_path / "a.tif").pixels.shape[:2] == (12, 16)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_one_bit_is_a_picture_of_0_and_255_and_a_mask_of_0_and_1(tmp_path, photometric):
    bits = np.random.default_rng(0).integers(0, 2, (9, 13)).astype(bool)
    tifffile.imwrite(tmp_path / "a.tif", bits, photometric=photometric)
    white = ~bits if photometric == "miniswhite" else bits
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[:, :, 0], white * 255)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", classes=2), white)


def test_alpha_is_dropped(tmp_path):
    pixels = random_pixels(np.uint16, 9, 8, 4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels[:, :, :3])


def test_a_palette_gives_colours_in_a_picture_and_numbers_in_a_mask(tmp_path):
    numbers = random_pixels(np.uint8, 9, 8)
    palette = random_pixels(np.uint8, 3, 256)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=palette.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, palette.T[numbers])
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", classes=256), numbers)


def test_a_preview_beside_the_picture_does_no_harm(tmp_path):
    pixels = random_pixels(np.uint8, 40, 30)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(pixels, photometric="minisblack")
        file.write(pixels[::4, ::4], photometric="minisblack", subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[:, :, 0], pixels)


@pytest.mark.parametrize(
    ("density", "unit", "pitch_mm"),
    [
        ((200, 1), 3, 0.05),  # per centimetre
        ((254, 1), 2, 0.1),  # per inch
        ((300, 1), 2, 0.0846667),
        ((72, 1), 2, None),
        ((96, 1), 2, None),
        ((1, 1), 2, None),
        ((200, 1), 1, None),  # no unit
        ((0, 1), 3, None),
        ((200, 0), 3, None),
    ],
)
def test_the_pitch_is_taken_where_the_file_means_it(tmp_path, density, unit, pitch_mm):
    (tmp_path / "a.tif").write_bytes(by_hand(random_pixels(np.uint8, 4, 4, 1), unit=unit, density=density))
    assert read_image(tmp_path / "a.tif").pitch_mm == pitch_mm


def written(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def refused(path):
    """The most memory in MB that was taken until a picture was refused, and what was said."""
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError) as caught:
            read_image(path)
        return tracemalloc.get_traced_memory()[1] / 1e6, str(caught.value)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", [8, 32946])
def test_a_small_picture_that_unpacks_to_much_is_refused_before_it_does(tmp_path, compression):
    bomb = zlib.compress(bytes(64 << 20), 9)
    (tmp_path / "a.tif").write_bytes(by_hand(SMALL, compression=compression, body=bomb))
    peak, said = refused(tmp_path / "a.tif")
    assert "a.tif: its data unpack to more than its size says" in said
    assert peak < 5


def test_tiles_that_are_larger_than_any_picture_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", SMALL[..., 0], tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        tags = file.pages.first.tags
        for code in (322, 323):
            tags[code].overwrite(1 << 15)
    peak, said = refused(tmp_path / "a.tif")
    assert "32768 x 32768" in said
    assert peak < 5


@pytest.mark.parametrize("spare", [0, 1])
def test_a_strip_may_hold_all_of_the_picture_and_no_more(tmp_path, spare):
    pixels = random_pixels(np.uint16, 300, 500, 3)
    body = zlib.compress(pixels.tobytes() + bytes(spare * (300 + 1)))
    (tmp_path / "a.tif").write_bytes(by_hand(pixels, compression=8, body=body))
    if spare:
        with pytest.raises(BadInputError, match="unpack to more"):
            read_image(tmp_path / "a.tif")
    else:
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: written(np.zeros((3, 9, 8), np.uint8), photometric="minisblack"), "it has 3 pages; save the one"),
        (lambda: written(np.zeros((9, 8), np.float32)), "32-bit floating point; save it with 8 or 16 bits"),
        (lambda: written(np.zeros((9, 8), np.uint32)), "32-bit unsigned; save it with 8 or 16 bits"),
        (lambda: written(np.zeros((9, 8), np.int16)), "16-bit signed; save it with 8 or 16 bits"),
        (
            lambda: written(np.zeros((9, 8, 4), np.uint8), photometric="separated"),
            "SEPARATED.*; save it as grey or RGB",
        ),
        (lambda: by_hand(SMALL, compression=50000), "compression .* is not supported; save it"),
        (lambda: by_hand(SMALL, compression=7), r"compression \(JPEG\) is not supported"),
        (lambda: by_hand(SMALL, body=b""), "parts of its picture are missing"),
        (lambda: by_hand(SMALL, body=bytes(40)), "parts of its picture are missing"),
        (lambda: by_hand(SMALL, compression=8, body=zlib.compress(bytes(40))), "damaged or cut short"),
        (lambda: by_hand(SMALL, compression=5, body=literal_lzw(bytes(40))), "damaged or cut short"),
        (lambda: by_hand(SMALL)[:-50], "damaged or cut short|pages"),
        (lambda: by_hand(SMALL, compression=5, body=bytes(9)), "damaged or cut short"),
        (lambda: b"II*\0", "damaged or cut short"),
        (lambda: b"II*\0" + bytes(30), "it has 0 pages|damaged or cut short"),
    ],
)
def test_what_is_refused_is_told_with_the_files_name(tmp_path, make, says):
    (tmp_path / "film.tif").write_bytes(make())
    with pytest.raises(BadInputError, match=rf"film\.tif: .*({says})"):
        read_image(tmp_path / "film.tif")
