"""The binary version of the CIFAR sets: records of one or two label bytes and the 3 x 32 x 32 bytes of a picture."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from seamwise.errors import BadInputError
from seamwise.experiments.sets.labelled_set import Samples
from seamwise.experiments.sets.places import require

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class BinaryVersion:
    """What the archive is called and holds.

    md5: of the archive. folder: what it unpacks to. train, test: the files of records. label_bytes: 1, or 2 of which
    the first is a coarser class that is not used. classes: how many the labels tell apart.
    """

    archive: str
    md5: str
    folder: str
    train: tuple[str, ...]
    test: str
    label_bytes: int
    classes: int


def read_folder(binary: BinaryVersion, folder: Path) -> tuple[Samples, Samples]:
    """Train and test side from the unpacked files; raises BadInputError naming the file."""
    require(folder, (*binary.train, binary.test))

    def content(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise BadInputError(f"{folder / name}: cannot be read ({error}); copy it again") from error

    return _sides(binary, folder, content)


def read_archive(binary: BinaryVersion, archive: Path) -> tuple[Samples, Samples]:
    """Train and test side from the archive, which is read in memory: nothing is unpacked to the disk."""
    wanted, contents = (*binary.train, binary.test), dict[str, bytes]()
    try:
        with archive.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 != binary.md5:
            raise BadInputError(f"{archive}: its content is not the standard one (MD5 {md5}); copy or fetch it again")
        with tarfile.open(archive) as tar:
            for member in filter(tarfile.TarInfo.isfile, tar):
                name = PurePosixPath(member.name).name
                if name in wanted and (stream := tar.extractfile(member)) is not None:
                    contents[name] = stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise BadInputError(f"{archive}: cannot be read ({error}); copy or fetch it again") from error
    missing = [name for name in wanted if name not in contents]
    if missing:
        raise BadInputError(f"{archive}: {', '.join(missing)} not in it; copy or fetch it again")
    return _sides(binary, archive, contents.__getitem__)


def _sides(binary: BinaryVersion, place: Path, content: Callable[[str], bytes]) -> tuple[Samples, Samples]:
    parts = [_records(binary, place / name, content(name)) for name in binary.train]
    train = np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    return train, _records(binary, place / binary.test, content(binary.test))


def _records(binary: BinaryVersion, path: Path, content: bytes) -> Samples:
    size = binary.label_bytes + PIXELS
    if not content or len(content) % size:
        raise BadInputError(
            f"{path}: {len(content)} bytes are no whole records of {size}; it is cut short, copy it again"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, size)
    labels = records[:, binary.label_bytes - 1]
    if labels.max() >= binary.classes:
        raise BadInputError(
            f"{path}: it has a label {labels.max()}, but they go from 0 to {binary.classes - 1}; copy it again"
        )
    return records[:, binary.label_bytes :].reshape(-1, *SHAPE), labels
