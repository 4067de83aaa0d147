"""The demonstration: four simulated domains, learned in order by five strategies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seamwise.experiments.recipe import Recipe
from seamwise.vision.welds.domains import find_domain, write_domain

# Chosen before any strategy was tuned on them: a clean machine weld on a panel, hand welds on film of the opposite
# polarity, low-contrast pipe work on an imaging plate, and another material and method altogether.
DOMAINS = ("panel-160kv-8mm", "film-180kv-10mm", "gamma-se75-dwsi", "pe-electrofusion-2.5mhz")

STRATEGIES: dict[str, dict[str, object]] = {
    "finetuning": {},
    "si": {"c": 10.0},
    "replay": {"capacity": 128},
    "si+replay": {"c": 1.0, "capacity": 128},
    "joint": {},
}

FULL = Recipe(network_options={"width": 12}, tile=128, steps=200, batch_size=8, bf16=True)
QUICK = replace(FULL, network_options={"width": 8}, tile=96, steps=30)

PICTURES = {"train": 96, "val": 0, "test": 32}
QUICK_PICTURES = {"train": 16, "val": 0, "test": 8}


def simulate_domain(folder: Path, name: str, *, quick: bool, seed: int) -> Iterator[tuple[int, int]]:
    """Writes one of the demonstration's domains."""
    domain = find_domain(name)
    if quick:
        domain = replace(domain, views=2)
    return write_domain(folder, domain, QUICK_PICTURES if quick else PICTURES, seed, name)
