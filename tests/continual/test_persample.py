"""The Fisher information layer by layer agrees with the loop over samples, and gives way to it where it must."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.continual import Batch, Classification, Draw, Objective, Output, TensorDataset, fisher, persample
from seamwise.continual.fisher import diagonal_fisher
from seamwise.continual.persample import plain_layers
from tests.continual.problems import Pixels, mlp, tiny_unet

KEY = Draw(("t",))


def slowly(model: nn.Module, objective: Objective, data: TensorDataset) -> dict[str, Tensor]:
    """The loop over single samples, in the order of the data."""
    training = model.training
    model.eval()
    found = fisher._one_by_one(model, objective, data, KEY, torch.arange(len(data)))
    model.train(training)
    return found


@pytest.fixture
def looped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples went through the loop, call by call; two are the comparison at the start."""
    counts: list[int] = []
    loop = fisher._one_by_one

    def counted(*args: object) -> dict[str, Tensor]:
        counts.append(len(args[-1]))  # type: ignore[arg-type]
        return loop(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(fisher, "_one_by_one", counted)
    return counts


def vectors(samples: int = 30, dtype: torch.dtype = torch.float64, task: int = 0) -> TensorDataset:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(samples, 6, generator=generator, dtype=torch.float64).to(dtype)
    return TensorDataset(x, torch.zeros(samples, dtype=torch.int64), task)


def pictures(samples: int = 12, dtype: torch.dtype = torch.float64) -> TensorDataset:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(samples, 2, 9, 8, generator=generator, dtype=torch.float64).to(dtype)
    return TensorDataset(x, torch.zeros(samples, dtype=torch.int64))


def convnet() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding="same"),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 5, (3, 2), padding=(1, 0), stride=(2, 1), bias=False),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.25),
        nn.Conv2d(5, 3, 3, dilation=2, padding="valid"),
        nn.MaxPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.LazyLinear(7),
        nn.Tanh(),
        nn.Linear(7, 4),
    )


def check(ours: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float) -> None:
    """Relative to each tensor's largest entry."""
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        largest = float(theirs[name].max())
        assert largest > 0
        assert float((value - theirs[name]).abs().max()) <= tolerance * largest, name
        assert value.stride() == theirs[name].stride()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("kind", ["mlp", "heads", "unknown task", "convnet", "channels last", "one layer", "frozen"])
def test_it_agrees_with_the_loop(kind: str, dtype: torch.dtype, tolerance: float, looped: list[int]) -> None:
    model, data, objective = mlp(hidden=9), vectors(dtype=dtype), Classification()
    if kind in ("heads", "unknown task"):
        data = vectors(dtype=dtype, task=1 if kind == "heads" else 9)
        objective = Classification({0: (0, 1), 1: (2, 4, 5)})
    elif kind in ("convnet", "channels last"):
        model, data = convnet(), pictures(dtype=dtype)
        model(torch.zeros(1, 2, 9, 8))
        if kind == "channels last":
            model = model.to(memory_format=torch.channels_last)
    elif kind == "one layer":
        model = nn.Linear(6, 3)
    elif kind == "frozen":
        model[0].weight.requires_grad_(False)
        model[2].bias.requires_grad_(False)
    model = model.to(dtype).train()
    theirs = slowly(model, objective, data)
    looped.clear()
    ours = diagonal_fisher(model, objective, data, KEY)
    assert looped == [2]
    if kind == "heads":
        for name in ("2.weight", "2.bias"):
            assert float(ours[name][[0, 1, 3]].abs().max()) == 0.0
    check(ours, theirs, tolerance)
    assert model.training


def test_dropout_is_off_and_the_random_state_untouched() -> None:
    model, data = convnet().train(), pictures(dtype=torch.float32)
    model(data.x)
    state = torch.get_rng_state()
    one = diagonal_fisher(model, Classification(), data, KEY)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    two = diagonal_fisher(model, Classification(), data, KEY)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(p.grad is None for p in model.parameters())
    assert all(not module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(("chunk", "largest"), [(1, 1 << 24), (5, 1 << 24), (30, 1), (7, 3000)])
def test_chunks_add_up(chunk: int, largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures()
    model = convnet()
    model(torch.zeros(1, 2, 9, 8))
    model = model.double()
    theirs = slowly(model, Classification(), data)
    monkeypatch.setattr(fisher, "CHUNK", chunk)
    monkeypatch.setattr(persample, "LARGEST", largest)
    check(diagonal_fisher(model, Classification(), data, KEY), theirs, 1e-10)


def test_a_chosen_number_of_samples(looped: list[int]) -> None:
    model, data = mlp().double(), vectors()
    some = diagonal_fisher(model, Classification(), data, KEY, samples=7)
    order = torch.randperm(30, generator=KEY.of("samples").generator())[:7]
    check(some, slowly(model, Classification(), TensorDataset(data.x[order], data.y[order])), 1e-10)
    diagonal_fisher(model, Classification(), data, KEY, samples=1)
    assert looped == [2, 7, 1]


class Twice(nn.Module):
    """One layer goes over the sample twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.one(self.one(x).tanh()).tanh())


class ByHand(Twice):
    """A layer's weights are used beside the layer."""

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.one(x).tanh()) + F.linear(x, self.out.weight)


class Mixing(Twice):
    """Samples look at each other."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.out(x - 0.5 * x.mean(0))


class Tied(Twice):
    """Two layers share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.two = nn.Linear(6, 6)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.two(self.one(x).tanh()).tanh())


