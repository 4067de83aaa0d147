"""Synaptic Intelligence: the promises its documentation makes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from seamwise.continual import (
    Batch,
    Chain,
    Learner,
    Replay,
    Step,
    Strategy,
    SynapticIntelligence,
    Training,
)
from tests.continual.problems import (
    Point,
    SmallerWeights,
    assert_identical,
    class_stream,
    everything,
    heads,
    learn,
    mlp,
)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_no_strength_is_finetuning_bit_for_bit(optimizer: Any) -> None:
    settings = Training(batch_size=16, epochs=3, optimizer=optimizer, lr=0.05, clip=1.0)
    weights = []
    for strategy in (Strategy(), SynapticIntelligence(c=0), SynapticIntelligence(c=0, pull="proximal")):
        learner = Learner(mlp(), strategy, heads(), settings)
        learn(learner, class_stream())
        weights.append(dict(learner.model.state_dict()))
    assert_identical(weights[0], weights[1])
    assert_identical(weights[0], weights[2])


def test_no_strength_beside_replay_is_replay_bit_for_bit() -> None:
    weights = []
    for strategy in (
        Replay(9),
        Chain(Replay(9), SynapticIntelligence(c=0)),
        Chain(SynapticIntelligence(c=0), Replay(9)),
    ):
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=3))
        learn(learner, class_stream())
        weights.append(dict(learner.model.state_dict()))
    assert_identical(weights[0], weights[1])
    assert_identical(weights[0], weights[2])


@pytest.mark.parametrize("clamp", ["accumulated", "experience", "none"])
def test_importance_is_never_negative_unless_left_uncut(clamp: Any) -> None:
    """Adam so fast that some parameters end up having raised the loss."""
    si = SynapticIntelligence(c=0.5, xi=0.02, clamp=clamp)
    settings = Training(batch_size=4, epochs=4, lr=0.5)
    learn(Learner(mlp(dtype=torch.float64), si, heads(), settings), class_stream(dtype=torch.float64, noise=2.5))
    omegas = torch.cat([value.flatten() for name, value in si.state_dict().items() if name.startswith("importance.")])
    assert (float(omegas.min()) < 0) == (clamp == "none")
    assert float(omegas.max()) > 0


def trained(si: SynapticIntelligence, model: nn.Module, steps: int = 5, lr: float = 0.05) -> None:
    """A loop of one's own on some random regression."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for seed in range(steps):
        backward(model, seed)
        si.observe(Step(model))
        si.adjust(Step(model))
        optimizer.step()
        si.after_step(Step(model, lr=lr))


def backward(model: nn.Module, seed: int = 0) -> None:
    model.zero_grad()
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed))
    (model(x) - x).square().mean().backward()


def test_the_pull_at_the_reference_is_exactly_zero() -> None:
    model, si = mlp(), SynapticIntelligence(c=100.0)
    trained(si, model)
    si.consolidate(model)
    si.begin(model)
    backward(model)
    before = [p.grad.clone() for p in model.parameters()]
    si.observe(Step(model))
    si.adjust(Step(model))
    for gradient, p in zip(before, model.parameters(), strict=True):
        assert torch.equal(gradient, p.grad)


