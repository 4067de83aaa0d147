"""Tiles: where they lie, what they hold, and that training sees the pixels that inference sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seamwise.continual.draw import Draw
from seamwise.continual.stream import Dataset
from seamwise.errors import BadInputError, UsageError
from seamwise.vision.components import find_components
from seamwise.vision.domain import Sample
from seamwise.vision.images import read_image, to_float, window, write_image
from seamwise.vision.prepare import image_size, load_mask, prepare_image, resize_mask
from seamwise.vision.tiles import TileDataset, mirrored

DRAW = Draw((7, "order", 3))


def load_image(sample: Sample, channels: int, scale: float = 1.0, window: bool = True) -> torch.Tensor:
    """The network's input of the whole picture."""
    return prepare_image(sample.image, channels, scale, window).whole()


def save(folder: Path, name: str, pixels: NDArray, mask: NDArray | None = None) -> Sample:
    write_image(folder / f"{name}.png", pixels)
    if mask is not None:
        write_image(folder / f"{name}_mask.png", mask.astype(np.uint8))
    return Sample(name, folder / f"{name}.png", None if mask is None else folder / f"{name}_mask.png", name)


@pytest.fixture
def film(tmp_path: Path) -> Sample:
    """16-bit noise with two cracks (1), a pore of three pixels (2) and an ignored corner."""
    pixels = np.random.default_rng(0).integers(20000, 40000, (90, 200)).astype(np.uint16)
    mask = np.zeros((90, 200))
    mask[10:12, 20:80] = mask[40:43, 100:190] = 1
    mask[70, 5:8] = 2
    mask[80:, 190:] = 255
    return save(tmp_path, "film", pixels, mask)


def tiles(*samples: Sample, **options: object) -> TileDataset:
    return TileDataset(samples, **{"classes": 3, "tile": 32, "channels": 1, "ignore": 255, **options})


def test_is_a_dataset_of_the_learning_core(film: Sample) -> None:
    assert isinstance(tiles(film), Dataset)


def test_images_count_by_their_area(film: Sample, tmp_path: Path) -> None:
    small = save(tmp_path, "small", np.zeros((20, 20), np.uint8), np.zeros((20, 20)))
    data = tiles(film, small)
    assert len(data) == 18 + 1  # ceil(90 * 200 / 32^2) = 18
    assert [data.image_of(i) for i in (0, 17, 18)] == [0, 0, 1]
    assert len(tiles(film, small, most_tiles=5)) == 6
    assert len(tiles(film, scale=0.5)) == 5  # ceil(45 * 100 / 32^2)
    with pytest.raises(IndexError):
        data.image_of(19)


def test_shapes_types_and_weights(film: Sample) -> None:
    indices = torch.tensor([3, 0, 11, 3])
    batch = tiles(film, channels=3, task=4).batch(indices, DRAW)
    assert batch.x.shape == (4, 3, 32, 32)
    assert batch.x.dtype == torch.float32
    assert batch.y.shape == (4, 32, 32)
    assert batch.y.dtype == torch.int64
    assert batch.index.equal(indices)
    assert batch.task.tolist() == [4] * 4
    assert batch.weight.tolist() == [0.25] * 4
    assert batch.x[:, 0].equal(batch.x[:, 1])
    assert batch.x[:, 0].equal(batch.x[:, 2])
    assert set(batch.y.unique().tolist()) <= {0, 1, 2, 255}


def test_a_tile_depends_on_key_and_number_alone(film: Sample) -> None:
    together = tiles(film).batch(torch.arange(18), DRAW)
    uncached = tiles(film, cache_bytes=0)
    for index in (0, 5, 17):
        alone = uncached.batch(torch.tensor([index]), DRAW)
        assert alone.x[0].equal(together.x[index])
        assert alone.y[0].equal(together.y[index])
    other = tiles(film).batch(torch.arange(18), Draw((7, "order", 4)))
    assert not other.x.equal(together.x)
    assert len({row.numpy().tobytes() for row in together.x}) > 12  # numbers of one image differ


def test_training_sees_the_pixels_of_inference(film: Sample) -> None:
    """Every tile is, to the last bit, a window of the whole image as inference loads it, with its mask."""
    x, y = load_image(film, channels=1)[0], torch.from_numpy(load_mask(film, 3, ignore=255)).long()
    windows, masks = x.unfold(0, 32, 1).unfold(1, 32, 1), y.unfold(0, 32, 1).unfold(1, 32, 1)
    batch = tiles(film).batch(torch.arange(6), DRAW)
    for tile, mask in zip(batch.x[:, 0], batch.y, strict=True):
        (place,) = (windows == tile).all(dim=(2, 3)).nonzero().tolist()
        assert masks[place[0], place[1]].equal(mask)


def test_loading_is_the_percentile_window_of_the_image(film: Sample) -> None:
    expected = window(to_float(read_image(film.image).pixels))
    assert np.allclose(load_image(film, channels=1), expected, atol=2e-6)
    assert np.allclose(load_image(film, channels=1, window=False), to_float(read_image(film.image).pixels), atol=1e-7)


