"""Looks after stored objects: removes what no row names, and finds what is damaged or missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import Engine, select

from seamwise.errors import NotFoundError, SeamwiseError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading
from seamwise.storage.faults import DamagedError
from seamwise.storage.object_store import ObjectStore, Stored, is_key, verified
from seamwise.storage.tables import StoredObject

BATCH = 500
KEPT = timedelta(days=7)


def collect(database: Engine, store: ObjectStore, *, older_than: timedelta = KEPT, now: datetime | None = None) -> int:
    """Deletes the bytes of keys without a row and counts them.

    Younger ones stay: their row may be on its way. A key gets its row once, and at most `older_than` after its `put`:
    no key found here can still be committed. What another program put beside the objects is left alone.
    """
    before = (now or utc_now()) - older_than
    old = (found.key for found in store.listed() if found.written_at < before and is_key(found.key))
    deleted = 0
    while batch := list(islice(old, BATCH)):
        with reading(database) as session:
            known = set(session.scalars(select(StoredObject.key).where(StoredObject.key.in_(batch))))
        for key in batch:
            if key not in known:
                store.delete(key)
                deleted += 1
    return deleted


@dataclass(frozen=True)
class Scrubbed:
    """What reading one object again found: problem is None for whole ones."""

    stored: Stored
    problem: str | None


def scrub(database: Engine, store: ObjectStore) -> Iterator[Scrubbed]:
    """Reads every object that has a row and compares it with its hash, in the order of the hashes.

    Raises UnavailableError when the store does not answer.
    """
    last = ""
    while True:
        with reading(database) as session:
            rows = session.scalars(
                select(StoredObject).where(StoredObject.sha256 > last).order_by(StoredObject.sha256).limit(BATCH)
            ).all()
        if not rows:
            return
        for row in rows:
            stored = Stored(row.key, row.sha256, row.size)
            problem = _problem(store, stored)
            if problem is None or _named_still(database, stored):  # the row may have gone since, and the bytes after it
                yield Scrubbed(stored, problem)
        last = rows[-1].sha256


def _problem(store: ObjectStore, stored: Stored) -> str | None:
    try:
        for _ in verified(store, stored):
            pass
    except (DamagedError, NotFoundError) as error:
        return str(error)
    except SeamwiseError as error:
        if isinstance(error.__cause__, OSError):  # the disk beneath this one: others may be whole
            return str(error)
        raise
    return None


def _named_still(database: Engine, stored: Stored) -> bool:
    with reading(database) as session:
        row = session.get(StoredObject, stored.sha256)
    return row is not None and row.key == stored.key
