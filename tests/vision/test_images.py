"""Reading and writing pictures and masks: what holds for every format."""

import errno
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from seamwise.errors import BadInputError, SeamwiseError, UsageError
from seamwise.vision import images
from seamwise.vision.images import Image, read_image, read_mask, to_float, window, write_image


def pixels_of(dtype, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def smooth(*shape):
    """A picture that JPEG keeps within a few grey levels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    grey = 128 + 60 * np.sin(x / 17) + 50 * np.cos(y / 23)
    return np.stack([grey, grey * 0.8, grey * 0.5], 2).astype(np.uint8) if len(shape) == 3 else grey.astype(np.uint8)


# --- JPEG


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 3)])
def test_jpeg_grey_and_rgb(tmp_path, shape):
    Pillow.fromarray(smooth(*shape)).save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert image.pixels.shape == (60, 80, 1 if len(shape) == 2 else 3)
    assert image.pixels.dtype == np.uint8
    assert np.abs(image.pixels.squeeze().astype(int) - smooth(*shape)).max() <= 6
    assert image.pitch_mm is None


def test_jpeg_cmyk_becomes_rgb(tmp_path):
    Pillow.fromarray(smooth(60, 80, 3)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    pixels = read_image(tmp_path / "a.jpg").pixels
    assert pixels.shape == (60, 80, 3)
    assert np.abs(pixels.astype(int) - smooth(60, 80, 3)).max() <= 12


def test_the_cameras_orientation_is_left_alone_because_masks_lie_on_the_stored_pixels(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a quarter turn
    Pillow.fromarray(smooth(60, 80)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").pixels.shape == (60, 80, 1)


def test_odd_exif_does_not_warn(tmp_path):
    Pillow.fromarray(smooth(60, 80)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    ifd = struct.pack("<HHHIIHHIII", 2, 0x011A, 5, 1, 4000, 0x0110, 2, 900, 70, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + ifd
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    start = data.index(b"\xff\xdb")  # in place of JFIF, whose density would hide the Exif one
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8" + segment + data[start:])
    np.testing.assert_array_equal(read_image(tmp_path / "b.jpg").pixels, read_image(tmp_path / "a.jpg").pixels)


def test_the_content_counts_not_the_ending(tmp_path):
    Pillow.fromarray(smooth(60, 80)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").pixels.shape == (60, 80, 1)


# --- what cannot be read


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"not a picture", "not a PNG, TIFF or JPEG picture; convert it"),
        (b"GIF89a" + bytes(50), "not a PNG, TIFF or JPEG picture; convert it"),
        (b"\xff\xd8\xff\xe0", "damaged or cut short"),
        (b"\xff\xd8\xff\xd9", "damaged or cut short"),
    ],
)
def test_what_is_no_picture(tmp_path, content, says):
    (tmp_path / "film.png").write_bytes(content)
    with pytest.raises(BadInputError, match=rf"film\.png: .*{says}"):
        read_image(tmp_path / "film.png")


def test_a_jpeg_cut_short(tmp_path):
    Pillow.fromarray(smooth(200, 300)).save(tmp_path / "a.jpg", quality=95)
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInputError, match=r"a\.jpg: it is damaged or cut short"):
        read_image(tmp_path / "a.jpg")


def test_missing_files_folders_and_odd_names(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.png: there is no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(BadInputError, match="it is not a file"):
        read_image(tmp_path)
    with pytest.raises(BadInputError, match="check the name"):
        read_image(tmp_path / "a\0b.png")
    os.mkfifo(tmp_path / "pipe.png")  # must not wait for a writer
    with pytest.raises(BadInputError, match="it is not a file"):
        read_image(tmp_path / "pipe.png")


def test_a_small_file_that_claims_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(BadInputError, match=r"a\.png: 100000 x 100000 is 10000 million pixels, more than the 500 mill"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_every_format_keeps_the_bound_and_pillows_own_lower_one_is_not_met(tmp_path, monkeypatch, suffix):
    Pillow.fromarray(smooth(60, 80)).save(tmp_path / f"a.{suffix}")
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 100)  # above it Pillow warns, above twice that it raises
    monkeypatch.setattr(images, "MAX_PIXELS", 4800)
    assert read_image(tmp_path / f"a.{suffix}").pixels.shape == (60, 80, 1)
    monkeypatch.setattr(images, "MAX_PIXELS", 4799)
    with pytest.raises(BadInputError, match=rf"a\.{suffix}: 80 x 60 .*cut it into parts"):
        read_image(tmp_path / f"a.{suffix}")


def test_a_file_larger_than_any_picture_is_not_loaded(tmp_path, monkeypatch):
    with (tmp_path / "a.tif").open("wb") as file:
        file.truncate(5 * 10**9)  # sparse: takes no space
    with pytest.raises(BadInputError, match=r"a\.tif: 5\.0 GB is more than is read at once"):
        read_image(tmp_path / "a.tif")


def test_too_little_memory_is_not_the_files_fault(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", smooth(6, 8))

    def fail(data, max_pixels):
        raise MemoryError

    monkeypatch.setattr(images.png, "decode_png", fail)
    with pytest.raises(SeamwiseError, match=r"a\.png: not enough memory") as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.exit_code == 1


# --- damaged files never crash


@pytest.fixture(scope="module")
def specimens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("specimens")
    write_image(folder / "grey.png", pixels_of(np.uint8, 20, 30), 0.05)
    write_image(folder / "deep.png", pixels_of(np.uint16, 20, 30), 0.05)
    write_image(folder / "deep_rgb.png", pixels_of(np.uint16, 20, 30, 3))
    write_image(folder / "deep_rgb.tif", pixels_of(np.uint16, 20, 30, 3), 0.05)
    Pillow.fromarray(pixels_of(np.uint8, 20, 30)).save(folder / "plain.tif")
    Pillow.fromarray(pixels_of(np.uint8, 20, 30, 3)).save(folder / "lzw.tif", compression="tiff_lzw")
    Pillow.fromarray(pixels_of(np.uint8, 20, 30, 3)).quantize(16).save(folder / "palette.png")
    exif = Pillow.Exif()
    exif[0x0112], exif[0x011A], exif[0x0128] = 6, 300.0, 2
    Pillow.fromarray(smooth(20, 30, 3)).save(folder / "photo.jpg", exif=exif)
    Pillow.fromarray(smooth(20, 30)).save(folder / "progressive.jpg", progressive=True)
    return folder, [path.read_bytes() for path in sorted(folder.iterdir())]


def with_fitting_checksums(data):
    """A damaged PNG whose checksums fit again, so that the damage gets past them."""
    at = 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        data[end - 4 : end] = struct.pack(">I", zlib.crc32(data[at + 4 : end - 4]))
        at = end
    return data


# The fixtures only hold a bound and the files, the same for all examples.
_SHARED = [HealthCheck.function_scoped_fixture]


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=_SHARED)
@given(data=st.data())
def test_cuts_and_flipped_bits_give_a_picture_or_a_clear_error(specimens, monkeypatch, data):
    folder, files = specimens
    monkeypatch.setattr(images, "MAX_PIXELS", 10**6)  # so that a flipped size stays cheap
    damaged = bytearray(files[data.draw(st.integers(0, len(files) - 1))])
    # Headers are short and matter most, so half of the flips fall there.
    where = st.integers(0, min(200, len(damaged) - 1)) | st.integers(0, len(damaged) - 1)
    for at in data.draw(st.lists(where, max_size=4)):
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    damaged = with_fitting_checksums(damaged) if data.draw(st.booleans()) else damaged
    damaged = damaged[: data.draw(st.just(len(damaged)) | st.integers(0, len(damaged)))]
    path = folder / "damaged"
    path.write_bytes(damaged)
    for read in (read_image, lambda path: Image(read_mask(path, 256)[:, :, None])):
        said, image = None, None
        try:
            image = read(path)
        except BadInputError as error:
            said = str(error)
        assert image is None or (image.pixels.ndim == 3 and image.pixels.size > 0)
        assert image is None or image.pixels.dtype in (np.uint8, np.uint16)
        assert said is None or str(path) in said


# --- masks


def test_a_mask_of_ids_and_ignore(tmp_path):
    ids = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)
    write_image(tmp_path / "m.png", ids)
    mask = read_mask(tmp_path / "m.png", classes=3, ignore=255, shape=(2, 3))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, ids)


def test_a_deep_mask_and_one_of_three_equal_channels(tmp_path):
    ids = np.array([[0, 1], [2, 0]])
    write_image(tmp_path / "deep.png", ids.astype(np.uint16))
    write_image(tmp_path / "rgb.png", np.stack([ids.astype(np.uint8)] * 3, 2))
    for name in ("deep.png", "rgb.png"):
        mask = read_mask(tmp_path / name, classes=3)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, ids)


@pytest.mark.parametrize(
    ("ids", "classes", "ignore", "says"),
    [
        ([[0, 255]], 2, None, r"values 255, .*0\.\.1; it looks black and white: divide its values by 255"),
        ([[0, 1, 255]], 2, None, r"values 255, .*say so with `ignore: 255` in domain\.yaml"),
        ([[0, 3, 7]], 3, 255, r"values 3, 7, but class ids are 0\.\.2 and 255 \(ignore\); correct the mask"),
        ([list(range(30))], 2, None, r"values 2, 3, 4, 5, 6, 7, 8, 9, \.\.\., but"),
        ([[0, 60000]], 2, None, r"values 60000, but"),
    ],
)
def test_values_that_are_no_class(tmp_path, ids, classes, ignore, says):
    write_image(tmp_path / "m.png", np.array(ids, np.uint16 if max(ids[0]) > 255 else np.uint8))
    with pytest.raises(BadInputError, match=rf"m\.png: .*{says}"):
        read_mask(tmp_path / "m.png", classes, ignore)


def test_a_mask_of_another_size_in_colour_or_as_jpeg(tmp_path):
    write_image(tmp_path / "m.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(BadInputError, match=r"m\.png: the mask is 5 x 4 pixels but its image 4 x 5; save the mask at"):
        read_mask(tmp_path / "m.png", 2, shape=(5, 4))
    write_image(tmp_path / "c.png", pixels_of(np.uint8, 4, 5, 3))
    with pytest.raises(BadInputError, match=r"c\.png: .*coloured; save the ids as 8-bit grey"):
        read_mask(tmp_path / "c.png", 256)
    Pillow.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "j.jpg")
    with pytest.raises(BadInputError, match=r"j\.jpg: JPEG blurs class ids; save the mask as PNG"):
        read_mask(tmp_path / "j.jpg", 2)


# --- writing


@pytest.mark.parametrize(
    ("name", "pixels", "pitch_mm", "says"),
    [
        ("a.jpg", np.zeros((2, 2), np.uint8), None, "must end in .png, .tif or .tiff"),
        ("a", np.zeros((2, 2), np.uint8), None, "must end in .png, .tif or .tiff"),
        ("a.png", np.zeros((2, 2), np.float32), None, "pixels are float32; convert them"),
        ("a.png", np.zeros((2, 2), bool), None, "pixels are bool; convert them"),
        ("a.png", np.zeros((2, 2, 2), np.uint8), None, r"shape \(2, 2, 2\); give"),
        ("a.png", np.zeros((0, 2), np.uint8), None, r"shape \(0, 2\); give"),
        ("a.png", np.zeros(4, np.uint8), None, r"shape \(4,\); give"),
        ("a.png", np.zeros((2, 2), np.uint8), 0.0, "pitch_mm 0.0 is not a pixel size"),
        ("a.png", np.zeros((2, 2), np.uint8), float("nan"), "pitch_mm nan is not a pixel size"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, pixels, pitch_mm, says):
    with pytest.raises(BadInputError, match=says):
        write_image(tmp_path / name, pixels, pitch_mm)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [">u2", "<u2"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_byte_order_and_layout_in_memory_do_not_matter(tmp_path, dtype, suffix):
    pixels = pixels_of(np.uint16, 20, 30, 3)
    write_image(tmp_path / f"a.{suffix}", np.asfortranarray(pixels.astype(dtype))[::2, ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}").pixels, pixels[::2, ::-1])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_full_disk_leaves_the_old_picture(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a.{suffix}"
    write_image(path, np.full((4, 5), 7, np.uint8))

    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SeamwiseError, match=rf"a\.{suffix}: no space left; free some or choose another folder"):
        write_image(path, np.zeros((4, 5), np.uint8))
    assert (read_image(path).pixels == 7).all()
    assert list(tmp_path.iterdir()) == [path]


# --- numbers for networks


def test_to_float_maps_the_depths_range_to_0_and_1():
    eight = np.array([[[0, 51, 255]]], np.uint8)
    sixteen = np.array([[[0], [13107]], [[65535], [1]]], np.uint16)
    np.testing.assert_array_equal(to_float(eight), np.float32([[[0]], [[0.2]], [[1]]]))
    np.testing.assert_array_equal(to_float(sixteen), np.float32([[[0, 0.2], [1, 1 / 65535]]]))
    np.testing.assert_array_equal(to_float(sixteen[:, :, 0]), to_float(sixteen))
    assert to_float(eight).dtype == np.float32
    assert to_float(eight).flags.c_contiguous


def test_window_maps_the_percentiles_and_clips_nothing():
    x = np.linspace(2, 4, 1001, dtype=np.float32).reshape(1, 7, 143)
    out = window(x, 10, 90)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.percentile(out, [10, 90]), [0, 1], atol=1e-6)
    np.testing.assert_allclose([out.min(), out.max()], [-0.125, 1.125], atol=1e-5)


def test_window_of_a_constant_and_of_a_nearly_constant_picture():
    assert not window(np.full((3, 5, 5), 0.3, np.float32)).any()
    x = np.zeros((1, 50, 50), np.float32)
    x[0, 3, 3] = 0.5
    assert window(x).max() == 1
    assert window(x).min() == 0


def test_window_does_not_depend_on_gain_and_offset():
    x = np.random.default_rng(0).random((1, 40, 40), dtype=np.float32)
    np.testing.assert_allclose(window(0.25 * x + 0.5), window(x), atol=1e-5)


@pytest.mark.parametrize(("low", "high"), [(50, 50), (99, 1), (-1, 99), (1, 101), (float("nan"), 99)])
def test_window_refuses_percentiles_that_are_none(low, high):
    with pytest.raises(UsageError, match="0 <= low < high <= 100"):
        window(np.zeros((1, 2, 2), np.float32), low, high)
