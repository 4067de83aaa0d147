"""Labelled sets of a few pictures, written in the formats of the real ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seamwise.experiments.sets.cifar import TEST_STRIPS, TRAIN_STRIPS, Cifar
from seamwise.experiments.sets.cifar_binary import BinaryVersion
from seamwise.experiments.sets.labelled_set import Samples

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

# The first two of three classes, ten and four pictures each; like CIFAR-100 with a coarser label before the class.
CIFAR = Cifar(
    name="tiny",
    classes=("crack", "pore"),
    train_each=10,
    test_each=4,
    binary=BinaryVersion(
        archive="tiny-binary.tar.gz",
        md5="",
        folder="tiny-batches-bin",
        train=("one.bin", "two.bin"),
        test="test.bin",
        label_bytes=2,
        classes=3,
    ),
)


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist_contents(train: int = 12, test: int = 5) -> dict[str, bytes]:
    """The four files of a set of 4 x 6 pictures, by name."""
    rng = np.random.default_rng(0)
    sides = [
        (rng.integers(0, 256, (n, 4, 6), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10) for n in (train, test)
    ]
    return dict(zip(IDX_NAMES, [idx(part) for side in sides for part in side], strict=True))


def md5_of(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}


def write_files(folder: Path, contents: dict[str, bytes], zipped: Iterable[str] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if name in zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def cifar_samples(each: int, classes: int, seed: int) -> Samples:
    """Random pictures (N, 3, 32, 32); two of a class are equal, and one picture is in two classes."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (each * classes, 3, 32, 32), dtype=np.uint8)
    y = np.repeat(np.arange(classes, dtype=np.uint8), each)
    x[1], x[each] = x[0], x[2]
    return x, y


def cifar_sides() -> tuple[Samples, Samples]:
    """Train and test side with all three classes of the binary version."""
    return cifar_samples(10, 3, seed=1), cifar_samples(4, 3, seed=2)


def shuffled(samples: Samples, seed: int) -> Samples:
    order = np.random.default_rng(seed).permutation(len(samples[1]))
    return samples[0][order], samples[1][order]


def records(samples: Samples) -> bytes:
    x, y = samples
    return b"".join(bytes([7, label]) + picture.tobytes() for picture, label in zip(x, y, strict=True))


def binary_contents(seed: int = 0) -> dict[str, bytes]:
    """The files of records, in an order of their own."""
    train, test = (shuffled(side, seed) for side in cifar_sides())
    half = len(train[1]) // 2
    return {
        "one.bin": records((train[0][:half], train[1][:half])),
        "two.bin": records((train[0][half:], train[1][half:])),
        "test.bin": records(test),
    }


def write_archive(path: Path, contents: dict[str, bytes], below: str = "tiny-batches-bin/") -> Cifar:
    """A gzipped tar file of the contents; gives the set that expects it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(below + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return expecting(path)


def expecting(archive: Path) -> Cifar:
    """The tiny set with the checksum of this archive."""
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    return replace(CIFAR, binary=replace(CIFAR.binary, md5=md5))


def webp(picture: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) losslessly."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", lossless=True, exact=True)
    return stream.getvalue()


def strips(samples: Samples, strip_len: int = 2, classes: Sequence[str] = CIFAR.classes) -> dict[str, NDArray]:
    """The arrays of a file of strips."""
    x, y = samples
    rows = x.transpose(0, 2, 3, 1).reshape(-1, 32 * strip_len, 32, 3)
    blobs = [webp(strip) for strip in rows]
    return {
        "blob": np.frombuffer(b"".join(blobs), dtype=np.uint8),
        "offsets": np.cumsum([0, *map(len, blobs)]),
        "labels": y,
        "strip_len": np.array(strip_len),
        "class_names": np.array(classes),
    }


def write_strips(folder: Path, seed: int = 0) -> Path:
    """The six files of the tiny set's two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    sides = [shuffled((x[y < 2], y[y < 2]), seed) for x, y in cifar_sides()]
    for part, name in enumerate(TRAIN_STRIPS):
        rows = slice(4 * part, 4 * part + 4)
        np.savez(folder / name, **strips((sides[0][0][rows], sides[0][1][rows])))
    np.savez(folder / TEST_STRIPS, **strips(sides[1]))
    return folder
