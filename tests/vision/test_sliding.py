"""Sliding prediction: nothing lost, no seam, and a tile's answer is its own."""

import pytest
import torch
from torch import Tensor, nn

from seamwise.errors import UsageError
from seamwise.vision.networks import build_network
from seamwise.vision.sliding import cut, grid, predict, shares


class PixelsAsLogits(nn.Module):
    """Probabilities that are a known function of each pixel alone: softmax(0, x)."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        return torch.cat([torch.zeros_like(x), x], 1)


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 16), (17, 16), (50, 70), (95, 33)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_a_pixelwise_model_gives_every_pixel_its_answer(size: tuple[int, int], overlap: float) -> None:
    x = picture(1, *size)
    p = predict(PixelsAsLogits(), x, tile=16, overlap=overlap, batch=3)
    assert p.shape == (2, *size)
    assert p.dtype == torch.float32
    torch.testing.assert_close(p[1], torch.sigmoid(x[0]), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(p.sum(0), torch.ones(size), rtol=1e-6, atol=0)


def test_no_seam_is_visible() -> None:
    class CornerLight(nn.Module):
        """A network whose answer depends on the place within the tile, the hardest case for blending."""

        def forward(self, x: Tensor) -> Tensor:
            ramp = torch.linspace(-3, 3, x.shape[-1]).expand_as(x)
            return torch.cat([torch.zeros_like(x), ramp], 1)

    p = predict(CornerLight(), torch.zeros(1, 64, 300), tile=64, overlap=0.5)[1, 20]
    inside = torch.sigmoid(torch.linspace(-3, 3, 64)).diff().abs().max()
    assert p.diff().abs().max() < 1.6 * inside  # cut without blending the step would be 0.9
    hard = predict(CornerLight(), torch.zeros(1, 64, 300), tile=64, overlap=0.0)[1, 20]
    assert hard.diff().abs().max() > 0.8


@pytest.mark.parametrize(
    ("size", "tile", "step"), [(5, 16, 12), (16, 16, 12), (17, 16, 12), (100, 16, 12), (100, 16, 1)]
)
def test_the_grid_covers_a_side_without_a_needless_tile(size: int, tile: int, step: int) -> None:
    places = list(grid(size, tile, step))
    assert places == [i * step for i in range(len(places))]
    assert places[-1] + tile >= size
    assert len(places) == 1 or places[-2] + tile < size


def test_shares_sum_to_one_everywhere_and_are_one_where_a_tile_is_alone() -> None:
    weights = shares(4, tile=16, step=12)
    total = torch.zeros(3 * 12 + 16)
    for i in range(4):
        total[i * 12 : i * 12 + 16] += weights[i]
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=2e-7)
    assert (weights[:, 4:12] == 1).all()
    assert (weights >= 0).all()


def test_a_tile_beyond_the_picture_is_mirrored_as_often_as_needed() -> None:
    x = torch.arange(3.0).view(1, 1, 3)
    assert cut(x, 0, 1, 8)[0].tolist() == [[1, 2, 1, 0, 1, 2, 1, 0]] * 8
    assert torch.equal(cut(picture(2, 9, 9), 2, 3, 4), picture(2, 9, 9)[:, 2:6, 3:7])


def test_every_batch_has_the_same_shape() -> None:
    model = PixelsAsLogits()
    predict(model, picture(1, 50, 70), tile=16, batch=5)  # 24 tiles
    assert set(model.shapes) == {(5, 1, 16, 16)}


@pytest.fixture(params=["float32", "channels_last", "bfloat16"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    net: nn.Module = build_network("unet", 2, 3, width=16, depth=2)
    nn.init.normal_(net.get_submodule("head").weight)  # type: ignore[arg-type]
    if request.param == "float32":
        return net

    class Run(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=request.param == "bfloat16"):
                out: Tensor = self.net(x.to(memory_format=torch.channels_last))
                return out

    return Run()


def test_a_tiles_answer_is_bitwise_independent_of_the_batch(network: nn.Module) -> None:
    network.eval()
    x, others = picture(2, 32, 32), picture(8, 2, 32, 32, seed=1)
    answers = []
    for slot in range(4):
        for fill in (torch.zeros(4, 2, 32, 32), others[:4], others[4:] * 1e3):
            tiles = fill.clone()
            tiles[slot] = x
            with torch.inference_mode():
                answers.append(network(tiles)[slot])
    assert all(torch.equal(answers[0], answer) for answer in answers[1:])


def test_answers_do_not_depend_on_what_lies_far_away(network: nn.Module) -> None:
    """The left of a long strip is bitwise what it is in a shorter strip, though tiles and batches differ."""
    long, short = picture(2, 40, 200), picture(2, 40, 200)[:, :, :104]
    a = predict(network, long, tile=32, overlap=0.25, batch=4)
    b = predict(network, short, tile=32, overlap=0.25, batch=4)
    assert torch.equal(a[:, :, :96], b[:, :, :96])  # tiles at 0 .. 72 are whole in both, the next starts at 96


def test_modes_come_back_even_after_an_error(network: nn.Module) -> None:
    network.train()
    frozen = next(m for m in network.modules() if isinstance(m, nn.GroupNorm))
    frozen.eval()
    before = [m.training for m in network.modules()]
    predict(network, picture(2, 20, 20), tile=32)
    assert [m.training for m in network.modules()] == before
    with pytest.raises(RuntimeError):
        predict(network, picture(5, 20, 20), tile=32)
    assert [m.training for m in network.modules()] == before


def test_dropout_is_off() -> None:
    torch.manual_seed(0)
    net = build_network("unet", 1, 2, width=8, depth=1, dropout=0.5)
    x = picture(1, 20, 20)
    assert torch.equal(predict(net, x, tile=16), predict(net, x, tile=16))


def test_classes_that_are_not_allowed_get_nothing() -> None:
    torch.manual_seed(0)
    net = build_network("unet", 1, 3, width=8, depth=1)
    p = predict(net, picture(1, 40, 20), tile=16, allowed=torch.tensor([True, False, True]))
    assert (p[1] == 0).all()
    torch.testing.assert_close(p.sum(0), torch.ones(40, 20))


def test_prepare_sees_each_batch() -> None:
    p = predict(PixelsAsLogits(), torch.ones(1, 20, 20), tile=16, prepare=lambda x: x * 2)
    torch.testing.assert_close(p[1], torch.sigmoid(torch.full((20, 20), 2.0)))


def test_the_answer_is_an_ordinary_tensor() -> None:
    p = predict(PixelsAsLogits(), picture(1, 20, 20), tile=16)
    assert not p.is_inference()
    assert not p.requires_grad


@pytest.mark.parametrize("wrong", [{"tile": 0}, {"batch": 0}, {"overlap": 1.0}, {"overlap": -0.1}])
def test_wrong_settings_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        predict(PixelsAsLogits(), picture(1, 8, 8), **{"tile": 8, **wrong})  # type: ignore[arg-type]


def test_a_picture_must_have_three_axes() -> None:
    with pytest.raises(UsageError, match="channels, height, width"):
        predict(PixelsAsLogits(), picture(8, 8), tile=8)
