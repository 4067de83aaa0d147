"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): colour photographs of 32 x 32 pixels, 6 000 or 600 a class."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seamwise.errors import BadInputError
from seamwise.experiments.sets.cifar_binary import BinaryVersion, read_archive, read_folder
from seamwise.experiments.sets.fetch import Remote
from seamwise.experiments.sets.labelled_set import LabelledSet, Samples
from seamwise.experiments.sets.places import existing_folder, first_with, require
from seamwise.experiments.sets.strips import read_strips

_HOME = "https://www.cs.toronto.edu/~kriz/"
TRAIN_STRIPS = tuple(f"train-{part}.npz" for part in range(5))
TEST_STRIPS = "test.npz"

_FIRST_50 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain
"""


@dataclass(frozen=True)
class Cifar:
    """One of the sets: its classes, the pictures of each class for training and for testing, and its binary version."""

    name: str
    classes: tuple[str, ...]
    train_each: int
    test_each: int
    binary: BinaryVersion

    @property
    def remote(self) -> tuple[Remote, ...]:
        """Its home on the network."""
        archive = self.binary.archive
        return (Remote(archive, self.binary.md5, (_HOME + archive,)),)


CIFAR10 = Cifar(
    name="cifar10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    train_each=5000,
    test_each=1000,
    binary=BinaryVersion(
        archive="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test="test_batch.bin",
        label_bytes=1,
        classes=10,
    ),
)

CIFAR100_FIRST50 = Cifar(
    name="cifar100_first50",
    classes=tuple(_FIRST_50.split()),
    train_each=500,
    test_each=100,
    binary=BinaryVersion(
        archive="cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        folder="cifar-100-binary",
        train=("train.bin",),
        test="test.bin",
        label_bytes=2,
        classes=100,
    ),
)


def read_cifar(cifar: Cifar, data: Path) -> LabelledSet:
    """The set from its binary version (the archive or its folder) or from strips of WebP pictures in .npz files.

    x: (N, 3, 32, 32) RGB. They are looked for in the folder and in the folder of the set's name below it. The samples
    come in an order of their own, so the set is the same whatever it was read from. Raises BadInputError naming the
    file that is missing, damaged or of another set.
    """
    train, test = _read(cifar, existing_folder(data))
    for side, samples, each in (("training", train, cifar.train_each), ("test", test, cifar.test_each)):
        counts = np.bincount(samples[1], minlength=len(cifar.classes))
        for name, count in zip(cifar.classes, counts.tolist(), strict=True):
            if count != each:
                raise BadInputError(
                    f"{data}: the {side} side of {cifar.name} has {count} pictures of class {name}, not {each}; "
                    "copy the whole set again"
                )
    return LabelledSet.of(cifar.name, _in_order(train), _in_order(test), cifar.classes)


def _read(cifar: Cifar, data: Path) -> tuple[Samples, Samples]:
    """Train and test side from the first layout found."""
    binary, near = cifar.binary, (data, data / cifar.name)
    folder = first_with([*(place / binary.folder for place in near), *near], [*binary.train, binary.test])
    if folder is not None:
        return _kept(cifar, *read_folder(binary, folder))
    place = first_with(near, [binary.archive])
    if place is not None:
        return _kept(cifar, *read_archive(binary, place / binary.archive))
    place = first_with(reversed(near), [*TRAIN_STRIPS, TEST_STRIPS])
    if place is None:
        raise BadInputError(
            f"{data}: {cifar.name} is not there; place {binary.archive} (the binary version) in it, or the folder "
            f"{binary.folder} that it unpacks to"
        )
    require(place, (*TRAIN_STRIPS, TEST_STRIPS))
    parts = [read_strips(place / name, cifar.classes) for name in TRAIN_STRIPS]
    train = np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    return train, read_strips(place / TEST_STRIPS, cifar.classes)


def _kept(cifar: Cifar, *sides: Samples) -> tuple[Samples, Samples]:
    """The classes of the set alone, which are the first ones of the binary version's."""
    train, test = ((x[y < len(cifar.classes)], y[y < len(cifar.classes)]) for x, y in sides)
    return train, test


def _in_order(samples: Samples) -> Samples:
    """By class and then by the hash of the picture; equal pictures of a class are interchangeable."""
    x, y = samples
    hashes = [hashlib.sha256(picture.data).digest() for picture in np.ascontiguousarray(x)]
    order = sorted(range(len(y)), key=lambda i: (y[i], hashes[i]))
    return x[order], y[order]