def test_sixteen_bits_stay_sixteen(tmp_path: Path) -> None:
    ramp = np.arange(30000, 30000 + 64 * 64, dtype=np.uint16).reshape(64, 64)
    sample = save(tmp_path, "ramp", ramp, np.zeros((64, 64)))
    assert len(load_image(sample, channels=1).unique()) == 64 * 64
    assert len(tiles(sample, tile=64).batch(torch.tensor([0]), DRAW).x.unique()) == 64 * 64


def test_constant_images_become_zeros(tmp_path: Path) -> None:
    sample = save(tmp_path, "flat", np.full((40, 40), 77, np.uint8), np.zeros((40, 40)))
    assert not load_image(sample, channels=1).any()


def test_a_tiny_defect_is_seen_as_often_as_asked(tmp_path: Path) -> None:
    mask = np.zeros((600, 2000))
    mask[400, 1500:1503] = 1
    sample = save(tmp_path, "long", np.zeros((600, 2000), np.uint8), mask)
    for share, low, high in ((0.5, 0.4, 0.6), (0.0, 0.0, 0.05), (1.0, 1.0, 1.0)):
        data = tiles(sample, tile=64, defect_share=share)
        batch = data.batch(torch.arange(len(data)), DRAW)
        assert low <= (batch.y == 1).flatten(1).any(dim=1).float().mean() <= high  # 293 tiles


def test_a_defect_lands_anywhere_but_near_the_tile_s_border(tmp_path: Path) -> None:
    mask = np.zeros((300, 300))
    mask[150, 150] = 1
    data = tiles(save(tmp_path, "dot", np.zeros((300, 300), np.uint8), mask), tile=64, defect_share=1.0)
    places = torch.cat([data.batch(torch.arange(len(data)), Draw((i,))).y.nonzero()[:, 1:] for i in range(20)])
    assert len(places) == 20 * len(data)
    assert places.min() == 8
    assert places.max() == 64 - 8 - 1
    assert torch.allclose(places.float().mean(dim=0), torch.tensor(31.5), atol=2.5)


def test_classes_and_components_come_alike(tmp_path: Path) -> None:
    """One huge defect does not hide a second of its class, nor its class the other."""
    mask = np.zeros((400, 400))
    mask[:200, :200] = 1
    mask[350, 20] = 1
    mask[350, 350] = 2
    data = tiles(save(tmp_path, "mixed", np.zeros((400, 400), np.uint8), mask), defect_share=1.0, tile=16)
    y = data.batch(torch.arange(600), DRAW).y.flatten(1)
    share = (y == 2).any(dim=1).float().mean(), ((y == 1).sum(dim=1) == 1).float().mean()
    assert share[0] == pytest.approx(1 / 2, abs=0.07)
    assert share[1] == pytest.approx(1 / 4, abs=0.07)


def test_places_are_even_without_defects(tmp_path: Path) -> None:
    columns = np.tile(np.arange(250, dtype=np.uint8), (32, 1))
    data = tiles(save(tmp_path, "clear", columns, np.zeros((32, 250))), window=False, defect_share=1.0)
    draws = [data.batch(torch.arange(len(data)), Draw((i,))).x[:, 0, 0, 0] for i in range(100)]
    starts = (torch.cat(draws) * 255).round()
    assert starts.min() == 0
    assert starts.max() == 250 - 32
    assert starts.mean() == pytest.approx(109, abs=6)


def test_small_images_are_mirrored_with_their_masks(tmp_path: Path) -> None:
    pixels = np.arange(15, dtype=np.uint8).reshape(3, 5) * 10
    mask = pixels // 10 % 3
    data = tiles(save(tmp_path, "tiny", pixels, mask), tile=16, window=False)
    batch = data.batch(torch.tensor([0]), DRAW)
    value = (batch.x[0, 0] * 25.5).round().long()
    assert (value % 3).equal(batch.y[0])
    assert value.unique().tolist() == list(range(15))  # all of the image is in the tile


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_mirrored_is_reflection(length: int) -> None:
    expected = np.pad(np.arange(length), (9, 11), mode="reflect") if length > 1 else np.zeros(21)
    assert np.array_equal(mirrored(-9, length + 20, length), expected)


def test_cache_keeps_to_its_bytes(film: Sample, tmp_path: Path) -> None:
    others = [save(tmp_path, f"o{i}", np.zeros((64, 64), np.uint8), np.zeros((64, 64))) for i in range(4)]
    data = tiles(*others, cache_bytes=20_000)  # 8192 bytes each: two fit
    first = data.load(0)
    data.load(1)
    assert data.load(0) is first
    data.load(2)  # the least recently used, 1, goes
    assert data.load(0) is first
    data.load(3)
    data.load(1)
    assert data.load(0) is not first


def test_decodes_at_first_need(tmp_path: Path) -> None:
    good = save(tmp_path, "good", np.zeros((64, 64), np.uint8), np.zeros((64, 64)))
    bad = save(
        tmp_path, "bad", np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8), np.zeros((64, 64))
    )
    bad.image.write_bytes(bad.image.read_bytes()[:300])
    data = tiles(good, bad)
    assert len(data) == 8
    data.batch(torch.tensor([0]), DRAW)
    with pytest.raises(BadInputError, match=r"bad\.png"):
        data.batch(torch.tensor([4]), DRAW)


