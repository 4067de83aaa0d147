"""Masked heads, ignored labels and how losses are reduced."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seamwise.continual import Batch, Classification, ClassMask, Output
from seamwise.continual.objective import at_least_float32

SETS = {0: (0, 1), 1: (2, 4), 3: (3,)}


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_masked_softmax_is_the_softmax_over_the_subset(dtype: torch.dtype) -> None:
    raw = logits(3, 5).to(dtype)
    masked = ClassMask(SETS)(raw, torch.tensor([0, 1, 3])).softmax(1)
    for row, classes in enumerate(SETS.values()):
        others = [k for k in range(5) if k not in classes]
        torch.testing.assert_close(masked[row, list(classes)], raw[row, list(classes)].softmax(0))
        assert float(masked[row, others].abs().sum()) == 0.0  # exactly


@pytest.mark.parametrize("trailing", [(), (4,), (2, 3)])
def test_masks_of_pixels(trailing: tuple[int, ...]) -> None:
    masked = ClassMask(SETS)(logits(2, 5, *trailing), torch.tensor([1, 0]))
    assert masked.shape == (2, 5, *trailing)
    assert bool((masked[0, [0, 1, 3]] < -1e8).all())
    assert torch.equal(masked[0, [2, 4]], logits(2, 5, *trailing)[0, [2, 4]])


def test_tasks_that_are_not_named_may_answer_all() -> None:
    raw = logits(3, 5)
    masked = ClassMask(SETS)(raw, torch.tensor([2, 4, 99]))  # between the named ones, after them, far after them
    assert torch.equal(masked, raw)
    assert ClassMask({0: ()})(raw, torch.tensor([0, 0, 0])) is raw
    assert ClassMask()(raw, torch.tensor([0, 1, 2])) is raw


def test_a_grown_output_layer_is_masked_too() -> None:
    mask = ClassMask({0: (0, 1)})
    for width in (3, 5, 4):
        assert (mask(logits(1, width), torch.tensor([0]))[0] > -1e8).tolist() == [True, True] + [False] * (width - 2)


def test_forbidden_classes_get_no_gradient() -> None:
    model = nn.Linear(4, 5)
    objective = Classification(SETS)
    batch = Batch.of(logits(6, 4), torch.tensor([2, 4, 2, 2, 4, 4]), task=1)
    objective.loss(objective.forward(model, batch), batch).sum().backward()
    assert model.weight.grad is not None
    assert model.bias.grad is not None
    for k in (0, 1, 3):
        assert torch.equal(model.weight.grad[k], torch.zeros(4))
        assert float(model.bias.grad[k]) == 0.0
    assert float(model.bias.grad[2].abs()) > 0


def test_one_loss_a_sample() -> None:
    raw, y = logits(4, 5), torch.tensor([0, 3, 1, 2])
    losses = Classification().loss(Output(raw), Batch.of(raw, y))
    assert losses.shape == (4,)
    torch.testing.assert_close(losses, -raw.log_softmax(1)[torch.arange(4), y])
    weighted = (losses * Batch.of(raw, y).weight).sum()
    torch.testing.assert_close(weighted, F.cross_entropy(raw, y))  # the weights make it the mean over the batch


def test_ignored_samples_have_no_loss_and_no_gradient() -> None:
    raw = logits(4, 5).requires_grad_()
    losses = Classification(ignore=255).loss(Output(raw), Batch.of(raw, torch.tensor([0, 255, 1, 255])))
    assert (losses == 0).tolist() == [False, True, False, True]
    losses.sum().backward()
    assert raw.grad is not None
    assert raw.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False]


def test_half_precision_is_made_whole_and_double_stays() -> None:
    kinds = {torch.bfloat16: torch.float32, torch.float32: torch.float32, torch.float64: torch.float64}
    for given, expected in kinds.items():
        assert at_least_float32(torch.zeros(2, dtype=given)).dtype == expected
        raw = torch.zeros(1, 5, dtype=given)
        assert Classification().loss(Output(raw), Batch.of(raw, torch.tensor([1]))).dtype == expected
