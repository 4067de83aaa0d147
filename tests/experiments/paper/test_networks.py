import math

import pytest
import torch
from torch import nn

from seamwise.experiments.paper.networks import convolutional, perceptron


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def layers(network: nn.Sequential) -> list[nn.Linear | nn.Conv2d]:
    return [layer for layer in network if isinstance(layer, nn.Linear | nn.Conv2d)]


def test_perceptron_of_split_mnist():
    network = perceptron(784, (256, 256), 10, seed=0)
    assert network(torch.rand(3, 784)).shape == (3, 10)
    assert count(network) == (784 * 256 + 256) + (256 * 256 + 256) + (256 * 10 + 10)
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


def test_perceptron_with_dropout_after_every_hidden_layer():
    network = perceptron(4, (5, 6), 2, dropout=0.3, seed=0)
    kinds = [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in network] == kinds
    assert [layer.p for layer in network if isinstance(layer, nn.Dropout)] == [0.3, 0.3]


def test_perceptron_without_hidden_layers_is_linear():
    assert [type(layer) for layer in perceptron(4, (), 2, seed=0)] == [nn.Linear]


def test_convolutional_network_of_split_cifar():
    network = convolutional(60, seed=0)
    sizes = [3 * 9 * 32 + 32, 32 * 9 * 32 + 32, 32 * 9 * 64 + 64, 64 * 9 * 64 + 64, 2304 * 512 + 512, 512 * 60 + 60]
    assert [count(layer) for layer in layers(network)] == sizes
    assert count(network) == sum(sizes) == 1_276_508
    assert isinstance(network[-1], nn.Linear)
    assert [layer.p for layer in network if isinstance(layer, nn.Dropout)] == [0.25, 0.25, 0.5]
    assert sum(isinstance(layer, nn.ReLU) for layer in network) == 5


def test_sizes_of_the_maps_of_the_convolutional_network():
    x, shapes = torch.rand(2, 3, 32, 32), []
    for layer in convolutional(60, seed=0):
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.Linear):
            shapes.append(tuple(x.shape[1:]))
    stages = [(32, 32, 32), (32, 30, 30), (32, 15, 15), (64, 15, 15), (64, 13, 13), (64, 6, 6)]
    assert shapes == [*stages, (512,), (60,)]


def build(kind: str, seed: int, **options) -> nn.Sequential:
    if kind == "perceptron":
        return perceptron(20, (30, 30, 30), 5, seed=seed, **{"zero_head": False, **options})
    return convolutional(5, seed=seed, **{"zero_head": False, **options})


KINDS = pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
INITS = pytest.mark.parametrize("init", ["glorot", "torch"])


@KINDS
@INITS
def test_weights_are_a_function_of_the_seed_alone(kind, init):
    first = build(kind, 7, init=init).state_dict()
    torch.rand(3)
    again, other = build(kind, 7, init=init).state_dict(), build(kind, 8, init=init).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if name.endswith("weight"))


@KINDS
@INITS
def test_the_global_random_state_is_not_touched(kind, init):
    before = torch.get_rng_state()
    build(kind, 0, init=init)
    assert torch.equal(torch.get_rng_state(), before)


@KINDS
def test_glorot_weights_fill_their_range_and_biases_are_zero(kind):
    for layer in layers(build(kind, 0)):
        field = layer.weight[0, 0].numel()  # 9 of a 3 x 3 convolution, 1 of a linear layer
        bound = math.sqrt(6 / (field * (layer.weight.shape[0] + layer.weight.shape[1])))
        assert 0.97 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert not layer.bias.any()


@KINDS
def test_torch_weights_and_biases_are_in_the_range_of_its_own_layers(kind):
    for layer in layers(build(kind, 0, init="torch")):
        bound = 1 / math.sqrt(layer.weight[0].numel())
        assert 0.97 * bound < layer.weight.abs().max() <= bound
        assert 0.5 * bound < layer.bias.abs().max() <= bound


def test_layers_of_one_shape_start_differently():
    network = perceptron(30, (30, 30), 5, seed=0)
    assert not torch.equal(network[0].weight, network[2].weight)


@KINDS
@INITS
def test_zero_head_leaves_all_other_layers_as_they_were(kind, init):
    usual, zero = build(kind, 0, init=init), build(kind, 0, init=init, zero_head=True)
    head = f"{len(usual) - 1}."
    for name, parameter in zero.named_parameters():
        assert parameter.requires_grad
        if name.startswith(head):
            assert not parameter.any()
        else:
            assert torch.equal(parameter, usual.get_parameter(name))


def test_initial_weights_stay_what_they_were():
    """Results of earlier versions can be made again only as long as this holds."""
    weights = [layer.weight.flatten()[:3] for layer in layers(perceptron(3, (4,), 2, seed=1))]
    assert torch.cat(weights).tolist() == pytest.approx(GOLDEN, abs=1e-6)


GOLDEN = [0.5484713, 0.0781877, 0.5228767, -0.7947348, 0.062838, 0.5433072]