def test_remap_joins_classes_and_keeps_ignored(film: Sample) -> None:
    mask = load_mask(film, 2, ignore=255, remap=(0, 1, 1))
    assert np.bincount(mask.ravel())[[0, 1, 255]].tolist() == [90 * 200 - 493, 393, 100]
    ids = tiles(film, classes=2, remap=(0, 1, 1)).batch(torch.arange(18), DRAW).y.unique().tolist()
    assert set(ids) <= {0, 1, 255}
    assert 1 in ids
    unlabelled = load_mask(film, 2, ignore=255, remap=(0, 1, 255))
    assert (unlabelled == 255).sum() == 103


def test_shrinking_keeps_every_defect() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[1, 1] = 2  # one pixel
    mask[4:8, 4:8] = 1
    mask[4, 4] = 3  # fewer than class 1 in the same cell
    mask[0:4, 6:8] = 255
    mask[3, 7] = 1  # a defect beside ignored pixels stays a defect
    assert resize_mask(mask, 0.25, ignore=255).tolist() == [[2, 1], [0, 1]]
    assert resize_mask(mask, 0.5, ignore=255)[:2].tolist() == [[2, 0, 0, 255], [0, 0, 0, 1]]
    assert resize_mask(mask, 1.0) is mask
    assert np.array_equal(resize_mask(mask, 2.0), mask.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("scale", [0.3, 0.45, 0.7, 0.9])
def test_shrinking_loses_no_single_pixel_at_uneven_scales(scale: float) -> None:
    for place in range(17):
        mask = np.zeros((1, 17), np.uint8)
        mask[0, place] = 1
        assert resize_mask(mask, scale).any()


def test_shrinking_averages_at_more_than_eight_bits(tmp_path: Path) -> None:
    pixels = np.tile(np.array([[100, 100, 101, 100]], np.uint8), (80, 20))
    x = load_image(save(tmp_path, "fine", pixels), channels=1, scale=0.25, window=False)
    assert x.shape == (1, 20, 20)
    # The antialiasing kernel weighs eight pixels 1 3 5 7 7 5 3 1: no rounding to 100, and no pixel is skipped.
    assert torch.allclose(x[:, :, 1:-1] * 255, torch.tensor(100 + 8 / 32), atol=0.01)


def test_channels(tmp_path: Path) -> None:
    grey = save(tmp_path, "grey", np.arange(16, dtype=np.uint8).reshape(4, 4))
    colour = save(tmp_path, "colour", np.full((4, 4, 3), [200, 100, 0], np.uint8))
    stored_as_colour = save(tmp_path, "rgb", np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4, 1), 3, axis=2))
    assert load_image(stored_as_colour, 1).equal(load_image(grey, 1))
    assert load_image(stored_as_colour, 3).equal(load_image(grey, 3))
    assert torch.allclose(load_image(colour, 1, window=False) * 255, torch.tensor(0.299 * 200 + 0.587 * 100), atol=0.01)
    assert torch.allclose(load_image(colour, 3, window=False)[:, 0, 0] * 255, torch.tensor([200.0, 100, 0]))
    for sample, channels in ((grey, 2), (colour, 4)):
        with pytest.raises(
            BadInputError, match=rf"{sample.stem}\.png has \d channels but the network takes {channels}"
        ):
            load_image(sample, channels)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_image_size_from_the_header(tmp_path: Path, ending: str) -> None:
    write_image(tmp_path / f"a.{ending}", np.zeros((12, 34), np.uint16))
    assert image_size(tmp_path / f"a.{ending}") == (12, 34)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(BadInputError, match=r"text\.png"):
        image_size(tmp_path / "text.png")


def test_refuses_what_cannot_be(film: Sample, tmp_path: Path) -> None:
    bare = save(tmp_path, "bare", np.zeros((40, 40), np.uint8))
    with pytest.raises(BadInputError, match=r"bare\.png has no mask"):
        tiles(bare).batch(torch.tensor([0]), DRAW)
    with pytest.raises(UsageError, match="empty"):
        tiles()
    with pytest.raises(UsageError, match="remap names class 5"):
        tiles(film, remap=(0, 1, 5))
    with pytest.raises(UsageError, match="class id"):
        tiles(film, ignore=2)
    for option in ({"tile": 0}, {"defect_share": 1.5}, {"scale": 0.0}, {"most_tiles": 0}):
        with pytest.raises(UsageError):
            tiles(film, **option)


def test_components_by_hand() -> None:
    mask = np.array([[1, 0, 2, 2], [0, 1, 0, 0], [0, 0, 0, 1], [9, 9, 0, 0]], np.uint8)
    found = find_components(mask, 3)
    assert found.kinds.tolist() == [1, 1, 2]  # the diagonal pair is one; 9 is no class
    assert found.areas.tolist() == [2, 1, 2]
    assert found.pixels.tolist() == [0, 5, 11, 2, 3]
    assert len(find_components(np.zeros((4, 4), np.uint8), 3)) == 0
