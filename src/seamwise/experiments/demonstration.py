"""The demonstration: four simulated domains, learned in order by five strategies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seamwise.experiments.recipe import Recipe
from seamwise.vision.welds.domains import WeldDomain, find_domain, write_domain
from seamwise.vision.welds.phased_array import PhasedArray
from seamwise.vision.welds.radiography import Radiography

_PANEL, _FILM, _SE75, _PE = (
    find_domain(name) for name in ("panel-160kv-8mm", "film-180kv-10mm", "gamma-se75-dwsi", "pe-electrofusion-5mhz")
)
assert isinstance(_PANEL, Radiography)
assert isinstance(_FILM, Radiography)
assert isinstance(_SE75, Radiography)
assert isinstance(_PE, PhasedArray)

# Four stops of a team's year: machine welds on a panel, the same welds on film (light and dark change places, grain),
# thick pipe on imaging plates with Se-75, and another material and method altogether. Machine welds, a high dose and
# strong flaws, so that a small network can learn each in a minute: they replaced a first choice that plain training
# could not learn.
# Fixed before any strategy was tuned on them; the strengths below were then chosen on the validation pictures
# (docs/results/demo.md says how).
DOMAINS: dict[str, WeldDomain] = {
    domain.name: domain
    for domain in (
        _PANEL,
        replace(
            _PANEL,
            name="film-160kv-8mm",
            detector="film",
            bright_is_thick=True,
            snr_n=250.0,
            noise_correlation_mm=_FILM.noise_correlation_mm,
            grain_slope=_FILM.grain_slope,
            fixed_pattern=0.0,
            wires=0.5,
            letters=0.2,
            ripple_mm=0.06,
        ),
        replace(
            _PANEL,
            name="plate-se75-16mm",
            source="Se-75",
            mu_per_mm=0.09,
            wall_mm=16.0,
            scatter_ratio=2.0,
            focus_unsharpness_mm=0.25,
            bow=_SE75.bow,
            detector="cr",
            snr_n=250.0,
            structure_noise=0.002,
            line_jitter=0.002,
            scratches=0.5,
        ),
        replace(_PE, name="pe-electrofusion", flaw_db=8.0, sound_share=0.15, flaws_mean=2.5),
    )
}

STRATEGIES: dict[str, dict[str, object]] = {
    "finetuning": {},
    "si": {"c": 10.0},
    "replay": {"capacity": 128, "share": 0.5},
    "si+replay": {"c": 0.1, "capacity": 128, "share": 0.5},
    "joint": {},
}

FULL = Recipe(network_options={"width": 16}, tile=96, steps=200, batch_size=8, lr=5e-3, bf16=True)
QUICK = replace(FULL, steps=16, overlap=0.125)

PICTURES = {"train": 96, "val": 32, "test": 32}
QUICK_PICTURES = {"train": 16, "val": 0, "test": 4}


def simulate_domain(folder: Path, name: str, *, quick: bool) -> Iterator[tuple[int, int]]:
    """Writes one of the demonstration's domains; each has a seed of its own, so that no two show the same welds."""
    domain = DOMAINS[name]
    if quick:
        domain = replace(domain, views=2)
    seed = list(DOMAINS).index(name)
    return write_domain(folder, domain, QUICK_PICTURES if quick else PICTURES, seed, name)
