"""SI and Adam in one compiled pass: the same numbers as one after the other, up to rounding."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from seamwise.continual import (
    Chain,
    Classification,
    Experience,
    Learner,
    MismatchError,
    Replay,
    Strategy,
    SynapticIntelligence,
    TensorDataset,
    Training,
)
from seamwise.continual.single_pass import SinglePass

# torch's compiler imports a part of torch that is deprecated
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")
needs_compiler = pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler")
TRAINING = Training(batch_size=16, epochs=2, schedule="cosine", keep_optimizer=True)


def stream() -> list[Experience]:
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(64, 6, generator=draw), torch.randint(3, (64,), generator=draw)
    return [Experience(0, "a", TensorDataset(x, y)), Experience(1, "b", TensorDataset(x.flip(0) + 1, y))]


def network() -> nn.Module:
    torch.manual_seed(0)
    unused = nn.Linear(2, 2)  # never gets a gradient
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    model.register_module("unused", unused)
    model.forward = lambda x: model[2](model[1](model[0](x)))  # type: ignore[method-assign]
    return model


def learner(compiled: bool, strategy: Strategy | None = None, training: Training = TRAINING) -> Learner:
    return Learner(
        network(), strategy or SynapticIntelligence(c=0.5), Classification(), training, seed=3, compiled=compiled
    )


def tensors(of: Learner) -> dict[str, Tensor]:
    state = of.state_dict()
    flat = {f"{part}.{k}": v for part in ("model", "strategy", "optimizer") for k, v in state[part].items()}
    return {name: value for name, value in flat.items() if isinstance(value, Tensor)}


@needs_compiler
def test_it_learns_what_the_separate_steps_learn() -> None:
    one, other = learner(True), learner(False)
    losses = [
        [float(p.loss) for p in each.fit(stream()) if p.kind == "step" and p.loss is not None] for each in (one, other)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    mine, theirs = tensors(one), tensors(other)
    assert {name for name in theirs if "exp_avg" in name} <= set(mine)
    for name, wanted in theirs.items():
        torch.testing.assert_close(mine[name], wanted, rtol=1e-3, atol=1e-5 * max(1.0, float(wanted.abs().max())))
    assert max(float(value.max()) for name, value in mine.items() if "importance" in name) > 0.1
    assert torch.equal(mine["model.unused.weight"], network().unused.weight)  # type: ignore[arg-type, union-attr]


@needs_compiler
def test_it_goes_on_bit_for_bit_and_only_compiled() -> None:
    whole = learner(True)
    list(whole.fit(stream()))
    first = learner(True)
    for done, _ in enumerate(first.fit(stream()), 1):
        if done == 13:  # within the second experience, when the pull is on
            break
    state = copy.deepcopy(first.state_dict())
    second = learner(True)
    second.load_state_dict(state)
    list(second.fit(stream()))
    wanted = tensors(whole)
    assert all(torch.equal(value, wanted[name]) for name, value in tensors(second).items())
    with pytest.raises(MismatchError, match="compiled"):
        learner(False).load_state_dict(state)
    with pytest.raises(MismatchError, match="compiled"):
        learner(True).load_state_dict(learner(False).state_dict())


@pytest.mark.parametrize(
    ("strategy", "training"),
    [
        (SynapticIntelligence(pull="proximal"), TRAINING),
        (Chain(SynapticIntelligence(), Replay()), TRAINING),
        (Strategy(), TRAINING),
        (SynapticIntelligence(), replace(TRAINING, optimizer="sgd")),
        (SynapticIntelligence(), replace(TRAINING, optimizer="adamw")),
        (SynapticIntelligence(), replace(TRAINING, weight_decay=0.1)),
        (SynapticIntelligence(), replace(TRAINING, clip=1.0)),
    ],
)
def test_what_it_does_not_cover_is_refused(strategy: Strategy, training: Training) -> None:
    with pytest.raises(ValueError, match=r"explicit pull with plain Adam|alone with Adam"):
        next(learner(True, strategy, training).fit(stream()))


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    one = learner(True)
    monkeypatch.setattr(torch, "compile", lambda *_, **__: fails)
    with pytest.raises(ValueError, match="install g"):
        next(one.fit(stream()))


def test_optimizers_it_would_not_obey_are_refused() -> None:
    model, si = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), SynapticIntelligence()
    for optimizer in (
        torch.optim.Adam(model.parameters(), maximize=True),
        torch.optim.Adam([{"params": model[0].parameters()}, {"params": model[1].parameters()}]),
    ):
        with pytest.raises(ValueError, match="one group"):
            SinglePass(si, optimizer)
    part = SinglePass(si, torch.optim.Adam(model[1].parameters()))
    model(torch.ones(1, 3)).sum().backward()
    with pytest.raises(ValueError, match="all trainable parameters"):
        part(model)
