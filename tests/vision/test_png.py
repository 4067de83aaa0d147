"""PNG against files made by hand, byte by byte, with every filter and with interlacing."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from seamwise.errors import BadInputError
from seamwise.vision.images import read_image, read_mask, write_image

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # x y dx dy


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def filtered(samples, depth):
    """Rows of samples (H, W, C), packed, each filtered with the next of the five filters, as the standard says."""
    step = max(1, samples.shape[2] * depth // 8)
    above, out = None, b""
    for y, row in enumerate(samples):
        bits = "".join(f"{value:0{depth}b}" for value in row.ravel())
        bits += "0" * (-len(bits) % 8)
        line = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        above = above or bytes(len(line))
        predict = [
            lambda a, b, c: 0,
            lambda a, b, c: a,
            lambda a, b, c: b,
            lambda a, b, c: (a + b) // 2,
            paeth,
        ][y % 5]
        at = [(line[i - step], above[i - step]) if i >= step else (0, 0) for i in range(len(line))]
        out += bytes([y % 5]) + bytes(
            (value - predict(a, b, c)) % 256 for value, b, (a, c) in zip(line, above, at, strict=True)
        )
        above = line
    return out


def by_hand(samples, depth, colour, interlaced=False, extra=b"", palette=b""):
    height, width, _ = samples.shape
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [samples]
    packed = zlib.compress(b"".join(filtered(part, depth) for part in parts if part.size))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    plte = chunk(b"PLTE", palette) if palette else b""
    half = len(packed) // 2  # two IDAT chunks: readers must join them
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + plte
        + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + chunk(b"IEND", b"")
    )  # fmt: skip


def random_samples(colour, depth, height=11, width=13):
    return np.random.default_rng(depth + colour).integers(0, 2**depth, (height, width, CHANNELS[colour]))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("colour", [GREY, RGB, GREY_ALPHA, RGB_ALPHA])
@pytest.mark.parametrize("depth", [8, 16])
def test_every_kind_is_read_at_its_depth_and_alpha_is_dropped(tmp_path, colour, depth, interlaced):
    samples = random_samples(colour, depth)
    (tmp_path / "a.png").write_bytes(by_hand(samples, depth, colour, interlaced))
    pixels = read_image(tmp_path / "a.png").pixels
    assert pixels.dtype == (np.uint8 if depth == 8 else np.uint16)
    np.testing.assert_array_equal(pixels, samples[:, :, : 3 if colour in (RGB, RGB_ALPHA) else 1])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_of_grey_are_stretched_in_a_picture_and_kept_in_a_mask(tmp_path, depth):
    samples = random_samples(GREY, depth)
    (tmp_path / "a.png").write_bytes(by_hand(samples, depth, GREY))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, samples * (255 // (2**depth - 1)))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", classes=2**depth), samples[:, :, 0])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_gives_its_colours_in_a_picture_and_its_numbers_in_a_mask(tmp_path, depth):
    samples = random_samples(PALETTE, depth)
    palette = np.random.default_rng(1).integers(0, 256, (2**depth, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(by_hand(samples, depth, PALETTE, palette=palette.tobytes()))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, palette[samples[:, :, 0]])
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", classes=2**depth), samples[:, :, 0])


def test_a_palette_that_is_too_short_or_missing(tmp_path):
    samples = np.full((3, 3, 1), 5)
    (tmp_path / "a.png").write_bytes(by_hand(samples, 8, PALETTE, palette=bytes(9)))
    with pytest.raises(BadInputError, match=r"a\.png: a pixel uses colour 5 of a palette of 3"):
        read_image(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(by_hand(samples, 8, PALETTE))
    with pytest.raises(BadInputError, match=r"b\.png: its palette is missing"):
        read_image(tmp_path / "b.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (1, 7), (40, 30, 1), (40, 30, 3)])
def test_what_is_written_comes_back(tmp_path, dtype, shape):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    write_image(tmp_path / "a.png", pixels, pitch_mm=0.0403)
    image = read_image(tmp_path / "a.png")
    assert image.pixels.dtype == dtype
    np.testing.assert_array_equal(image.pixels, pixels if pixels.ndim == 3 else pixels[:, :, None])
    assert image.pitch_mm == 0.0403


def test_others_read_what_is_written(tmp_path):
    rng = np.random.default_rng(0)
    for name, pixels in {
        "grey": rng.integers(0, 256, (20, 30), dtype=np.uint8),
        "deep": rng.integers(0, 65536, (20, 30), dtype=np.uint16),
        "rgb": rng.integers(0, 256, (20, 30, 3), dtype=np.uint8),
    }.items():
        write_image(tmp_path / f"{name}.png", pixels)
        with Pillow.open(tmp_path / f"{name}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_the_same_pixels_give_the_same_bytes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    write_image(tmp_path / "a.png", pixels)
    write_image(tmp_path / "b.png", np.asfortranarray(pixels))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("pitch_mm", [0.0001, 0.0125, 0.05, 0.0403, 0.2, 1.0, 2.5, 50.0])
def test_the_pitch_comes_back_though_the_file_counts_pixels_per_metre(tmp_path, pitch_mm):
    write_image(tmp_path / "a.png", np.zeros((2, 2), np.uint8), pitch_mm)
    assert read_image(tmp_path / "a.png").pitch_mm == pytest.approx(pitch_mm, rel=1e-12)


@pytest.mark.parametrize(
    "density",
    [
        (2835, 2835, 1),  # 72 dpi
        (3780, 3780, 1),  # 96 dpi
        (3779, 3779, 1),
        (39, 39, 1),  # 1 dpi
        (20000, 10000, 1),  # not square
        (20000, 20000, 0),  # a ratio without a unit
        (0, 0, 1),
        (2**31, 2**31, 1),  # half a nanometre
        (5, 5, 1),  # 200 mm
    ],
)
def test_a_density_that_says_nothing_gives_no_pitch(tmp_path, density):
    extra = chunk(b"pHYs", struct.pack(">IIB", *density))
    (tmp_path / "a.png").write_bytes(by_hand(np.zeros((2, 2, 1), int), 8, GREY, extra=extra))
    assert read_image(tmp_path / "a.png").pitch_mm is None


def test_odd_texts_profiles_and_animation_do_no_harm(tmp_path):
    bomb = b"Comment\0\0" + zlib.compress(bytes(2**24))
    extra = chunk(b"zTXt", bomb) + chunk(b"acTL", b"") + chunk(b"tRNS", b"\0\7") + chunk(b"eXIf", b"II*\0\xff")
    (tmp_path / "a.png").write_bytes(by_hand(np.full((2, 2, 1), 7), 8, GREY, extra=extra))
    assert read_image(tmp_path / "a.png").pixels.tolist() == [[[7], [7]], [[7], [7]]]


def damaged(case):
    good = by_hand(random_samples(GREY, 16), 16, GREY)
    header = struct.pack(">IIBBBBB", 4, 4, 8, GREY, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(bytes(20)))
    end = chunk(b"IEND", b"")
    return {
        "cut in the header": good[:20],
        "cut in the pixels": good[: len(good) // 2],
        "no end": good[:-12],
        "cut in the end": good[:-1],
        "a checksum": good[:60] + bytes([good[60] ^ 1]) + good[61:],
        "no header": good[:8] + idat + end,
        "no pixels": good[:8] + chunk(b"IHDR", header) + end,
        "too few pixels": good[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10))) + end,
        "pixels that are no deflate": good[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", b"no deflate") + end,
        "another width": good[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 4, 8, 0, 0, 0, 0)) + idat + end,
        "another depth": good[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 32, 0, 0, 0, 0)) + idat + end,
        "another colour": good[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 5, 0, 0, 0)) + idat + end,
        "not standard": good[:8] + chunk(b"CgBI", b"") + good[8:],
        "only the signature": good[:8],
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "cut in the header", "cut in the pixels", "no end", "cut in the end", "a checksum", "no header", "no pixels",
        "too few pixels", "pixels that are no deflate", "another width", "another depth", "another colour",
        "not standard", "only the signature",
    ],
)  # fmt: skip
def test_damage_is_told_with_the_files_name(tmp_path, case):
    (tmp_path / "film.png").write_bytes(damaged(case))
    with pytest.raises(BadInputError, match=r"film\.png: .*; .*export it again"):
        read_image(tmp_path / "film.png")
