"""MNIST (LeCun et al. 1998): 70 000 handwritten digits of 28 x 28 pixels, from the four standard files."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import BadInputError
from seamwise.experiments.sets.fetch import Remote
from seamwise.experiments.sets.idx import decode_idx
from seamwise.experiments.sets.labelled_set import LabelledSet, Samples
from seamwise.experiments.sets.places import existing_folder, first_with

CLASSES = tuple("0123456789")
_ENDS = ("", ".gz")

# Name -> MD5 of the uncompressed content: a file that was compressed anew is as good as the original.
CONTENTS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
REMOTE = tuple(
    Remote(f"mnist/{name}.gz", md5, tuple(f"{mirror}{name}.gz" for mirror in _MIRRORS))
    for name, md5 in {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }.items()
)


def read_mnist(data: Path) -> LabelledSet:
    """The set from the standard files, gzipped or not, in the folder, in mnist/ or in MNIST/raw/ below it.

    x: (60000, 28, 28). Raises BadInputError naming the file that is missing, damaged or not the standard one.
    """
    folders = (existing_folder(data), data / "mnist", data / "MNIST" / "raw")
    folder = first_with(folders, [name + end for name in CONTENTS for end in _ENDS])
    if folder is None:
        raise BadInputError(
            f"{data}: MNIST is not there; place {', '.join(CONTENTS)} (as they are or with .gz) in it or in its mnist/"
        )
    paths = [_file(folder, name) for name in CONTENTS]
    train, test = _samples(*paths[:2]), _samples(*paths[2:])
    return LabelledSet.of("mnist", train, test, CLASSES)


def _file(folder: Path, name: str) -> Path:
    found = next((folder / (name + end) for end in _ENDS if (folder / (name + end)).is_file()), None)
    if found is None:
        raise BadInputError(f"{folder}: missing {name} (or {name}.gz); copy the whole set there")
    return found


def _samples(images: Path, labels: Path) -> Samples:
    x, y = _read(images, 3), _read(labels, 1)
    if len(x) != len(y):
        raise BadInputError(f"{images} holds {len(x)} pictures but {labels} {len(y)} classes; copy both again")
    return x, y


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":  # by content: browsers unpack a download and leave its name
            content = gzip.decompress(content)
        array = decode_idx(content, dimensions)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}; copy it again") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: cannot be read ({error}); copy it again") from error
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != CONTENTS[path.name.removesuffix(".gz")]:
        raise BadInputError(f"{path}: its content is not the standard one (MD5 {md5} uncompressed); copy it again")
    return array
