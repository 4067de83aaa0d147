"""Bytes by key: what every object store does, and reading them verified.

A key is made by the store for one `put` and never used again, so that nothing is ever overwritten. Bytes count from the
moment a row names their key (`seamwise.storage.object_rows`); keys without a row are leftovers
(`seamwise.storage.upkeep`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from seamwise.errors import NotFoundError
from seamwise.storage.faults import DamagedError

CHUNK = 1 << 20
_KEY = re.compile(r"[0-9a-f]{2}/(\.part-)?[0-9a-f]{30}")


@dataclass(frozen=True)
class Stored:
    """Bytes that a store holds: their key there, the sha256 of the content (hexadecimal) and the size in bytes."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Listed:
    """A key found in a store, and when its bytes were written."""

    key: str
    written_at: datetime


class ObjectStore(Protocol):
    """The port. All raise UnavailableError for a store that does not answer, NotFoundError for a key without bytes."""

    def prepare(self) -> None:
        """Makes the folder or bucket unless it is there."""

    def put(self, content: Iterable[bytes]) -> Stored:
        """Writes chunks as they come, returns when they are safe; an error of `content` passes and nothing stays."""

    def read(self, key: str) -> Iterator[bytes]:
        """Chunks of the bytes, as they are: `verified` compares them with their hash."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`, not verified; fewer at the end."""

    def delete(self, key: str) -> None:
        """Removes the bytes; a key without bytes is no error."""

    def listed(self) -> Iterator[Listed]:
        """All keys in the store, in any order, those of broken-off writes too where they can be seen."""


class Hashed:
    """Passes chunks on and hashes them; `failed` holds the error that the chunks themselves raised."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha256()
        self.size = 0
        self.failed: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self._hash.update(chunk)
                self.size += len(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failed = error
            raise

    def stored(self, key: str) -> Stored:
        return Stored(key, self._hash.hexdigest(), self.size)


def new_key() -> str:
    """A random key, spread over 256 folders."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name[2:]}"


def is_key(key: str) -> bool:
    """Whether a store may have made a key."""
    return _KEY.fullmatch(key) is not None


def checked_key(key: str) -> str:
    """The key itself; NotFoundError for what no store made, above all anything that leads out of its folder."""
    if not is_key(key):
        raise NotFoundError(f"object {key[:60]!r}: not a key of this store")
    return key


def verified(store: ObjectStore, stored: Stored) -> Iterator[bytes]:
    """Chunks of an object; DamagedError at the end when they are not what was stored: keep none of them then."""
    hashed = Hashed(store.read(stored.key))
    yield from hashed
    if hashed.stored(stored.key) != stored:
        raise DamagedError(
            f"object {stored.key}: its bytes are not those that were stored (sha256 {stored.sha256}); restore it "
            "from a backup"
        )


def read_whole(store: ObjectStore, stored: Stored) -> bytes:
    """All bytes of an object that fits into memory, verified."""
    return b"".join(verified(store, stored))
