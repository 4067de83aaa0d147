"""Scikit-learn's digits: 1 797 handwritten digits of 8 x 8 pixels, a stand-in for MNIST that comes with a package."""

from __future__ import annotations

import numpy as np

from seamwise.errors import UsageError
from seamwise.experiments.sets.labelled_set import LabelledSet

TEST_EVERY = 5
_BRIGHTEST = 16  # of the set's grey levels, which become 255


def read_digits() -> LabelledSet:
    """The set with every fifth picture of a class for testing: (1442, 8, 8) to learn from, (355, 8, 8) to test on.

    Raises UsageError where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError("the set 'digits' comes with scikit-learn: pip install scikit-learn") from error
    pictures, labels = load_digits(return_X_y=True)
    x = np.rint(pictures.reshape(-1, 8, 8) * (255 / _BRIGHTEST)).astype(np.uint8)
    y = labels.astype(np.uint8)
    test = np.zeros(len(y), dtype=bool)
    for label in range(10):  # of each class: the digits were written in turn, so every fifth of all is mostly 4 or 9
        test[np.flatnonzero(y == label)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return LabelledSet.of("digits", (x[~test], y[~test]), (x[test], y[test]), tuple("0123456789"))
