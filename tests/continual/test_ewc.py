"""Elastic Weight Consolidation: the exact diagonal Fisher information and the pull it makes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seamwise.continual import (
    Classification,
    Draw,
    Learner,
    OnlineEWC,
    Step,
    TensorDataset,
    Training,
)
from seamwise.continual.fisher import diagonal_fisher
from tests.continual.problems import Pixels, class_stream, heads, learn, mlp, strategy_of, through_disk, tiny_unet


def data(samples: int = 12, features: int = 4, classes: int = 3) -> TensorDataset:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    return TensorDataset(x, torch.arange(samples) % classes)


@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 2)])
def test_softmax_regression_in_closed_form(classes: tuple[int, ...]) -> None:
    """sum_k p_k (delta_jk - p_j)^2 = p_j (1 - p_j): F[W_ji] = mean of x_i^2 p_j (1 - p_j)."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    dataset = data()
    fisher = diagonal_fisher(model, Classification({0: classes}), dataset, Draw(("t",)))
    x, W, b = dataset.x.numpy(), model.weight.detach().numpy(), model.bias.detach().numpy()
    p = np.zeros((len(x), 3))
    p[:, list(classes)] = np.exp(x @ W.T + b)[:, list(classes)]
    p /= p.sum(1, keepdims=True)
    spread = p * (1 - p)
    np.testing.assert_allclose(fisher["weight"].numpy(), spread.T @ x**2 / len(x), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(fisher["bias"].numpy(), spread.mean(0), rtol=1e-10, atol=1e-15)


def test_logistic_regression_in_closed_form() -> None:
    """Two classes whose logits are (0, x w): F[w] = mean of x^2 s (1 - s)."""

    class Logistic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([0.3, -1.2, 0.0, 2.0], dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            z = x @ self.w
            return torch.stack([torch.zeros_like(z), z], dim=1)

    model, dataset = Logistic(), data(classes=2)
    s = 1 / (1 + np.exp(-dataset.x.numpy() @ model.w.detach().numpy()))
    expected = ((s * (1 - s))[:, None] * dataset.x.numpy() ** 2).mean(0)
    fisher = diagonal_fisher(model, Classification(), dataset, Draw(("t",)))
    np.testing.assert_allclose(fisher["w"].numpy(), expected, rtol=1e-10)


def test_a_network_against_brute_force_over_all_classes() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    dataset = data()
    weights = dict(model.named_parameters())
    expected = {name: torch.zeros_like(p) for name, p in weights.items()}
    for x in dataset.x:

        def log_p(w: dict[str, Tensor], x: Tensor = x) -> Tensor:
            return torch.func.functional_call(model, w, (x[None],)).log_softmax(1)[0]

        detached = {name: p.detach() for name, p in weights.items()}
        jacobian = torch.func.jacrev(log_p)(detached)
        p = log_p(detached).exp()
        for name, rows in jacobian.items():
            expected[name] += torch.einsum("k,k...->...", p, rows.square()).detach() / len(dataset)
    fisher = diagonal_fisher(model, Classification(), dataset, Draw(("t",)))
    for name, value in fisher.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-15)


def test_fewer_samples_are_an_average_over_a_subset() -> None:
    torch.manual_seed(0)
    model, dataset = nn.Linear(4, 3).double(), data()
    some = diagonal_fisher(model, Classification(), dataset, Draw(("t",)), samples=3)["bias"]
    singles = [
        diagonal_fisher(model, Classification(), TensorDataset(dataset.x[i : i + 1], dataset.y[:1]), Draw(("t",)))[
            "bias"
        ]
        for i in range(len(dataset))
    ]
    means = torch.stack([torch.stack(chosen).mean(0) for chosen in combinations(singles, 3)])
    assert float((means - some).abs().amax(1).min()) < 1e-14
    other = diagonal_fisher(model, Classification(), dataset, Draw(("u",)), samples=3)["bias"]
    assert not torch.equal(some, other)


class Pixelwise(nn.Module):
    """A 1x1 convolution from one channel to two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1).double()
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([0.5, -0.7]).view(2, 1, 1, 1))
            self.conv.bias.copy_(torch.tensor([0.1, 0.3]))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def two_pixels(copies: int = 1) -> tuple[Tensor, Tensor]:
    x = torch.tensor([1.0, -0.5], dtype=torch.float64).view(1, 1, 1, 2).expand(copies, -1, -1, -1)
    return x.clone(), torch.zeros(copies, 1, 2, dtype=torch.int64)


def squared_gradients(model: nn.Module, x: Tensor, labels: list[int], pixels: list[int]) -> tuple[float, Tensor]:
    """Probability of a labelling of the chosen pixels, and the squared gradient of its mean log-likelihood."""
    log_p = model(x).log_softmax(1)[0, :, 0]
    chosen = torch.stack([log_p[label, pixel] for label, pixel in zip(labels, pixels, strict=True)])
    model.zero_grad()
    chosen.mean().backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    return float(chosen.detach().sum().exp()), gradient.square()


def test_segmentation_draws_have_the_enumerated_expectation() -> None:
    model = Pixelwise()
    x, _ = two_pixels()
    terms = [squared_gradients(model, x, [a, b], [0, 1]) for a in (0, 1) for b in (0, 1)]
    assert sum(p for p, _ in terms) == pytest.approx(1)
    exact = sum(p * square for p, square in terms)
    spread = (sum(p * (square - exact) ** 2 for p, square in terms)).sqrt()
    draws = 2000
    fisher = diagonal_fisher(model, Pixels(), TensorDataset(*two_pixels(draws)), Draw(("t",)))
    estimate = torch.cat([value.flatten() for value in fisher.values()])
    assert bool(((estimate - exact).abs() < 4 * spread / draws**0.5).all())
    assert bool((4 * spread / draws**0.5 < 0.12 * exact).all())  # the test is sharp


def test_ignored_pixels_do_not_count() -> None:
    model = Pixelwise()
    x, y = two_pixels()
    y[0, 0, 1] = 255
    fisher = diagonal_fisher(model, Pixels(ignore=255), TensorDataset(x, y), Draw(("t",)))
    drawn = torch.cat([value.flatten() for value in fisher.values()])
    possible = [squared_gradients(model, x, [label], [0])[1] for label in (0, 1)]
    assert min(float((drawn - square).abs().max()) for square in possible) < 1e-14
    y[:] = 255
    nothing = diagonal_fisher(model, Pixels(ignore=255), TensorDataset(x, y), Draw(("t",)))
    assert all(float(value.abs().max()) == 0 for value in nothing.values())


def test_the_model_comes_back_as_it_was() -> None:
    model = tiny_unet()
    model.train()
    model.norm.eval()
    modes = [module.training for module in model.modules()]
    before = through_disk(dict(model.state_dict()))
    generator = torch.Generator().manual_seed(0)
    dataset = TensorDataset(torch.randn(3, 2, 8, 8, generator=generator), torch.zeros(3, 8, 8, dtype=torch.int64))
    state = torch.get_rng_state()
    first = diagonal_fisher(model, Pixels(), dataset, Draw(("t",)))
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    torch.manual_seed(123)
    second = diagonal_fisher(model, Pixels(), dataset, Draw(("t",)))  # no dropout, no global randomness
    assert all(torch.equal(first[name], second[name]) for name in first)


def consolidated(decay: float, times: int) -> tuple[OnlineEWC, nn.Module, list[dict[str, Tensor]]]:
    """An EWC that consolidated the same model on different data, and the Fisher information of each."""
    model = mlp()
    ewc = OnlineEWC(strength=2.0, decay=decay, samples=None)
    alone = []
    for experience in class_stream(samples=6)[:times]:
        ewc.consolidate(model, heads(), experience)
        alone.append(diagonal_fisher(model, heads(), experience.train, Draw(("t",))))
    return ewc, model, alone


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.0])
def test_older_information_decays(decay: float) -> None:
    ewc, _, alone = consolidated(decay, 3)
    for name in alone[0]:
        expected = decay**2 * alone[0][name] + decay * alone[1][name] + alone[2][name]
        torch.testing.assert_close(ewc.state_dict()[f"fisher.{name}"], expected, rtol=1e-4, atol=1e-8)


def test_the_pull_by_hand() -> None:
    """The penalty is lambda/2 F (theta - theta*)^2: the pull is lambda F (theta - theta*)."""
    ewc, model, alone = consolidated(1.0, 1)
    reference = through_disk(dict(model.state_dict()))
    with torch.no_grad():
        for place, p in enumerate(model.parameters()):
            p.add_(0.1 * (place + 1))
            p.grad = torch.full_like(p, 0.5)
    model[2].bias.grad = None
    ewc.adjust(Step(model))
    assert model[2].bias.grad is None
    for name, p in model.named_parameters():
        if p.grad is not None:
            expected = 0.5 + 2.0 * alone[0][name] * (p.detach() - reference[name])
            torch.testing.assert_close(p.grad, expected, rtol=1e-5, atol=1e-7)
    assert ewc.stiffness == pytest.approx(2.0 * max(float(f.max()) for f in alone[0].values()), rel=1e-5)


def test_the_pull_follows_a_layer_that_was_replaced_as_the_model_grew() -> None:
    ewc, model, alone = consolidated(1.0, 1)
    reference = through_disk(dict(model.state_dict()))
    model[2] = nn.Linear(model[2].in_features, model[2].out_features)
    ewc.begin(model)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    ewc.adjust(Step(model))
    for name, p in model.named_parameters():
        assert p.grad is not None
        expected = 2.0 * alone[0][name] * (p.detach() - reference[name])
        torch.testing.assert_close(p.grad, expected, rtol=1e-5, atol=1e-7)
    assert float(model[2].weight.grad.abs().max()) > 0
    model[2] = nn.Linear(model[2].in_features, model[2].out_features + 1)
    with pytest.raises(ValueError, match="another network"):
        ewc.begin(model)


@pytest.mark.parametrize("samples", [0, -1])
def test_an_impossible_number_of_samples_is_refused_at_once(samples: int) -> None:
    with pytest.raises(ValueError, match="samples >= 1"):
        OnlineEWC(samples=samples)


@pytest.mark.parametrize("strength", [0.0, 5.0])
def test_no_strength_is_finetuning_bit_for_bit(strength: float) -> None:
    results = []
    for strategy in (strategy_of("finetuning"), OnlineEWC(strength=strength, samples=4)):
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=2, lr=0.05))
        learn(learner, class_stream())
        results.append(torch.cat([p.detach().flatten() for p in learner.model.parameters()]))
    assert torch.equal(*results) == (strength == 0)


def test_consolidating_needs_data() -> None:
    with pytest.raises(ValueError, match="experience's data"):
        OnlineEWC().consolidate(mlp())
