"""The self-test of a version: pictures and the answers that it gave when it was made, kept beside its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seamwise.errors import SeamwiseError, UsageError
from seamwise.serving.engine import Engine, mask_of

# How far probabilities may lie from the kept ones: the same arithmetic on another processor, in float32 and in bf16.
TOLERANCE, TOLERANCE_BF16 = 1e-4, 3e-2


class SelfTestError(SeamwiseError):
    """A version that answers otherwise than when it was made, or cannot be tested."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A prepared picture (C, H, W) and the probabilities (K, H, W) that the version answered when it was made.

    The expected mask is `mask_of(probabilities)`. The probabilities are kept because a mask alone says little where
    nothing is found: a network with broken weights may also find nothing.
    """

    picture: Tensor
    probabilities: Tensor


def make_probes(engine: Engine, pictures: Sequence[Tensor]) -> tuple[Probe, ...]:
    """The engine's own answers to prepared pictures.

    Raises UsageError without any picture, SelfTestError for an answer that is not finite.
    """
    if not pictures:
        raise UsageError(f"version {engine.version} needs at least one picture for its self-test")
    probes = tuple(Probe(x, engine.predict(x)) for x in pictures)
    if not all(torch.isfinite(probe.probabilities).all() for probe in probes):
        raise SelfTestError(
            f"version {engine.version} answers with numbers that are not finite: its weights are broken"
        )
    return probes


def self_test(engine: Engine, probes: Sequence[Probe]) -> None:
    """Ask every probe and raise SelfTestError, naming the first that is answered otherwise.

    Masks must be equal bit for bit, save where the kept probabilities of the two best classes lie within the tolerance:
    there another processor's rounding may decide. No probability may be further off than the tolerance.
    """
    if not probes:
        raise SelfTestError(f"version {engine.version} has no probe pictures to test itself with: package it again")
    tolerance = TOLERANCE_BF16 if engine.reading.bf16 else TOLERANCE
    for number, probe in enumerate(probes):
        wanted, got = probe.probabilities, engine.predict(probe.picture)
        if got.shape != wanted.shape:
            raise SelfTestError(
                f"version {engine.version} answers probe {number} as {tuple(got.shape)}, not {tuple(wanted.shape)}"
            )
        apart = float((got - wanted).abs().max())
        differing = torch.from_numpy(mask_of(got) != mask_of(wanted)) & ~_tied(wanted, tolerance)
        if not apart <= tolerance or differing.any():  # `not <=` refuses NaN too
            raise SelfTestError(
                f"version {engine.version} answers probe {number} otherwise than when it was made: "
                f"{int(differing.sum())} of {differing.numel()} mask pixels differ, probabilities by up to {apart:.2g}"
            )


def _tied(probabilities: Tensor, margin: float) -> Tensor:
    best = probabilities.topk(min(2, len(probabilities)), 0).values
    return best[0] - best[-1] <= margin
