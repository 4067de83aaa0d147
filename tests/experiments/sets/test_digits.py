import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from seamwise.errors import UsageError
from seamwise.experiments.sets import open_set


def test_every_fifth_picture_of_a_class_is_for_testing():
    found = open_set("digits")
    assert (found.x.shape, found.x_test.shape) == ((1442, 8, 8), (355, 8, 8))
    assert (found.x.dtype, found.y.dtype) == (torch.uint8, torch.int64)
    assert found.classes == tuple("0123456789")
    pictures, labels = load_digits(return_X_y=True)
    assert found.y_test.bincount().tolist() == (np.bincount(labels) // 5).tolist()
    for label in range(10):
        for x, expected in zip(found.x_test[found.y_test == label], pictures[labels == label][4::5], strict=True):
            assert np.abs(x.numpy().ravel() * (16 / 255) - expected).max() < 0.04
    assert len(found.y) + len(found.y_test) == len(labels)


def test_brightness_goes_from_0_to_255():
    found = open_set("digits")
    assert (int(found.x.min()), int(found.x.max())) == (0, 255)
    assert found.x.unique().tolist() == [round(level * 255 / 16) for level in range(17)]


def test_results_know_their_data():
    assert open_set("digits").digest == "3baeb8053ef4be8b3373d48b5836a8071b23b35e392d6068b06c37e50f02811d"


def test_without_scikit_learn_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match="pip install scikit-learn"):
        open_set("digits")
