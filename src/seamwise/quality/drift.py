"""Whether a domain's images still look as they did: a sequential test with a promised rate of false alarms.

Each weld is one observation, its first image: the images of a weld are alike, and counting each would raise an alarm
at every odd weld. A feature's rank among all earlier welds, reference and stream together, is uniform and independent
of the past as long as nothing has changed, whatever the features' distribution: a conformal test, which needs no
model and no guess of a small reference's errors (Vovk, Gammerman and Shafer 2005; self-starting charts, Hawkins
1987). The rank is bet on: with normal score z = Phi^-1((rank + 1/2) / (n + 1)), a shift up or down by d standard
deviations multiplies the stake by exp(+-d z), divided by its mean over all ranks, so that the expected gain is one.
The stakes form a Shiryaev-Roberts statistic (Roberts 1966; conformal: Vovk 2021)

    M <- (M + images) * gain        for each feature, direction and size d,

whose mean minus the number of images seen is a martingale before a change. Stopping where the mean M reaches A gives
E[images until a false alarm] = E[M at the alarm] >= A: the promise, in images, true for any number of reference
welds. Ties are bet on at their worst rank, which only makes alarms rarer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from seamwise.errors import BadInputError, UsageError
from seamwise.quality.extractor import FEATURES

Array = NDArray[np.float64]

# Sizes of shift bet on, in standard deviations: half a one shows after tens of welds, two after a few.
_SHIFTS = np.array([0.5, 1.0, 2.0])
# The pool grows up to here, and the promise is exact so long. Then its newer half slides: a pool that stood still would
# turn its own small error into an alarm, one that slid as a whole would follow a slow drift.
_POOL_WELDS = 1000
# A weld that comes back after so many others counts as a new one.
_REMEMBERED_WELDS = 2000
# Stakes stop here, long after any alarm, so that no drift however long makes them infinite.
_MOST_STAKE = 1e15


@dataclass(frozen=True, eq=False)
class Monitor:
    """The state of one domain's watch; `to_json` and `from_json` store it, `update` makes the next one.

    pool: (n, F) first images of earlier welds. stakes: (3, 2 F) M by size of shift, and by feature up then down.
    average_run_length: A, images between false alarms. seen: the welds whose first image has counted. images, welds:
    how many came since `calibrate` or `restart`.
    """

    names: tuple[str, ...]
    pool: Array
    stakes: Array
    average_run_length: float
    seen: tuple[str, ...]
    images: int = 0
    welds: int = 0

    def to_json(self) -> dict[str, Any]:
        """What `json.dumps` takes, and from which `from_json` makes an equal state."""
        return {
            "names": list(self.names),
            "pool": self.pool.tolist(),
            "stakes": self.stakes.tolist(),
            "average_run_length": self.average_run_length,
            "seen": list(self.seen),
            "images": self.images,
            "welds": self.welds,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Monitor:
        return cls(
            names=tuple(value["names"]),
            pool=np.array(value["pool"], dtype=np.float64),
            stakes=np.array(value["stakes"], dtype=np.float64),
            average_run_length=value["average_run_length"],
            seen=tuple(value["seen"]),
            images=value["images"],
            welds=value["welds"],
        )


@dataclass(frozen=True)
class Moved:
    """A feature that speaks for drift: its name, whether it went up, and its own evidence M."""

    feature: str
    up: bool
    evidence: float


@dataclass(frozen=True)
class Evidence:
    """What speaks for drift after an update.

    value: the mean M, to be compared with `threshold` (the images between false alarms). alarm: whether it is
    reached. moved: the features with the most evidence, of those above the threshold's fair share. images, welds: seen
    since the watch began.
    """

    value: float
    threshold: float
    alarm: bool
    moved: tuple[Moved, ...]
    images: int
    welds: int


def calibrate(
    reference: ArrayLike, welds: Sequence[str], average_run_length: float, names: Sequence[str] = FEATURES
) -> Monitor:
    """Begin to watch a domain.

    reference: (N, F) features of the domain's images in the order they were taken. welds: the weld of each row.
    average_run_length: images between two false alarms, on average at least. names: of the F features. Raises
    BadInputError for features that do not fit or a reference too small to ever see a change at this rate.
    """
    rows = _rows(reference, len(names))
    if len(welds) != len(rows):
        raise BadInputError(f"{len(rows)} rows of features come with {len(welds)} welds: give each row its weld")
    if not (average_run_length >= 1 and math.isfinite(average_run_length)):
        raise UsageError(f"average_run_length is {average_run_length}: give a number of images, 1 or more")
    first = {weld: place for place, weld in reversed(list(enumerate(welds)))}
    order = sorted(first.values())
    kept = np.array(order)[np.linspace(0, len(order) - 1, min(len(order), _POOL_WELDS)).round().astype(int)]
    monitor = Monitor(
        names=tuple(names),
        pool=rows[kept],
        stakes=np.zeros((len(_SHIFTS), 2 * len(names))),
        average_run_length=float(average_run_length),
        seen=tuple(welds[place] for place in order)[-_REMEMBERED_WELDS:],
    )
    if fastest_alarm(len(kept), average_run_length) is None:
        raise BadInputError(
            f"{len(order)} welds are too few to see any drift at one false alarm in {average_run_length:g} images: "
            "add welds to the domain, or allow more false alarms"
        )
    return monitor


def update(monitor: Monitor, features: ArrayLike, weld: str) -> tuple[Monitor, Evidence]:
    """Take in one or more images of a weld: the next state, and what now speaks for drift.

    features: (N, F) or (F,). A weld counts by the first image of its first update; further images only add to the
    number of images. The states of a stream are a function of the images and their order alone.
    """
    rows = _rows(features, len(monitor.names))
    stakes, pool, seen, welds = monitor.stakes + len(rows), monitor.pool, monitor.seen, monitor.welds
    if weld not in seen:
        stakes = np.minimum(stakes * _gains(pool, rows[0]), _MOST_STAKE)
        pool = _joined(pool, rows[:1])
        seen, welds = (*seen, weld)[-_REMEMBERED_WELDS:], welds + 1
    after = replace(monitor, stakes=stakes, pool=pool, seen=seen, images=monitor.images + len(rows), welds=welds)
    return after, evidence(after)


def evidence(monitor: Monitor) -> Evidence:
    """What speaks for drift in a state."""
    value, threshold = float(monitor.stakes.mean()), monitor.average_run_length
    by_feature = monitor.stakes.mean(axis=0)
    leading = np.argsort(-by_feature, kind="stable")[:3]
    size = len(monitor.names)
    moved = tuple(
        Moved(monitor.names[place % size], bool(place < size), float(by_feature[place]))
        for place in leading.tolist()
        if by_feature[place] >= threshold
    )
    return Evidence(value, threshold, value >= threshold, moved, monitor.images, monitor.welds)


def restart(monitor: Monitor) -> Monitor:
    """Watch on after an alarm that was looked at and dismissed: what was seen joins the reference."""
    return replace(monitor, stakes=np.zeros_like(monitor.stakes), images=0, welds=0)


def fastest_alarm(welds: int, average_run_length: float) -> int | None:
    """Welds until an alarm when every image of one image a weld lies beyond all the reference; None if never.

    welds: in the reference. What a reference of this size can see at best; a real change takes longer.
    """
    stake = np.zeros(len(_SHIFTS))
    for more in range(4 * welds + 4):
        # New welds rank among each other too: the middle one of those above the reference.
        table = _gain_table(welds + more)
        stake = (stake + 1) * table[:, welds + more // 2]
        # All features move one way at best, so half of the stakes win.
        if stake.mean() / 2 >= average_run_length:
            return more + 1
    return None


def _joined(pool: Array, row: Array) -> Array:
    if len(pool) >= _POOL_WELDS:
        pool = np.delete(pool, _POOL_WELDS // 2, axis=0)
    return np.vstack([pool, row])


def _gains(pool: Array, row: Array) -> Array:
    """(3, 2 F) factors by which each stake grows: bets on up, then on down."""
    below, above = (pool < row).sum(axis=0), (pool > row).sum(axis=0)
    return _gain_table(len(pool))[:, np.concatenate([below, above])]


def _gain_table(n: int) -> Array:
    """(3, n + 1) gain of each bet at each rank among n earlier ones; the mean over the ranks is one."""
    scores = ndtri((np.arange(n + 1) + 0.5) / (n + 1))
    gains = np.exp(np.outer(_SHIFTS, scores))
    return np.asarray(gains / gains.mean(axis=1, keepdims=True))


def _rows(features: ArrayLike, size: int) -> Array:
    rows = np.atleast_2d(np.asarray(features, dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1] != size or not len(rows):
        raise BadInputError(f"features have shape {np.shape(features)}: give (N, {size}), at least one image")
    if not np.isfinite(rows).all():
        raise BadInputError("features hold values that are not numbers: extract them from finite pixels")
    return rows
