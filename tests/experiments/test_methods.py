"""Methods that keep an older model or samples, on segmentation: run, scored, and stopped anywhere without a trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seamwise.continual import Batch
from seamwise.continual.features import output_layer
from seamwise.experiments.checkpoint import load_checkpoint
from seamwise.experiments.runs import Run, execute
from seamwise.experiments.streams import DomainStream, join_domains
from seamwise.vision.domain import read_domain
from seamwise.vision.losses import build_loss
from seamwise.vision.networks import build_network
from seamwise.vision.objective import Segmentation
from seamwise.vision.tensor_file import read_tensors
from tests.cli.kill_and_resume import differences
from tests.experiments.tiny import RECIPE, make_domain, make_run, make_stream

METHODS: dict[str, dict[str, Any]] = {
    "ewc-per-task": {"strength": 1000.0, "samples": 2},
    "lwf": {"strength": 5.0},
    "lfl": {"strength": 10.0},
    "gem": {"capacity": 4, "samples": 2},
    "si+lwf": {"c": 1.0},
    "replay+lfl": {"capacity": 4},
}
DROPOUT = {**RECIPE.network_options, "dropout": 0.2}
FEW = replace(RECIPE, steps=4, network_options=DROPOUT)


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> DomainStream:
    """Two domains with one set of classes."""
    return make_stream(tmp_path_factory.mktemp("same"))


@pytest.fixture(scope="module")
def plain(same: DomainStream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of finetuning."""
    folder = tmp_path_factory.mktemp("plain")
    row_of(make_run(same, "finetuning", FEW), folder)
    return folder


@pytest.fixture(scope="module")
def union(tmp_path_factory: pytest.TempPathFactory) -> DomainStream:
    """Two domains, the second with a class of its own."""
    root = tmp_path_factory.mktemp("union")
    one = make_domain(root / "one", classes=("background", "crack"))
    two = make_domain(root / "two", classes=("background", "pore", "crack"), bright=False)
    return join_domains([read_domain(one), read_domain(two)], rule="union")


def row_of(run: Run, folder: Path | None = None, **options: Any) -> dict[str, Any]:
    *_, last = execute(run, folder, **options)
    assert last.row is not None
    return last.row


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return read_tensors(folder / name, "seamwise model")[0]


@pytest.mark.parametrize("method", METHODS)
def test_it_differs_after_the_first_domain_and_goes_on_bit_for_bit(
    method: str, same: DomainStream, plain: Path, tmp_path: Path
) -> None:
    run = make_run(same, method, FEW, **METHODS[method])
    row = row_of(run, tmp_path / "whole")
    assert [len(line) for line in row["R"]] == [2, 2]
    for name, equal in (("after-0-light.safetensors", True), ("after-1-dark.safetensors", False)):
        one, two = weights(plain, name), weights(tmp_path / "whole", name)
        assert all(torch.equal(one[key], two[key]) for key in one) == equal
    events = execute(run, tmp_path / "cut", checkpoint_every_s=0)
    for _ in range(7):  # in the midst of the second domain
        next(events)
    events.close()  # type: ignore[attr-defined]
    row_of(run, tmp_path / "cut")
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


@pytest.mark.parametrize("method", METHODS)
def test_domains_with_classes_of_their_own(method: str, union: DomainStream, tmp_path: Path) -> None:
    row = row_of(make_run(union, method, FEW, **METHODS[method]), tmp_path)
    assert row["scores"]["one"]["iou_per_class"][2] is None
    assert len(row["scores"]["two"]["iou_per_class"]) == 3
    if method == "lfl":  # what the first domain could not answer is learned, the rest of the output layer frozen
        before, after = (weights(tmp_path, name) for name in ("after-0-one.safetensors", "after-1-two.safetensors"))
        for name in ("head.weight", "head.bias"):
            assert torch.equal(before[name][:2], after[name][:2])
            assert not torch.equal(before[name][2], after[name][2])


def test_the_checkpoint_holds_the_teacher(same: DomainStream, tmp_path: Path) -> None:
    events = execute(make_run(same, "lwf", FEW), tmp_path, checkpoint_every_s=0)
    for _ in range(7):
        next(events)
    events.close()  # type: ignore[attr-defined]
    saved = load_checkpoint(tmp_path / "checkpoint.safetensors")["learner"]
    teacher = {n.removeprefix("teacher."): v for n, v in saved["strategy"].items() if n.startswith("teacher.")}
    before = weights(tmp_path, "after-0-light.safetensors")
    assert teacher.keys() == before.keys() == saved["model"].keys()
    assert all(torch.equal(teacher[name], before[name]) for name in before)
    assert not torch.equal(saved["model"]["head.weight"], before["head.weight"])


@pytest.mark.parametrize("name", ["unet", "fcn", "segnet"])
def test_features_of_our_networks(name: str) -> None:
    """The answer is the same with and without, and the output layer is what lies behind the features."""
    torch.manual_seed(0)
    network = build_network(name, 1, 3, width=4)
    objective = Segmentation(build_loss("dice_ce"), {0: (0, 1)}, channels_last=True)
    batch = Batch.of(torch.randn(2, 1, 40, 48), torch.zeros(2, 40, 48, dtype=torch.int64))
    plain, full = objective.forward(network, batch), objective.forward(network, batch, features=True)
    assert torch.equal(plain.logits, full.logits)
    assert plain.features is None
    for output in (plain, full):
        assert output.raw is not None
        assert torch.equal(objective.mask(output.raw, batch.task), output.logits)
    assert full.raw is not None
    assert full.features is not None
    layer = output_layer(full.raw, full.features)
    assert {p.shape[0] for p in layer} == {3}
    assert len(layer) == (6 if name == "fcn" else 2)


def test_networks_of_others_show_features_by_the_common_rule() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1))
    objective = Segmentation(build_loss("dice_ce"))
    batch = Batch.of(torch.randn(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.int64))
    output = objective.forward(network, batch, features=True)
    assert output.features is not None
    assert output.features.shape == (2, 4, 8, 8)
    with pytest.raises(ValueError, match=r"give it a method hidden\(x\)"):
        objective.forward(network[0], batch, features=True)
