"""Randomness that is a function of what it is for, never of what was drawn before.

Resuming, replaying or skipping a step can therefore not change any other draw.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Draw:
    """A named source of random numbers: a key of plain values, from which generators are made."""

    key: tuple[int | str, ...]

    def of(self, *parts: int | str) -> Draw:
        """A narrower source: `draw.of("order", epoch)`."""
        return Draw((*self.key, *parts))

    @property
    def seed(self) -> int:
        """63 bits, equal for equal keys on every machine."""
        digest = hashlib.blake2b(repr(self.key).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def generator(self) -> torch.Generator:
        """A fresh CPU generator; two calls give the same numbers."""
        return torch.Generator().manual_seed(self.seed)
