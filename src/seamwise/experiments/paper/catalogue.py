"""The figures that are trained, by name, in full and in their reduced form."""

from __future__ import annotations

from seamwise.experiments.paper import (
    choosing_c,
    permuted_mnist,
    precision,
    scenarios,
    scenarios_search,
    split_cifar,
    split_mnist,
)
from seamwise.experiments.paper.figure import Figure

_FULL = (
    split_mnist.FULL,
    permuted_mnist.FULL,
    split_cifar.FULL,
    choosing_c.FULL,
    choosing_c.CIFAR,
    precision.FULL,
    scenarios_search.FULL,
    scenarios.FULL,
)
_QUICK = (
    split_mnist.QUICK,
    permuted_mnist.QUICK,
    split_cifar.QUICK,
    choosing_c.QUICK,
    precision.QUICK,
    scenarios_search.QUICK,
    scenarios.QUICK,
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _FULL}
QUICK: dict[str, Figure] = {figure.name: figure for figure in _QUICK}


def find_figure(name: str, *, quick: bool) -> Figure:
    """A figure by its name, in full or in its reduced form, which some do not have (KeyError)."""
    return QUICK[name] if quick else FIGURES[name]
