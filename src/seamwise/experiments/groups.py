"""Runs of a comparison gathered by strategy, with mean and standard deviation over their seeds."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seamwise.continual import metrics
from seamwise.errors import BadInputError

Spread = tuple[float | None, float | None]  # mean, standard deviation; None where unknown
Matrix = list[list[float | None]]


@dataclass(frozen=True)
class Run:
    """One run of the result document, its R matrix cleaned: None wherever nothing finite was measured."""

    R: Matrix
    facts: Mapping[str, Any]

    @property
    def whole(self) -> bool:
        """Whether R has a row for each domain; joint and separate training have one row only."""
        return len(self.R) == len(self.R[0])

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters without the seed."""
        return {str(key): value for key, value in (self.facts.get("parameters") or {}).items() if key != "seed"}

    def figure(self, name: str) -> float | None:
        """A figure of the run: as recorded, else computed from R where R tells it."""
        recorded = known(self.facts.get(name))
        computed = metrics.summary(self.R).get(name)
        return computed if recorded is None else recorded

    def old(self) -> float | None:
        """Mean final score on all domains but the one learned last."""
        return metrics.average([self.R[-1][:-1]]) if len(self.R[-1]) > 1 else None

    def new(self) -> float | None:
        """Mean score of each domain right after it was learned; of a single row its mean."""
        return metrics.learned(self.R) if self.whole else metrics.average(self.R)


@dataclass(frozen=True)
class Group:
    """The runs that differ in nothing but their seed, under a label that tells them from the other groups."""

    label: str
    runs: tuple[Run, ...]

    @property
    def whole(self) -> bool:
        return all(run.whole for run in self.runs)

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that all its runs share."""
        return self.runs[0].settings

    def spread(self, name: str) -> Spread:
        """Mean and standard deviation of a figure over the seeds."""
        return spread(run.figure(name) for run in self.runs)

    def score(self, row: int, column: int) -> Spread:
        """Mean and standard deviation of one entry of R over the seeds."""
        return spread(run.R[row][column] for run in self.runs)

    def mean_matrix(self) -> Matrix:
        """R averaged over the seeds."""
        shape = self.runs[0].R
        return [[self.score(i, j)[0] for j in range(len(shape[0]))] for i in range(len(shape))]


def known(value: object) -> float | None:
    """A finite number as float; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and sample standard deviation of the known values; the latter needs two of them."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None, None
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None


def gather(result: Mapping[str, Any]) -> list[Group]:
    """The groups of a result document in the order in which they first appear.

    Raises BadInputError where a run has no R matrix of one row, or one row a domain, with one score a domain.
    """
    domains = len(result.get("domains") or ())
    gathered: dict[tuple[str, str, int], list[Run]] = {}
    for place, facts in enumerate(result.get("runs") or ()):
        run = Run(_matrix(facts, domains, place), facts)
        key = (str(facts.get("strategy", "?")), json.dumps(run.settings, sort_keys=True, default=str), len(run.R))
        gathered.setdefault(key, []).append(run)
    names = [key[0] for key in gathered]
    labels: list[str] = []
    for (name, _, _), runs in gathered.items():
        twins = [others[0] for key, others in gathered.items() if key[0] == name]
        labels.append(name if names.count(name) == 1 else _label(name, runs[0], twins, labels))
    return [Group(label, tuple(runs)) for label, runs in zip(labels, gathered.values(), strict=True)]


def _label(name: str, run: Run, twins: Sequence[Run], taken: Sequence[str]) -> str:
    """A strategy's name with the parameters in which it differs from its twins."""
    mine, others = run.settings, [twin.settings for twin in twins]
    varied = [key for key in mine if any(other.get(key) != mine[key] for other in others)]
    label = f"{name} ({', '.join(f'{key}={mine[key]}' for key in varied)})" if varied else name
    return label if label not in taken else f"{label} #{sum(t.startswith(label) for t in taken) + 1}"


def _matrix(facts: Mapping[str, Any], domains: int, place: int) -> Matrix:
    R = facts.get("R")
    who = f"run {place} ({facts.get('strategy', '?')}, seed {facts.get('seed', '?')})"
    if not isinstance(R, list) or not R or domains == 0:
        raise BadInputError(f"{who} has no R matrix: a report needs 'domains' and for each run 'R', rows of scores")
    if len(R) not in (1, domains) or any(not isinstance(row, list) or len(row) != domains for row in R):
        shape = " + ".join(str(len(row)) if isinstance(row, list) else "?" for row in R)
        raise BadInputError(
            f"R of {who} does not fit {domains} domains: it needs 1 or {domains} rows of {domains} scores, "
            f"its rows have {shape}"
        )
    return [[known(value) for value in row] for row in R]