def test_the_pull_is_twice_c_omega_times_the_displacement() -> None:
    model, si = mlp(), SynapticIntelligence(c=3.0)
    trained(si, model)
    si.consolidate(model)
    trained(si, model, steps=2)
    backward(model)
    before = {name: p.grad.clone() for name, p in model.named_parameters()}
    si.observe(Step(model))
    si.adjust(Step(model))
    state = si.state_dict()
    for name, p in model.named_parameters():
        pull = 2 * 3.0 * state[f"importance.{name}"] * (p.detach() - state[f"reference.{name}"])
        assert float(pull.abs().max()) > 0
        torch.testing.assert_close(p.grad - before[name], pull, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_parameter_without_gradient_rests(weight_decay: float) -> None:
    """Zeroes in place of None would let AdamW's weight decay and momentum move it."""
    model = nn.ModuleDict({"used": nn.Linear(3, 2), "unused": nn.Linear(3, 2)})
    si = SynapticIntelligence(c=1.0)

    def step(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> None:
        optimizer.zero_grad()
        sum(model[name](torch.ones(4, 3)).square().sum() for name in names).backward()
        si.observe(Step(model))
        si.adjust(Step(model))
        optimizer.step()
        si.after_step(Step(model))

    both = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(both, ("used", "unused"))
    si.consolidate(model)
    model["unused"].weight.data += 1  # away from the reference, so that there would be a pull
    si.line_up(model)
    si.displacement = [p.detach() - r for p, _, _, r in si.bound]
    before = copy.deepcopy(model.state_dict())
    one_head = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=weight_decay)
    for _ in range(3):
        step(one_head, ("used",))
    assert model["unused"].weight.grad is None
    assert torch.equal(model["unused"].weight, before["unused.weight"])
    assert torch.equal(si.state_dict()["path.unused.weight"], torch.zeros(2, 3))
    assert not torch.equal(model["used"].weight, before["used.weight"])
    assert float(si.state_dict()["path.used.weight"].abs().max()) > 0


def test_clipping_in_place_is_refused() -> None:
    model, si = mlp(), SynapticIntelligence()
    backward(model)
    si.observe(Step(model))
    si.adjust(Step(model))
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="clip_gradients, or SynapticIntelligence"):
        si.after_step(Step(model))


def test_nesterov_momentum_in_place_is_refused() -> None:
    model, si = mlp(), SynapticIntelligence()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, foreach=True)
    backward(model)
    si.observe(Step(model))
    si.adjust(Step(model))
    optimizer.step()
    with pytest.raises(RuntimeError, match="Nesterov"):
        si.after_step(Step(model))


def test_a_copied_gradient_may_be_changed_in_place() -> None:
    """The path is then that of the unchanged gradient times the step the changed one led to."""
    model, si = mlp(), SynapticIntelligence(copy_gradient=True)
    si.begin(model)
    backward(model)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    si.observe(Step(model))
    si.adjust(Step(model))
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    torch.optim.SGD(model.parameters(), lr=10.0).step()
    si.after_step(Step(model))
    for name, p in model.named_parameters():
        expected = -gradients[name] * (p.detach() - before[name])
        torch.testing.assert_close(si.state_dict()[f"path.{name}"], expected, rtol=1e-2, atol=1e-8)


class Witness(Strategy):
    """Writes down what an observer is shown and how the parameters moved; adds -g * step by itself."""

    def __init__(self) -> None:
        self.path: dict[str, Tensor] = {}
        self.batches: list[Batch] = []

    def observe(self, step: Step) -> None:
        assert step.batch is not None
        assert step.objective is not None
        self.batches.append(step.batch)
        self.before = {name: p.detach().clone() for name, p in step.model.named_parameters()}
        output = step.objective.forward(step.model, step.batch)
        loss = (step.objective.loss(output, step.batch) * step.batch.weight).sum()
        names, params = zip(*step.model.named_parameters(), strict=True)
        self.gradient = dict(zip(names, torch.autograd.grad(loss, params), strict=True))

    def after_step(self, step: Step) -> None:
        for name, p in step.model.named_parameters():
            moved = -self.gradient[name] * (p.detach() - self.before[name])
            self.path[name] = self.path.get(name, torch.zeros_like(moved)) + moved


def test_extra_terms_stay_out_of_the_path_and_replayed_samples_are_in_it() -> None:
    si, witness = SynapticIntelligence(c=1.0), Witness()
    chain = Chain(Replay(12), SmallerWeights(factor=0.5), si, witness)
    learner = Learner(mlp(), chain, heads(), Training(batch_size=16, epochs=2, lr=0.02))
    stream = class_stream()
    learn(learner, stream[:1])
    witness.path = {}
    learn(learner, stream, events=5)
    assert {len(batch) for batch in witness.batches[-5:]} == {28, 16}  # 16 + 12 and 8 + 8 samples
    plain = Learner(mlp(), Chain(SynapticIntelligence(c=1.0), Replay(12)), heads(), learner.training)
    learn(plain, stream[:1])
    learn(plain, stream, events=5)
    for name, path in witness.path.items():
        torch.testing.assert_close(si.state_dict()[f"path.{name}"], path, rtol=1e-4, atol=1e-6)
    differences = [
        (p - q).abs().max().item() for p, q in zip(*(m.model.parameters() for m in (learner, plain)), strict=True)
    ]
    assert max(differences) > 1e-3  # the extra term did move the parameters


