"""The labelled sets by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seamwise.errors import UsageError
from seamwise.experiments.sets.cifar import CIFAR10, CIFAR100_FIRST50, Cifar, read_cifar
from seamwise.experiments.sets.digits import read_digits
from seamwise.experiments.sets.fetch import Progress, Remote, cache_folder, fetch
from seamwise.experiments.sets.labelled_set import LabelledSet
from seamwise.experiments.sets.mnist import REMOTE as MNIST_REMOTE
from seamwise.experiments.sets.mnist import read_mnist


@dataclass(frozen=True)
class _Source:
    """How a set is read from a folder, and the files that are fetched for it."""

    read: Callable[[Path], LabelledSet]
    remote: tuple[Remote, ...]


def _cifar(cifar: Cifar) -> _Source:
    return _Source(partial(read_cifar, cifar), cifar.remote)


_SOURCES = {
    "mnist": _Source(read_mnist, MNIST_REMOTE),
    "cifar10": _cifar(CIFAR10),
    "cifar100_first50": _cifar(CIFAR100_FIRST50),
}
SET_NAMES = ("digits", *_SOURCES)


def open_set(name: str, data: Path | None = None, progress: Progress | None = None) -> LabelledSet:
    """The labelled set of that name, from the folder `data` or from a cache that is filled from the network.

    digits comes with scikit-learn and needs neither. progress: told how much of a file has been fetched. Raises
    UsageError for an unknown name, BadInputError for files that are missing or damaged, SeamwiseError where they cannot
    be fetched.
    """
    if name == "digits":
        return read_digits()
    if name not in _SOURCES:
        raise UsageError(f"no data set {name!r}; there are {', '.join(SET_NAMES)}")
    source = _SOURCES[name]
    if data is None:
        data = cache_folder()
        fetch(name, source.remote, data, progress)
    return source.read(data)
