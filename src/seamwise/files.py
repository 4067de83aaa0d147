"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from seamwise.errors import BadInputError, SeamwiseError

_REMEDIES = {
    errno.ENOSPC: "no space left; free some or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EACCES: "no permission to write there; change it or choose another folder",
    errno.EPERM: "no permission to write there; change it or choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOENT: "the folder does not exist; make it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    errno.EISDIR: "a folder of that name exists; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def atomic_write(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a power cut, finds either the old content or all of the new.

    The bytes go to a new file in the same folder, reach the disk, and then take the name. On any failure that file is
    removed and the old content stays. Raises SeamwiseError, naming the path and the way out, when the system refuses.
    """
    path = Path(path)
    try:
        _write(path, data)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
        raise SeamwiseError(f"cannot write {path}: {remedy}") from error


def check_folder(folder: str | Path) -> None:
    """Raises BadInputError where a folder is meant and a file lies, there or where the folder would have to lie."""
    folder = Path(folder).absolute()
    found = next(place for place in (folder, *folder.parents) if place.exists())
    if not found.is_dir():
        raise BadInputError(f"{found} is a file, not a folder; choose another place")


def check_writable(folder: str | Path) -> None:
    """Makes the folder where it is missing; raises SeamwiseError, as `atomic_write`, where no file can be put there."""
    check_folder(folder)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=".part-", dir=folder):
            pass
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
        raise SeamwiseError(f"cannot write into {folder}: {remedy}") from error


def _write(path: Path, data: bytes) -> None:
    # A short fixed prefix: the target's own name may already be as long as the file system allows.
    handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), _mode(path))
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _sync_folder(path.parent)


def _mode(path: Path) -> int:
    """The permissions the file gets: those of the one it replaces, else what the process's umask leaves."""
    with contextlib.suppress(OSError):
        return path.stat().st_mode & 0o777
    return _DEFAULT_MODE


def _sync_folder(folder: Path) -> None:
    """Make the new name itself last: without this a power cut may bring the old one back."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        # Some file systems cannot sync a folder, and one may write into a folder without reading it; the file is safe.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


def _default_mode() -> int:
    # The umask can only be read by setting it, which is not safe among threads: done once, at import.
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask


_DEFAULT_MODE = _default_mode()
