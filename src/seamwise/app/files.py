"""Between files and stored objects: what is put is committed with the rows that name it, or deleted again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.app.app import App
from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError, UsageError
from seamwise.storage.database import reading
from seamwise.storage.object_rows import commit_object, find_object
from seamwise.storage.object_store import CHUNK, Stored, read_whole, verified
from seamwise.storage.tables import StoredObject

_AT_ONCE = 500  # keys asked for in one statement
_REFUSALS = (BadInputError, NotFoundError, RefusedError, UsageError)


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file's bytes as an object store takes them."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def store_bytes(app: App, data: bytes) -> Stored:
    """Puts some bytes; commit them with `commit_object` in the transaction of the row that names them."""
    return app.objects.put([data])


def fetch(app: App, sha256: str, path: Path) -> None:
    """Writes the content of a hash to a file, which appears whole and verified or not at all.

    Nothing waits for the disk: who keeps the file beyond this process compares it with its hash before using it again.
    Raises NotFoundError for an unknown hash, DamagedError for bytes that changed, SeamwiseError for a full disk.
    """
    with reading(app.database) as session:
        stored = find_object(session, sha256)
    beside = path.with_name(f".part-{secrets.token_hex(8)}")
    try:
        with beside.open("wb") as file:
            for chunk in verified(app.objects, stored):
                file.write(chunk)
        beside.replace(path)
    except OSError as error:
        raise SeamwiseError(f"{path}: {error.strerror or error}; free some space and try again") from error
    finally:
        beside.unlink(missing_ok=True)


def fetch_bytes(app: App, sha256: str) -> bytes:
    """The content of a hash that fits into memory, verified."""
    with reading(app.database) as session:
        stored = find_object(session, sha256)
    return read_whole(app.objects, stored)


class Shelf:
    """Objects put in one piece of work, each either committed or to be deleted."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._put: list[str] = []
        self._tried: set[str] = set()
        self._kept: set[str] = set()
        self._released: list[str] = []

    def put(self, content: Iterable[bytes]) -> Stored:
        """Puts chunks of bytes."""
        stored = self._app.objects.put(content)
        self._put.append(stored.key)
        return stored

    def put_file(self, path: Path) -> Stored:
        """Puts a file's bytes."""
        return self.put(chunks_of(path))

    def commit(self, session: Session, stored: Stored) -> None:
        """Makes bytes count from the transaction's commit on; a copy of known ones is deleted at the shelf's end."""
        self._tried.add(stored.key)
        if commit_object(session, stored):
            self._kept.add(stored.key)

    def release(self, key: str | None) -> None:
        """Bytes that `release_object` let go of: deleted at the shelf's end, when the transaction is through."""
        if key:
            self._released.append(key)

    def _tidy(self, keys: Iterable[str]) -> None:
        for key in keys:
            with suppress(SeamwiseError):  # what stays is collected later
                self._app.objects.delete(key)

    def _without_row(self, keys: list[str]) -> list[str]:
        """Those that no row names: a transaction that let go of them may have been undone, and done differently."""
        named: set[str] = set()
        for start in range(0, len(keys), _AT_ONCE):
            some = StoredObject.key.in_(keys[start : start + _AT_ONCE])
            with reading(self._app.database) as session:
                named |= set(session.scalars(select(StoredObject.key).where(some)))
        return [key for key in keys if key not in named]

    def close(self, error: BaseException | None) -> None:
        """Deletes what nothing names. After an error whose commit may have gone through, nothing that it might name."""
        if error is None:
            self._tidy(key for key in self._put if key not in self._kept)
            self._tidy(self._without_row(self._released))
        else:
            rolled_back = isinstance(error, _REFUSALS)
            self._tidy(key for key in self._put if rolled_back or key not in self._tried)


@contextmanager
def shelf(app: App) -> Iterator[Shelf]:
    """A shelf for objects; put before the transaction inside this block, commit within it."""
    opened = Shelf(app)
    try:
        yield opened
    except BaseException as error:
        opened.close(error)
        raise
    opened.close(None)


@contextmanager
def as_file(content: Path | bytes) -> Iterator[Path]:
    """The content as a file: itself, or a temporary one."""
    if isinstance(content, Path):
        yield content
        return
    with tempfile.TemporaryDirectory(prefix="seamwise-") as folder:
        path = Path(folder) / "content"
        path.write_bytes(content)
        yield path
