"""Features of simulated welds, one small picture a weld, for the tests of drift and guesses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seamwise.quality.extractor import extract
from seamwise.vision.images import to_float
from seamwise.vision.welds.domains import find_domain, simulate


@cache
def pictures(domain: str, welds: int, seed: int = 0) -> tuple[NDArray[np.float64], list[str]]:
    """(welds, F) features and the welds' names."""
    small = replace(find_domain(domain), height=128, width=192, views=1)
    shots = [simulate(small, seed, index) for index in range(welds)]
    return np.array([extract(to_float(shot.pixels)) for shot in shots]), [shot.weld for shot in shots]
