"""The sets themselves, from the development data; the other files of this folder test the same on made-up sets."""

import os
from pathlib import Path

import pytest

from seamwise.experiments.sets import open_set

PIXELS = 255 * 50_000 * 32 * 32


@pytest.fixture
def data() -> Path:
    given = os.environ.get("SEAMWISE_TEST_DATA")
    if not given:
        pytest.skip("SEAMWISE_TEST_DATA names no folder with the sets")
    return Path(given)


@pytest.mark.data
def test_mnist(data):
    found = open_set("mnist", data)
    assert (found.x.shape, found.x_test.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert found.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert found.x.float().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert found.digest.startswith("1e35582d42a9")


@pytest.mark.data
def test_cifar10(data):
    found = open_set("cifar10", data)
    assert (found.x.shape, found.x_test.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    # the published mean of the training pictures, red, green and blue
    assert [found.x[:, c].sum().item() / PIXELS for c in range(3)] == pytest.approx(
        [0.49139968, 0.48215841, 0.44653091], abs=1e-8
    )
    assert found.digest.startswith("449998bd777e")


@pytest.mark.data
def test_first_fifty_classes_of_cifar100(data):
    found = open_set("cifar100_first50", data)
    assert (found.x.shape, found.x_test.shape) == ((25_000, 3, 32, 32), (5_000, 3, 32, 32))
    assert found.y.bincount().tolist() == [500] * 50
    assert found.y_test.bincount().tolist() == [100] * 50
    assert found.digest.startswith("6b64f360417e")
