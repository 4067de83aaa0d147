"""Do importances measured along the way agree with measures taken at the end: the Fisher information and the Hessian?

The paper claims it without a figure. Omega of one task is held against the exact diagonal Fisher information of a
perceptron that has learned digits, and in small, where it can be had whole, against the diagonal of the Hessian.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from scipy import stats
from torch import Tensor, nn

from seamwise.continual import Classification, Draw, Experience, Learner, SynapticIntelligence, Training
from seamwise.continual.fisher import diagonal_fisher
from seamwise.experiments.paper.networks import perceptron
from seamwise.experiments.paper.rows import Claim, claims_table, page_parts
from seamwise.experiments.paper.tasks import Pixels
from seamwise.experiments.paper.theory.descent import one_thread
from seamwise.experiments.sets import LabelledSet, open_set
from seamwise.experiments.tables import markdown_table
from seamwise.figures.markup import Markup
from seamwise.figures.scatter import scatter

Result = Mapping[str, Any]
SHOWN = 400  # points of a picture


def compute(seed: int, quick: bool, data: Path | None) -> Iterator[tuple[float, str] | dict[str, Any]]:
    """Trains both networks and correlates, weight by weight; with one thread, so that the figures hold anywhere."""
    with one_thread():
        yield from _compute(seed, quick, data)


def _compute(seed: int, quick: bool, data: Path | None) -> Iterator[tuple[float, str] | dict[str, Any]]:
    found, name = (open_set("digits", None), "digits") if quick else (open_set("mnist", data), "MNIST")
    yield 0.0, f"{name}: learning"
    model, omega, samples = _learn(found, (32,) if quick else (256, 256), seed, epochs=20 if quick else 5)
    yield 0.5, f"{name}: Fisher information"
    count = len(samples) if quick else 5000
    fisher = diagonal_fisher(model, Classification(), samples, Draw(("endpoint", seed)), samples=count)
    layers = [_compare(f"{name}, {layer}", omega[layer], fisher[layer], "Fisher") for layer in _weights(model)]
    yield 0.7, "digits: Hessian"
    model, omega, samples = _learn(open_set("digits", None), (16,), seed, epochs=30)
    hessian = hessian_diagonal(model, samples)
    layers += [_compare(f"digits, {layer}", omega[layer], hessian[layer], "Hessian") for layer in _weights(model)]
    yield {"layers": layers}


def _learn(
    found: LabelledSet, hidden: tuple[int, ...], seed: int, epochs: int
) -> tuple[nn.Module, dict[str, Tensor], Pixels]:
    samples = Pixels(found.x.flatten(1), found.y, 0)
    model = perceptron(samples.x.shape[1], hidden, len(found.classes), seed=seed)
    si = SynapticIntelligence(c=0.0, xi=1e-3)
    learner = Learner(model, si, Classification(), Training(batch_size=64, epochs=epochs), seed=seed)
    for _ in learner.fit([Experience(0, found.name, samples)]):
        pass
    omega = {
        name.removeprefix("importance."): value for name, value in si.state_dict().items() if "importance." in name
    }
    return model, omega, samples


def hessian_diagonal(model: nn.Module, samples: Pixels) -> dict[str, Tensor]:
    """Second derivatives of the mean loss by each parameter, one Hessian-vector product each: for small networks."""
    batch = samples.batch(torch.arange(len(samples)))
    params = dict(model.named_parameters())
    loss = Classification().loss(Classification().forward(model, batch), batch).mean()
    gradients = torch.autograd.grad(loss, list(params.values()), create_graph=True)
    diagonal = {}
    for (name, p), gradient in zip(params.items(), gradients, strict=True):
        entries = [
            torch.autograd.grad(g, p, retain_graph=True)[0].flatten()[i] for i, g in enumerate(gradient.flatten())
        ]
        diagonal[name] = torch.stack(entries).view_as(p).detach()
    return diagonal


def _weights(model: nn.Module) -> list[str]:
    return [name for name, p in model.named_parameters() if p.ndim > 1]


def _compare(name: str, omega: Tensor, endpoint: Tensor, measure: str) -> dict[str, Any]:
    """Rank and linear correlation over the weights of a layer that an input reaches, and some of them to draw."""
    a, b = omega.flatten().double(), endpoint.flatten().double()
    reached = (b != 0).nonzero().flatten()
    a, b = a[reached], b[reached]
    some = torch.linspace(0, len(a) - 1, min(SHOWN, len(a))).long()
    rank, linear = stats.spearmanr(a.numpy(), b.numpy()), stats.pearsonr(a.numpy(), b.numpy())
    return {
        "layer": name,
        "measure": measure,
        "weights": len(a),
        "rank_correlation": float(rank.statistic),
        "correlation": float(linear.statistic),
        "points": [[float(x), float(y)] for x, y in zip(a[some], b[some], strict=True)],
    }


def markdown(result: Result) -> list[str]:
    table = [
        [
            layer["layer"],
            layer["measure"],
            str(layer["weights"]),
            f"{layer['rank_correlation']:.3f}",
            f"{layer['correlation']:.3f}",
        ]
        for layer in result["layers"]
    ]
    return page_parts(
        result,
        "Omega of one task (xi = 1e-3, one network each) against a measure taken when the task is learned, over all "
        "weights of a layer that an input reaches.",
        markdown_table(["layer", "measure", "weights", "rank correlation", "correlation"], table),
        claims_table(claims(result)),
    )


def claims(result: Result) -> list[Claim]:
    listed = []
    for measure in ("Fisher", "Hessian"):
        ranks = [layer["rank_correlation"] for layer in result["layers"] if layer["measure"] == measure]
        told = ", ".join(f"{rank:.2f}" for rank in ranks)
        text = f"importances correlate with the diagonal of the {measure} (rank correlation above .3 in every layer)"
        listed.append(Claim(text, told, min(ranks) > 0.3))
    return listed


def picture(result: Result) -> Markup:
    """Omega and the endpoint measure of some weights, each in units of its own largest shown."""
    groups = {}
    for layer in result["layers"]:
        far = [max(abs(point[axis]) for point in layer["points"]) or 1.0 for axis in (0, 1)]
        groups[f"{layer['layer']}: {layer['measure']}"] = [(x / far[0], y / far[1]) for x, y in layer["points"]]
    across, up = (f"{name} (largest shown: 1)" for name in ("Omega", "measured at the end"))
    return scatter(groups, "Importance and endpoint measures", across, up, labels=False)
