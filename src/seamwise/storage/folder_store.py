"""Objects as files of a local folder, each fsynced with its folder before `put` returns."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from seamwise.errors import NotFoundError, SeamwiseError
from seamwise.storage.faults import UnavailableError
from seamwise.storage.object_store import CHUNK, Hashed, Listed, Stored, checked_key, new_key


class FolderStore:
    """The object store of the embedded mode."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        with self._told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            _sync(self.folder.parent)

    def put(self, content: Iterable[bytes]) -> Stored:
        key = new_key()
        path = self.folder / key
        beside = path.with_name(f".part-{path.name}")
        hashed = Hashed(content)
        with self._told(path):
            if not path.parent.exists():
                path.parent.mkdir(exist_ok=True)  # never the store's own folder: its disk may only be away
                _sync(self.folder)
        try:
            self._write(beside, hashed)
            with self._told(path):
                beside.replace(path)
                _sync(path.parent)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
        return hashed.stored(key)

    def read(self, key: str) -> Iterator[bytes]:
        with self._told(self._path(key)), self._path(key).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def read_range(self, key: str, start: int, length: int) -> bytes:
        with self._told(self._path(key)), self._path(key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def delete(self, key: str) -> None:
        with self._told(self._path(key)):
            self._path(key).unlink(missing_ok=True)

    def listed(self) -> Iterator[Listed]:
        with self._told(self.folder):
            for path in self.folder.glob("??/*"):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    yield Listed(path.relative_to(self.folder).as_posix(), written)

    def _path(self, key: str) -> Path:
        return self.folder / checked_key(key)

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        with self._told(path):
            file = path.open("xb")
        with file:
            # Errors of the chunks themselves (a sender that went away) are not errors of writing.
            for chunk in chunks:
                with self._told(path):
                    file.write(chunk)
            with self._told(path):
                file.flush()
                os.fsync(file.fileno())

    @contextmanager
    def _told(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if not self.folder.is_dir():
                raise UnavailableError(
                    f"{self.folder}: the folder of the objects is gone; mount its disk again"
                ) from error
            raise NotFoundError(f"object {path}: there is no such file") from error
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "free some space" if full else "see to the disk and its rights"
            raise SeamwiseError(f"{path}: {error.strerror or error}; {remedy} and try again") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