def test_without_boundaries() -> None:
    """No begin anywhere: the first step begins, and consolidating needs no experience."""
    ours, theirs = mlp(), mlp()
    implicit, explicit = SynapticIntelligence(c=1.0), SynapticIntelligence(c=1.0)
    for _ in range(3):
        explicit.begin(theirs)
        trained(explicit, theirs)
        explicit.consolidate(theirs)
        trained(implicit, ours)
        implicit.consolidate(ours)
    assert_identical(dict(ours.state_dict()), dict(theirs.state_dict()))
    assert_identical(implicit.state_dict(), explicit.state_dict())
    assert float(implicit.state_dict()["importance.0.weight"].max()) > 0


def test_state_and_work_do_not_grow_with_the_stream() -> None:
    model, si = mlp(), SynapticIntelligence(c=1.0)
    sizes, calls = [], []
    for _ in range(4):
        trained(si, model)
        si.consolidate(model)
        with Operations() as operations:
            trained(si, model, steps=1)
        tensors = [value for value in si.state_dict().values() if isinstance(value, Tensor)]
        sizes.append((len(tensors), sum(t.numel() * t.element_size() for t in tensors)))
        calls.append(len(operations.names))
    parameters = sum(p.numel() for p in model.parameters())
    assert set(sizes) == {(3 * 4, 3 * 4 * parameters)}  # path, importance, reference of four float32 parameters
    assert len(set(calls)) == 1


