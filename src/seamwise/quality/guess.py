"""Which known domain an image belongs to, how sure that is, and whether it is unlike all of them.

Each domain is a normal distribution of feature statistics whose mean and covariance are unknown: a conjugate prior of
unit scatter (the extractor's units) worth a few welds, and the domain's images, give a multivariate t distribution
for the next image (normal-inverse-Wishart; Murphy 2012, section 4.6.3). Its density weighs the domains against each
other, also a domain of five films against one of seven hundred pictures; and its Mahalanobis distance, which follows
an F distribution, tells an image that none of them would give.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, gammaln

from seamwise.errors import BadInputError, UsageError

Array = NDArray[np.float64]

# What the prior is worth, in welds: its covariance, and its mean (of which nothing is known). More than a few welds'
# worth would make every small domain as wide as the prior, and nothing new would be unlike it.
_PRIOR_WELDS = 3.0
_PRIOR_MEAN_WELDS = 0.01


@dataclass(frozen=True, eq=False)
class Reference:
    """What a domain's images look like: a multivariate t distribution of F features.

    centre: (F,). scale: (F, F). degrees: of freedom. welds: that it was made from.
    """

    domain: str
    centre: Array
    scale: Array
    degrees: float
    welds: int

    def to_json(self) -> dict[str, Any]:
        """What `json.dumps` takes, and from which `from_json` makes an equal record."""
        return {
            "domain": self.domain,
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "degrees": self.degrees,
            "welds": self.welds,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reference:
        return cls(
            domain=value["domain"],
            centre=np.array(value["centre"]),
            scale=np.array(value["scale"]),
            degrees=value["degrees"],
            welds=value["welds"],
        )


@dataclass(frozen=True)
class Guess:
    """The domain that an image most likely belongs to.

    confidence: probability of that domain, if the image is of one of them, all as likely beforehand. typicality: share
    of that domain's images that lie farther out than this one. unlike_all: too far out in every domain, so probably of
    a new one. distances: to each domain, 1 for a typical image of it.
    """

    domain: str
    confidence: float
    typicality: float
    unlike_all: bool
    distances: dict[str, float]


def describe(domain: str, features: ArrayLike, welds: Sequence[str]) -> Reference:
    """Fit a domain's reference. features: (N, F) of its images; welds: of each row, all welds weigh the same.

    Raises BadInputError for shapes that do not fit and values that are not numbers.
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or not len(rows) or len(welds) != len(rows) or not np.isfinite(rows).all():
        raise BadInputError(
            f"{domain}: {np.shape(features)} features with {len(welds)} welds do not describe a domain; give a weld "
            "and finite numbers for each image"
        )
    images = Counter(welds)
    weights = np.array([1 / images[weld] for weld in welds])
    n, size = len(images), rows.shape[1]
    centre = weights @ rows / n
    off = rows - centre
    # The prior's degrees of freedom make its mean covariance the unit matrix.
    spread = _PRIOR_WELDS * np.eye(size) + (weights[:, None] * off).T @ off
    degrees = _PRIOR_WELDS + n + 2
    mean_welds = _PRIOR_MEAN_WELDS + n
    return Reference(domain, centre, spread * (mean_welds + 1) / (mean_welds * degrees), degrees, n)


def guess(references: Sequence[Reference], features: ArrayLike, level: float = 0.01) -> Guess:
    """The domain of an image from its features (F,).

    level: an image is unlike all when less than this share of any domain's own images would lie as far out. Raises
    UsageError without references, BadInputError for features that do not fit them.
    """
    if not references:
        raise UsageError("there is no domain to guess from: import one first")
    row = np.asarray(features, dtype=np.float64)
    for reference in references:
        if row.shape != reference.centre.shape or not np.isfinite(row).all():
            raise BadInputError(
                f"features of shape {row.shape} do not fit the {len(reference.centre)} of {reference.domain}: extract "
                "both alike, from finite pixels"
            )
    size = len(row)
    squares = np.array([_squared_distance(reference, row) for reference in references])
    densities = np.array([_log_density(r, d2) for r, d2 in zip(references, squares, strict=True)])
    shares = np.exp(densities - densities.max())
    typical = np.array([fdtrc(size, r.degrees, d2 / size) for r, d2 in zip(references, squares, strict=True)])
    best = int(shares.argmax())
    return Guess(
        domain=references[best].domain,
        confidence=float(shares[best] / shares.sum()),
        typicality=float(typical[best]),
        unlike_all=bool(typical.max() < level),
        distances={r.domain: math.sqrt(d2 / size) for r, d2 in zip(references, squares, strict=True)},
    )


def _squared_distance(reference: Reference, row: Array) -> float:
    off = row - reference.centre
    return float(off @ np.linalg.solve(reference.scale, off))


def _log_density(reference: Reference, squared_distance: float) -> float:
    """Of the multivariate t distribution."""
    size, degrees = len(reference.centre), reference.degrees
    normaliser = gammaln((degrees + size) / 2) - gammaln(degrees / 2) - size / 2 * math.log(degrees * math.pi)
    _, log_determinant = np.linalg.slogdet(reference.scale)
    tail = (degrees + size) / 2 * math.log1p(squared_distance / degrees)
    return float(normaliser - log_determinant / 2 - tail)