class Sequences(Twice):
    """A layer goes over several vectors of a sample."""

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.one(torch.stack([x, -2 * x], 1)).tanh().mean(1))


class Idle(Twice):
    """A layer is not used, and another's result is thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.vain = nn.Linear(2, 2), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.vain(x)
        return self.out(self.one(x).tanh())


@pytest.mark.parametrize("kind", [Twice, ByHand, Mixing, Tied, Sequences])
def test_other_uses_of_the_layers_go_through_the_loop(kind: type[nn.Module], looped: list[int]) -> None:
    torch.manual_seed(0)
    model = kind().double()
    ours = diagonal_fisher(model, Classification(), vectors(), KEY)
    assert looped[-1] == 30
    check(ours, slowly(model, Classification(), vectors()), 1e-10)


def test_layers_without_effect_have_no_information(looped: list[int]) -> None:
    ours = diagonal_fisher(Idle().double(), Classification(), vectors(), KEY)
    assert looped == [2]
    for name, value in ours.items():
        assert (float(value.abs().max()) == 0) == name.startswith(("idle", "vain"))


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        (nn.Linear(2, 2), True),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2, affine=False), nn.Flatten(), nn.Linear(2, 2)), True),
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), False),
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2).requires_grad_(False)), True),
        (nn.Conv2d(2, 2, 3, groups=2), False),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), False),
        (nn.Conv2d(2, 2, 2, padding="same"), False),
        (nn.Conv2d(2, 2, (3, 5), padding="same", dilation=2), True),
        (nn.ConvTranspose2d(2, 2, 2), False),
        (nn.Conv1d(2, 2, 3), False),
        (nn.ReLU(), False),
        (Tied(), False),
        (tiny_unet(), False),
    ],
)
def test_which_networks_are_plain(model: nn.Module, plain: bool) -> None:
    assert (plain_layers(model) is not None) == plain


def test_masks_stay_with_the_loop_to_the_last_bit(looped: list[int]) -> None:
    """Segmentation draws labels for each picture by itself, and none of its numbers may move."""
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(5, 2, 8, 8, generator=generator), torch.zeros(5, 8, 8, dtype=torch.int64))
    for model in (tiny_unet(), nn.Conv2d(2, 3, 3, padding=1)):
        order = torch.randperm(5, generator=KEY.of("samples").generator())
        model.eval()
        theirs = fisher._one_by_one(model, Pixels(), data, KEY, order)
        ours = diagonal_fisher(model, Pixels(), data, KEY)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert looped == [5, 5, 5, 5]


def test_an_objective_may_answer_with_few_classes_out_of_reach_for_some_samples() -> None:
    """Rows of several tasks in one chunk: each class counts only where it is possible."""

    class Alternating(Classification):
        def forward(self, model: nn.Module, batch: Batch, features: bool = False) -> Output:
            task = (batch.index % 2).to(batch.task.device)
            return super().forward(model, Batch(batch.x, batch.y, task, batch.index, batch.weight), features)

    objective, model = Alternating({0: (0, 1), 1: (1, 2, 5)}), mlp().double()
    ours = diagonal_fisher(model, objective, vectors(), KEY)
    check({n: v for n, v in ours.items() if n[0] == "0"}, _part(slowly(model, objective, vectors()), "0"), 1e-10)
    assert [bool(v.any()) for v in ours["2.weight"]] == [True, True, True, False, False, True]


def _part(found: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name: value for name, value in found.items() if name.startswith(start)}


@pytest.mark.parametrize(("stride", "size"), [(1, 1), (1, 3), (2, 1), (2, 3)])
def test_a_single_convolution_by_hand(stride: int, size: int) -> None:
    """p_1 (gradient of log p_1)^2 + p_0 (gradient of log p_0)^2 from torch's own convolution, sample by sample."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(2, 2, size, stride=stride), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    data = pictures(4)
    expected = torch.zeros_like(model[0].weight)
    for x in data.x:
        log_p = model(x[None]).log_softmax(1)[0]
        for k in range(2):
            (slope,) = torch.autograd.grad(log_p[k], [model[0].weight], retain_graph=True)
            expected += log_p[k].exp().detach() * slope.square() / 4
    torch.testing.assert_close(
        diagonal_fisher(model, Classification(), data, KEY)["0.weight"], expected.detach(), rtol=1e-10, atol=1e-16
    )
