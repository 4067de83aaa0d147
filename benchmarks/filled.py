"""A database as it is after years: images, jobs, and what hangs on them."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, insert, make_url, text

from seamwise.storage.database import open_database, writing
from seamwise.storage.schema import METADATA, upgrade
from seamwise.storage.tables import JobState, Origin, Side, Source

DOMAINS = 5  # so few that a page of a small database is full, too
LINES = 5
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = {"version": "line-1/1", "images": [1], "domain": None, "last": 1, "total": 1}
Rows = Iterator[dict[str, Any]]


@contextmanager
def filled(server: str | None, images: int, jobs: int) -> Iterator[Engine]:
    """A database with that many rows, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder, empty(server, Path(folder)) as database:
        upgrade(database)
        for table, rows in contents(images, jobs):
            while some := list(islice(rows, 5_000)):
                with writing(database) as session:
                    session.execute(insert(METADATA.tables[table]), some)
        with writing(database) as session:
            session.execute(text("ANALYZE"))
        yield database
        database.dispose()


@contextmanager
def empty(server: str | None, folder: Path) -> Iterator[Engine]:
    if server is None:
        yield open_database(f"sqlite:///{folder / 'lists.db'}")
        return
    address, name = make_url(server).set(drivername="postgresql+psycopg"), f"seamwise_lists_{secrets.token_hex(6)}"
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield open_database(address.set(database=name).render_as_string(hide_password=False))
        finally:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def contents(images: int, jobs: int) -> Iterator[tuple[str, Rows]]:
    """The rows of each table, in an order in which they may come."""
    every, by, at = range(1, images + 1), {"created_by": "key/1"}, {"created_at": NOW}
    live = [number for number in every if number % 100]
    named = {"modality": "radiography", "classes": ["background", "crack"]}
    yield "object", ({"sha256": sha(w, n), "key": sha(w, n)[:32], "size": n, **at} for w in KINDS for n in every)
    yield "domain", ({"name": f"domain-{n}", **named, **by, **at} for n in range(1, DOMAINS + 1))
    yield "image", (image_row(n, images) for n in every)
    yield "job", (job_row(n) for n in range(1, jobs + 1))
    yield (
        "job_log",
        (
            {"job_id": n, "attempt": 1, "level": "info", "text": f"step {line}", "at": NOW}
            for n in range(1, jobs + 1)
            for line in range(20)
        ),
    )
    model: dict[str, Any] = {
        "strategy": {},
        "spec": {},
        "engine": "torch",
        "weights_sha256": sha("image", 1),
        "environment": {},
    }
    model["state_has_pixels"] = False
    yield "model_version", ({"line": f"line-{n}", "number": 1, **model, **by, **at} for n in range(LINES))
    drawn = {"number": 1, "origin": Origin.DRAWN, "made_by": "key/1", "made_at": NOW}
    yield "annotation", ({"image_id": n, "mask_sha256": sha("mask", n), **drawn} for n in live)
    yield "prediction", (prediction_row(n, images) for n in every)
    reviewed = range(1, len(live) // 10)
    yield "review", ({"prediction_id": n, "annotation_id": n, **by, **at} for n in reviewed)
    yield (
        "audit_event",
        ({"actor": f"key/{n % 10}", "action": "image.add", "subject": f"image/{n}", "at": NOW} for n in every),
    )


KINDS = ("image", "mask")


def domain_of(number: int, images: int) -> int:
    """Domains come one after the other, as imports do: the oldest has none of the newest rows."""
    return 1 + (number - 1) * DOMAINS // images


def image_row(number: int, images: int) -> dict[str, Any]:
    dead = number % 100 == 0
    return {
        "sha256": sha("image", number),
        "object_sha256": None if dead else sha("image", number),
        "domain_id": None if number <= images // 10 else domain_of(number, images),
        "source": Source.ONLINE,
        "width": 512,
        "height": 512,
        "bits": 16,
        "weld": f"weld {number // 10}",
        "side": list(Side)[number % 3],
        "received_by": "key/1",
        "received_at": NOW,
        "deleted_at": NOW if dead else None,
    }


def prediction_row(number: int, images: int) -> dict[str, Any]:
    word = {"name": "domain-1", "how": "told", "likely": None, "confidence": 1.0}
    summary = {"width": 512, "height": 512, "pitch_mm": None, "weld": None, "domain": word, "confidence": 0.9}
    return {
        "input_sha256": sha("image", number),
        "image_id": number,
        "domain_id": domain_of(number, images),
        "model_id": 1 + number % LINES,
        "job_id": 2 if number <= 200 else None,
        "summary": summary | {"defects": [], "defects_left_out": 0},
        "watched": True,
        "created_by": "key/1",
        "created_at": NOW,
    }


def job_row(number: int) -> dict[str, Any]:
    state = {0: JobState.FAILED, 1: JobState.CANCELLED}.get(number % 5, JobState.SUCCEEDED)
    if number <= 20:  # as many wait and run, whatever came before
        state = JobState.QUEUED if number % 2 else JobState.RUNNING
    ended = state not in (JobState.QUEUED, JobState.RUNNING)
    return {
        "kind": ("train", "evaluate", "predict")[number % 3],
        "queue": "cpu",
        "line": f"line-{number % LINES}" if ended else None,
        "spec": BATCH if number % 3 == 2 else {"steps": number},
        "created_by": "key/1",
        "state": state,
        "attempt": 1,
        "priority": 100,
        "counter": 0,
        "fruitless": 0,
        "worker": "w",
        "created_at": NOW,
        "queued_at": NOW,
        "heartbeat_at": NOW,
        "finished_at": NOW if ended else None,
    }


def sha(kind: str, number: int) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()
