"""Augmentation: off is the identity, images and masks move together, and a row's numbers are its own."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw
from seamwise.errors import UsageError
from seamwise.vision.augment import Augmentation, blurred

DRAW = Draw((1, "epoch", 2))
NOTHING = dict.fromkeys(asdict(Augmentation()), 0)
ALL = {**asdict(Augmentation()), "shift": 0.1, "invert": 0.5}


def only(**options: float) -> Augmentation:
    return Augmentation(**{**NOTHING, **options})


def random_batch(n: int = 6, channels: int = 2, height: int = 24, width: int = 24, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (n, height, width), generator=g)
    y[y == 3] = 255
    index = 100 + torch.arange(n)
    return Batch.of(torch.rand(n, channels, height, width, generator=g) * 1.4 - 0.2, y, task=2, index=index)


def plane(height: int, width: int) -> Tensor:
    """(2, H, W): each pixel holds its own row and column."""
    return torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).float()


def same(a: Batch, b: Batch) -> bool:
    return a.x.equal(b.x) and a.y.equal(b.y)


def test_everything_off_is_the_identity() -> None:
    batch = random_batch()
    assert same(only()(batch, DRAW), batch)


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_option_alone_changes_images(name: str) -> None:
    batch = random_batch()
    result = only(**{name: ALL[name]})(batch, DRAW)
    assert not result.x.equal(batch.x)
    moves = name in {"flip", "turn", "rotate_deg", "zoom", "shift"}
    assert result.y.equal(batch.y) is not moves
    assert result.y.dtype == batch.y.dtype
    assert result.x.dtype == batch.x.dtype
    assert set(result.y.unique().tolist()) <= {0, 1, 2, 255}
    assert result.index is batch.index
    assert result.weight is batch.weight
    assert result.task is batch.task


def test_a_row_depends_on_key_and_sample_alone() -> None:
    augmentation = Augmentation(**ALL)
    batch = random_batch()
    whole = augmentation(batch, DRAW)
    assert same(augmentation(batch, DRAW), whole)
    keep = torch.tensor([4, 1])
    part = augmentation(batch.rows(keep), DRAW)
    # Vectorised arithmetic may round the last bit differently in batches of other sizes.
    assert torch.allclose(part.x, whole.x[keep], atol=1e-5)
    assert part.y.equal(whole.y[keep])
    assert not same(augmentation(batch, DRAW.of("other")), whole)


def test_a_sample_that_comes_twice_varies_twice() -> None:
    batch = random_batch(2).rows(torch.tensor([0, 0]))
    result = Augmentation()(batch, DRAW)
    assert not result.x[0].equal(result.x[1])


def test_switching_one_option_leaves_the_others_alone() -> None:
    batch = random_batch()
    assert only(flip=True, turn=True)(batch, DRAW).y.equal(
        only(flip=True, turn=True, gamma=0.5, noise=0.1)(batch, DRAW).y
    )


def test_flips_and_turns_only_move_pixels_and_reach_all_eight_positions() -> None:
    x = plane(6, 6).expand(200, 2, 6, 6)
    y = (x[:, 0] * 6 + x[:, 1]).long()
    result = only(flip=True, turn=True)(Batch.of(x, y), DRAW)
    assert (result.x[:, 0] * 6 + result.x[:, 1]).long().equal(result.y)
    positions, counts = result.y.flatten(1).unique(dim=0, return_counts=True)
    assert len(positions) == 8
    assert positions.sort(dim=1).values.equal(torch.arange(36).expand(8, 36))
    assert counts.min() > 10  # of 25 expected


def test_turns_alone_reach_all_four_and_flips_alone_all_four() -> None:
    y = torch.arange(36).reshape(6, 6).expand(100, 6, 6)
    batch = Batch.of(y[:, None].float(), y)
    turned, flipped = only(turn=True)(batch, DRAW).y, only(flip=True)(batch, DRAW).y
    assert {tuple(row.flatten().tolist()) for row in turned} == {
        tuple(y[0].rot90(k).flatten().tolist()) for k in range(4)
    }
    axes: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))
    assert {tuple(row.flatten().tolist()) for row in flipped} == {tuple(y[0].flip(a).flatten().tolist()) for a in axes}


def test_tiles_that_are_not_square_keep_their_shape() -> None:
    batch = random_batch(height=8, width=12)
    result = Augmentation()(batch, DRAW)
    assert result.x.shape == batch.x.shape
    assert result.y.shape == batch.y.shape


@pytest.mark.parametrize(
    "options",
    [
        {"rotate_deg": 40},
        {"zoom": 0.5},
        {"shift": 0.2},
        {"rotate_deg": 15, "zoom": 0.3, "shift": 0.1, "flip": 1, "turn": 1},
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (48, 64)])
def test_images_and_masks_move_together(options: dict[str, float], size: tuple[int, int]) -> None:
    """Masks number squares of 16 pixels; away from the squares' edges they must say where the image's pixel is from."""
    x = plane(*size).expand(8, 2, *size)
    y = ((x[:, 0] // 16) * 4 + x[:, 1] // 16).long()
    result = only(**options)(Batch.of(x, y), DRAW)
    row, column = result.x[:, 0], result.x[:, 1]
    inner = ((row % 16 - 7.5).abs() < 6.5) & ((column % 16 - 7.5).abs() < 6.5)
    assert inner.float().mean() > 0.5
    assert ((row // 16) * 4 + column // 16).long()[inner].equal(result.y[inner])


def test_rotation_keeps_angles_and_stays_in_its_limits() -> None:
    """The gradient of the coordinate planes is the inverse map: a rotation has orthonormal columns."""
    for size in ((64, 64), (40, 80)):
        x = plane(*size).expand(16, 2, *size)
        result = only(rotate_deg=20)(Batch.of(x, torch.zeros(16)), DRAW).x
        middle = result[:, :, size[0] // 2 - 4 : size[0] // 2 + 4, size[1] // 2 - 4 : size[1] // 2 + 4].double()
        down = (middle[:, :, 1:, :] - middle[:, :, :-1, :]).mean(dim=(2, 3))
        right = (middle[:, :, :, 1:] - middle[:, :, :, :-1]).mean(dim=(2, 3))
        assert torch.allclose(down.norm(dim=1), torch.ones(16).double(), atol=1e-3)
        assert torch.allclose(right.norm(dim=1), torch.ones(16).double(), atol=1e-3)
        assert torch.allclose((down * right).sum(dim=1), torch.zeros(16).double(), atol=1e-3)
        degrees = torch.rad2deg(torch.atan2(right[:, 0], right[:, 1]))
        assert degrees.abs().max() <= 20.1
        assert degrees.max() > 5
        assert degrees.min() < -5


def test_rotation_and_zoom_together_keep_shapes() -> None:
    x = plane(64, 64).expand(100, 2, 64, 64)
    result = only(rotate_deg=45, zoom=0.5)(Batch.of(x, torch.zeros(100)), DRAW).x
    down, right = result[:, :, 33, 32] - result[:, :, 32, 32], result[:, :, 32, 33] - result[:, :, 32, 32]
    assert torch.allclose(down.norm(dim=1), right.norm(dim=1), atol=1e-3)
    assert torch.allclose((down * right).sum(dim=1), torch.zeros(100), atol=1e-3)
    assert torch.rad2deg(torch.atan2(right[:, 0], right[:, 1])).abs().max() <= 45.1
    assert down.norm(dim=1).max() <= 1.501


def test_zoom_stays_in_its_limits_both_ways() -> None:
    x = plane(64, 64).expand(32, 2, 64, 64)
    result = only(zoom=0.25)(Batch.of(x, torch.zeros(32)), DRAW).x
    step = (result[:, 0, 33, 32] - result[:, 0, 31, 32]) / 2
    assert step.min() >= 1 / 1.25 - 1e-3
    assert step.max() <= 1.25 + 1e-3
    assert step.min() < 0.9
    assert step.max() > 1.1


def test_class_ids_of_whole_images_stay() -> None:
    batch = Batch.of(torch.rand(5, 1, 16, 16), torch.arange(5))
    assert Augmentation()(batch, DRAW).y.equal(torch.arange(5))


def test_inversion_brightness_and_contrast_by_hand() -> None:
    batch = random_batch()
    assert only(invert=1)(batch, DRAW).x.equal(1 - batch.x)
    added = only(brightness=0.3)(batch, DRAW).x - batch.x
    shift = added.mean(dim=(1, 2, 3))
    assert torch.allclose(added, shift[:, None, None, None].expand_as(added), atol=1e-6)
    assert shift.abs().max() <= 0.3
    assert len(shift.unique()) == 6
    result = only(contrast=0.5)(batch, DRAW).x
    assert torch.allclose(result.mean(dim=(1, 2, 3)), batch.x.mean(dim=(1, 2, 3)), atol=1e-5)
    factor = result.std(dim=(1, 2, 3)) / batch.x.std(dim=(1, 2, 3))
    assert factor.min() >= 1 / 1.5 - 1e-4
    assert factor.max() <= 1.5 + 1e-4
    assert factor.min() < 1 < factor.max()


def test_gamma_bends_inside_and_carries_over_outside() -> None:
    x = torch.tensor([-0.5, 0.0, 0.25, 0.5, 1.0, 1.5]).reshape(1, 1, 1, 6)
    result = only(gamma=1)(Batch.of(x, torch.zeros(1)), DRAW).x.flatten()
    assert result[[0, 1, 4, 5]].tolist() == [-0.5, 0.0, 1.0, 1.5]
    powers = result[2:4].log() / x.flatten()[2:4].log()
    assert powers[0] == pytest.approx(float(powers[1]), rel=1e-4)
    assert 0.5 <= powers[0] <= 2
    assert abs(powers[0] - 1) > 0.01


def test_noise_is_one_grain_for_all_channels() -> None:
    batch = random_batch(n=8, channels=3, height=64, width=64)
    grain = only(noise=0.1)(batch, DRAW).x - batch.x
    assert torch.allclose(grain[:, 0], grain[:, 2], atol=1e-6)
    spread = grain[:, 0].std(dim=(1, 2))
    assert spread.max() <= 0.105
    assert spread.max() > 0.05
    assert spread.min() < spread.max() / 2
    assert abs(torch.corrcoef(torch.stack([grain[0, 0].flatten(), grain[1, 0].flatten()]))[0, 1]) < 0.1


def test_blur_is_the_gaussian() -> None:
    x = torch.zeros(3, 1, 15, 15)
    x[:, :, 7, 7] = 1
    sigma = torch.tensor([0.0, 0.5, 1.0])
    result = blurred(x, sigma)
    assert result[0].equal(x[0])
    line = torch.exp(-0.5 * (torch.arange(-3, 4)[None] / sigma[1:, None]) ** 2)
    line = line / line.sum(dim=1, keepdim=True)
    assert torch.allclose(result[1:, 0, 4:11, 4:11], line[:, :, None] * line[:, None, :], atol=1e-6)
    assert torch.allclose(blurred(torch.full((1, 1, 9, 9), 0.3), sigma[2:]), torch.tensor(0.3))  # borders keep level


@pytest.mark.parametrize("options", [{"noise": -0.1}, {"zoom": float("nan")}, {"invert": 1.5}, {"blur": 3}])
def test_refuses_impossible_options(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        Augmentation(**options)
