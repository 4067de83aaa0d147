"""The self-test: what made the probes passes, and anything else does not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from seamwise.errors import UsageError
from seamwise.serving import Engine, Probe, SelfTestError, make_probes, mask_of, self_test, torch_engine
from seamwise.vision.segmenter import Reading
from tests.serving.tiny import CLASSES, Constant, picture, segmenter

PICTURES = [picture(1, 20, 20), picture(1, 50, 41, seed=1)]


def test_the_version_itself_passes_and_another_does_not() -> None:
    probes = make_probes(torch_engine(segmenter(), "v0"), PICTURES)
    self_test(torch_engine(segmenter(), "v0"), probes)
    with pytest.raises(SelfTestError, match=r"version v1 answers probe 0 otherwise .* mask pixels differ"):
        self_test(torch_engine(segmenter(seed=1), "v1"), probes)


def test_one_changed_weight_is_found_on_whichever_probe() -> None:
    probes = make_probes(torch_engine(segmenter(), "v0"), PICTURES)
    broken = segmenter()
    with torch.no_grad():
        next(broken.network.parameters())[0, 0, 1, 1] += 0.05
    with pytest.raises(SelfTestError, match="probe 0"):
        self_test(torch_engine(broken, "v0"), probes)
    late = (*probes[:1], dataclasses.replace(probes[1], probabilities=probes[1].probabilities.flip(0)))
    with pytest.raises(SelfTestError, match="probe 1"):
        self_test(torch_engine(segmenter(), "v0"), late)


class Fixed(nn.Module):
    """Answers the given logits (K,) everywhere."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.view(1, -1, 1, 1).expand(len(x), -1, *x.shape[2:]).clone()


def fixed(*logits: float, bf16: bool = False) -> Engine:
    return Engine("v0", "torch", Reading(CLASSES[: len(logits)], 1, 8, bf16=bf16), Fixed(*logits))


def test_a_network_that_finds_nothing_is_still_told_from_another() -> None:
    probes = make_probes(fixed(5.0, 0.0), [picture(1, 9, 9)])
    other = fixed(4.0, 0.0)
    assert not mask_of(other.predict(probes[0].picture)).any()  # the masks are alike
    with pytest.raises(SelfTestError, match="0 of 81 mask pixels differ"):
        self_test(other, probes)


def test_rounding_may_decide_between_equals_only() -> None:
    probes = make_probes(fixed(0.0, 1e-5), [picture(1, 8, 8)])
    self_test(fixed(1e-5, 0.0), probes)  # another mask, but the two were as good as equal
    clear = make_probes(fixed(0.0, 4e-4), [picture(1, 8, 8)])  # probabilities 2e-4 apart: no tie
    self_test(fixed(0.0, 3e-4), clear)
    with pytest.raises(SelfTestError, match="64 of 64 mask pixels"):
        self_test(fixed(1e-9, 0.0), clear)  # off by no more than the tolerance, but the mask is another
    coarse = make_probes(fixed(0.0, 1.0, bf16=True), [picture(1, 8, 8)])
    self_test(fixed(0.0, 1.05, bf16=True), coarse)


def test_answers_that_are_no_numbers_never_pass() -> None:
    probes = make_probes(fixed(5.0, 0.0), [picture(1, 8, 8)])
    with pytest.raises(SelfTestError):
        self_test(fixed(torch.nan, 0.0), probes)
    with pytest.raises(SelfTestError, match="broken"):
        make_probes(fixed(torch.nan, 0.0), [picture(1, 8, 8)])


def test_a_version_of_other_classes_or_without_probes_is_refused() -> None:
    probes = make_probes(fixed(5.0, 0.0), [picture(1, 8, 8)])
    with pytest.raises(SelfTestError, match=r"\(3, 8, 8\), not \(2, 8, 8\)"):
        self_test(fixed(5.0, 0.0, 0.0), probes)
    with pytest.raises(SelfTestError, match="no probe"):
        self_test(fixed(5.0, 0.0), [])
    with pytest.raises(UsageError, match="at least one"):
        make_probes(fixed(5.0, 0.0), [])
    empty = Engine("v0", "torch", Reading(CLASSES, 1, 8), Constant(1))
    assert isinstance(make_probes(empty, [picture(1, 8, 8)])[0], Probe)