class Operations(TorchDispatchMode):
    """Writes down the names of all operations that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("pull", ["explicit", "proximal"])
def test_no_step_waits_for_a_number(pull: Any) -> None:
    """Reading a number from an accelerator stops the host until the device is done."""
    model, si = mlp(), SynapticIntelligence(c=1.0, pull=pull)
    trained(si, model)
    si.consolidate(model)
    backward(model)
    with Operations() as operations:
        si.observe(Step(model))
        si.adjust(Step(model))
        si.after_step(Step(model, lr=0.1))
        si.consolidate(model)
    assert len(operations.names) > 4
    assert not {"_local_scalar_dense", "item", "is_nonzero", "_to_copy", "equal"} & set(operations.names)


@pytest.mark.parametrize("pull", ["explicit", "proximal"])
def test_nothing_is_copied_to_the_host(pull: Any) -> None:
    """On the meta device there are no numbers at all: reading or copying one out is an error."""
    model, si = mlp().to("meta"), SynapticIntelligence(c=1.0, pull=pull)
    si.begin(model)
    for _ in range(2):
        for p in model.parameters():
            p.grad = torch.empty_like(p)
        si.observe(Step(model))
        si.adjust(Step(model))
        si.after_step(Step(model, lr=0.1))
        si.consolidate(model)
    tensors = [value for value in si.state_dict().values() if isinstance(value, Tensor)]
    assert {t.device.type for t in tensors} == {"meta"}


def test_a_step_takes_few_operations() -> None:
    """Four passes over the memory, nothing more; two of them into memory that is already there."""
    model, si = mlp(), SynapticIntelligence(c=1.0)
    trained(si, model)
    si.consolidate(model)
    backward(model)
    with Operations() as operations:
        si.observe(Step(model))
        si.adjust(Step(model))
        si.after_step(Step(model))
    count = len(list(model.parameters()))
    assert operations.names == ["addcmul"] * count + ["sub"] * count + ["_foreach_sub_", "_foreach_addcmul_"]


def test_proximal_pull_stays_stable_where_the_explicit_one_diverges() -> None:
    def distance(pull: Any) -> float:
        model, si = Point([0.0]), SynapticIntelligence(c=1e4, pull=pull)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for target in (1.0, -1.0):
            for _ in range(60):
                optimizer.zero_grad()
                (model.theta - target).square().sum().backward()
                si.observe(Step(model))
                si.adjust(Step(model))
                optimizer.step()
                si.after_step(Step(model, lr=0.1))
            si.consolidate(model)
        return abs(model.theta.item() - 1.0)

    assert not distance("explicit") < 1e6
    assert distance("proximal") < 1e-2


def test_proximal_pull_wants_the_learning_rate() -> None:
    model, si = mlp(), SynapticIntelligence(pull="proximal")
    trained(si, model)
    si.consolidate(model)
    backward(model)
    si.observe(Step(model))
    with pytest.raises(ValueError, match="lr="):
        si.after_step(Step(model))


@pytest.mark.filterwarnings("default")
def test_a_pull_too_stiff_for_sgd_is_announced() -> None:
    si = SynapticIntelligence(c=1e5)
    learner = Learner(mlp(), si, heads(), Training(optimizer="sgd", lr=0.1))
    with pytest.warns(UserWarning, match="proximal"):
        learn(learner, class_stream()[:1])
    assert si.stiffness == pytest.approx(
        2e5 * max(float(v.max()) for k, v in si.state_dict().items() if k.startswith("importance.")), rel=1e-6
    )


def test_a_step_that_was_skipped_leaves_nothing_behind() -> None:
    """In a loop of one's own: adjust, then no step because the loss was no number."""
    plain, model = mlp(), mlp()
    si, twin = SynapticIntelligence(c=1.0), SynapticIntelligence(c=1.0)
    backward(model)
    for p in model.parameters():
        assert p.grad is not None
        p.grad = p.grad * float("inf")
    si.adjust(Step(model))
    model.zero_grad()
    for strategy, network in ((si, model), (twin, plain)):
        trained(strategy, network)
    mine, theirs = si.state_dict(), twin.state_dict()
    assert all(torch.equal(mine[name], value) for name, value in theirs.items() if isinstance(value, torch.Tensor))


def test_a_step_without_gradients_says_what_is_missing() -> None:
    model, si = mlp(), SynapticIntelligence()
    si.begin(model)
    with pytest.raises(RuntimeError, match="call adjust between backward and the step"):
        si.after_step(Step(model))


@pytest.mark.parametrize("options", [{"clamp": "relu"}, {"pull": "prox"}, {"first_reference": "one"}])
def test_unknown_ways_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        SynapticIntelligence(**options)


@pytest.mark.parametrize("options", [{"c": -1.0}, {"c": float("nan")}, {"xi": 0.0}, {"xi": float("nan")}])
def test_impossible_settings_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="c must be"):
        SynapticIntelligence(**options)


def test_a_copied_strategy_goes_on_like_the_original() -> None:
    """A plain deep copy would look at copies of the parameters, which nobody moves, and silently do nothing."""
    model, si = mlp(), SynapticIntelligence(c=1.0)
    trained(si, model)
    si.consolidate(model)
    twin_model, twin = copy.deepcopy(model), copy.deepcopy(si)
    again = copy.deepcopy(si)
    trained(si, model)
    trained(twin, twin_model)
    assert_identical(si.state_dict(), twin.state_dict())
    trained(again, model)
    assert float(again.state_dict()["path.0.weight"].abs().max()) > 0


def test_everything_of_a_run_is_in_its_state() -> None:
    learner = Learner(mlp(), SynapticIntelligence(), heads(), Training(batch_size=16))
    learn(learner, class_stream(), events=2)
    names = {name for name in everything(learner) if name.startswith("strategy")}
    kinds = ("path", "importance", "reference")
    parameters = ("0.weight", "0.bias", "2.weight", "2.bias")
    assert names == {"strategy experiences", *(f"strategy {k}.{p}" for k in kinds for p in parameters)}
