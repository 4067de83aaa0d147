"""Figures of a continual run, as pure functions of its R matrix.

R[i][j] is the score on experience j after learning experience i; higher is better. Entries may be None where nothing
was measured. Definitions: Lopez-Paz and Ranzato 2017 (ACC, BWT, FWT); Chaudhry et al. 2018 (forgetting, intransigence).
"""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[float | None]
Matrix = Sequence[Row]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def average(R: Matrix) -> float | None:
    """ACC: mean score on all experiences after the last one."""
    return _mean(R[-1])


def newest(R: Matrix) -> float | None:
    """Score on the experience learned last, when it was last evaluated."""
    return R[-1][-1]


def learned(R: Matrix) -> float | None:
    """Mean of the diagonal: how well each experience was learned when it was new (plasticity)."""
    return None if len(R) != len(R[0]) else _mean([R[i][i] for i in range(len(R))])


def backward_transfer(R: Matrix) -> float | None:
    """BWT: mean over earlier experiences of (final score - score when just learned); below zero is forgetting."""
    if len(R) != len(R[0]):
        return None
    return _mean([_minus(R[-1][j], R[j][j]) for j in range(len(R) - 1)])


def forward_transfer(R: Matrix, untrained: Row) -> float | None:
    """FWT: mean over later experiences of (score just before learning them - score of an untrained model)."""
    if len(R) != len(R[0]):
        return None
    return _mean([_minus(R[j - 1][j], untrained[j]) for j in range(1, len(R))])


def forgetting(R: Matrix) -> float | None:
    """Mean over earlier experiences of (best score it ever had before the end - final score)."""
    if len(R) != len(R[0]):
        return None
    lost: list[float | None] = []
    for j in range(len(R) - 1):
        earlier = [score for i in range(len(R) - 1) if (score := R[i][j]) is not None]
        lost.append(_minus(max(earlier), R[-1][j]) if earlier else None)
    return _mean(lost)


def intransigence(R: Matrix, reference: Row) -> float | None:
    """Mean over experiences of (score of a reference model trained on all data - score when just learned)."""
    if len(R) != len(R[0]):
        return None
    return _mean([_minus(reference[j], R[j][j]) for j in range(len(R))])


def summary(R: Matrix) -> dict[str, float | None]:
    """The figures every result row carries."""
    return {
        "average": average(R),
        "forgetting": forgetting(R),
        "backward_transfer": backward_transfer(R),
        "newest": newest(R),
        "learned": learned(R),
    }
