"""Looking at a model leaves no trace on its training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seamwise.continual import undisturbed


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Sequential(nn.BatchNorm2d(3)))


def look(model: nn.Module) -> None:
    """All that could leave a trace: train mode, statistics, dropout, a switch to eval."""
    model.train()
    model(torch.randn(4, 1, 6, 6))
    model.eval()


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_put_back(fails: bool) -> None:
    model = network()
    model[3].eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    try:
        with undisturbed(model):
            look(model)
            assert not torch.equal(model.state_dict()["1.running_mean"], before["1.running_mean"])
            if fails:
                raise KeyError("an evaluation that fails")
    except KeyError:
        assert fails
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_without_it_there_are_traces() -> None:
    model = network()
    before = model.state_dict()["1.running_mean"].clone()
    state = torch.get_rng_state()
    look(model)
    assert not torch.equal(model.state_dict()["1.running_mean"], before)
    assert not torch.equal(torch.get_rng_state(), state)
    assert not model.training


def test_weights_changed_on_purpose_stay_changed() -> None:
    model = network()
    with undisturbed(model), torch.no_grad():
        model[0].weight.zero_()
    assert float(model[0].weight.detach().abs().sum()) == 0
