"""Networks that show their last hidden activations, and what is their output layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seamwise.continual import Batch, Classification
from seamwise.continual.features import output_layer, with_features
from tests.continual.problems import FEATURES, Pixels, heads, mlp, tiny_unet


class Split(nn.Module):
    """A network with methods of its own for both parts."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(FEATURES, 5), nn.Linear(5, 6)
        self.unused = nn.Linear(2, 2)

    def hidden(self, x: Tensor) -> Tensor:
        return self.body(x).relu()

    def head(self, hidden: Tensor) -> Tensor:
        return self.out(hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x))


def vectors() -> Tensor:
    return torch.randn(4, FEATURES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("model", [mlp(), Split()], ids=["sequential", "methods"])
def test_the_answer_is_the_same_and_made_of_the_features(model: nn.Module) -> None:
    logits, features = with_features(model, vectors())
    assert torch.equal(logits, model(vectors()))
    head = model.head if isinstance(model, Split) else model[-1]
    assert torch.equal(logits, head(features))


def test_objectives_show_features_when_asked() -> None:
    batch = Batch.of(vectors(), torch.zeros(4, dtype=torch.int64), task=1)
    plain, full = heads().forward(mlp(), batch), heads().forward(mlp(), batch, features=True)
    assert plain.features is None
    assert full.features is not None
    assert full.features.shape == (4, 8)
    assert torch.equal(plain.logits, full.logits)
    for output in (plain, full):
        assert output.raw is not None
        assert torch.equal(output.raw, mlp()(vectors()))
        assert torch.equal(output.logits, heads().mask(output.raw, batch.task))
    unmasked = Classification().forward(mlp(), batch)
    assert unmasked.raw is unmasked.logits


class Layers(nn.Module):
    """Layers called hidden and head, with something between them that only `forward` knows."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(FEATURES, 5), nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x).relu())


@pytest.mark.parametrize("model", [Layers(), nn.Linear(FEATURES, 6), nn.Sequential(nn.Linear(FEATURES, 6))])
def test_other_networks_are_told_what_to_do(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"give it a method hidden\(x\) and a head.*nn.Sequential"):
        with_features(model, vectors())


def test_the_output_layer_is_what_comes_after_the_features() -> None:
    model = Split()
    logits, features = with_features(model, vectors())
    assert output_layer(logits, features) == {model.out.weight, model.out.bias}
    pictures = Batch.of(torch.randn(1, 2, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int64))
    net = tiny_unet()
    output = Pixels().forward(net, pictures, features=True)
    assert output.raw is not None
    assert output.features is not None
    assert output_layer(output.raw, output.features) == {net.head.weight, net.head.bias}


def test_frozen_parameters_are_no_part_of_it() -> None:
    model = Split()
    model.out.bias.requires_grad_(False)
    assert output_layer(*with_features(model, vectors())) == {model.out.weight}


def test_a_sequential_with_a_forward_of_its_own_shows_nothing() -> None:
    class Scaled(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x / 10)

    with pytest.raises(ValueError, match="Scaled does not show"):
        with_features(Scaled(nn.Linear(FEATURES, 4), nn.Linear(4, 2)), vectors())
