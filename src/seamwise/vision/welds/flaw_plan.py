"""Which flaws a simulated joint has and which of its neighbouring pictures show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.picture import CLASSES

LACK_OF_PENETRATION = CLASSES.index("lack of penetration")


@dataclass(frozen=True)
class PlannedFlaw:
    """A flaw of a joint: its class, its number in the joint, and its place and half length in pictures."""

    class_id: int
    number: int
    centre_view: float
    half_views: float

    def shown_in(self, view: int) -> bool:
        """Whether the picture number `view` of the joint cuts the flaw."""
        return abs(view - self.centre_view) <= self.half_views


def generator(seed: int, purpose: int, *numbers: int) -> np.random.Generator:
    """Random numbers that depend on nothing but the seed, what they are for, and which thing they are for."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(purpose, *numbers)))


def plan_flaws(domain: PhasedArray, rng: np.random.Generator) -> tuple[PlannedFlaw, ...]:
    """The flaws of one joint; none in a share of `sound_share` of all joints.

    Length along the circumference is log-normal about 10 mm (60 mm for a missing pipe end); at least one picture cuts
    each flaw, and a joint is at most once under-penetrated.
    """
    sound, extra = rng.random(), rng.poisson(max(domain.flaws_mean - 1.0, 0.0))
    mix = np.asarray(domain.flaw_mix)
    if sound < domain.sound_share or not mix.sum() > 0:
        return ()
    planned: list[PlannedFlaw] = []
    for number in range(1 + int(extra)):
        class_id = 1 + int(np.searchsorted(np.cumsum(mix / mix.sum()), rng.random()))
        centre = rng.integers(domain.views) + rng.uniform(-0.45, 0.45)
        median_mm = 60.0 if class_id == LACK_OF_PENETRATION else 10.0
        half = max(0.5, 0.5 * median_mm * rng.lognormal(0.0, 0.6) / domain.view_step_mm)
        if class_id == LACK_OF_PENETRATION and any(flaw.class_id == class_id for flaw in planned):
            continue
        planned.append(PlannedFlaw(min(class_id, len(mix)), number, float(centre), float(half)))
    return tuple(planned)
