"""Job kind `scrub`: every object is read, what is damaged is named, nothing fails for it."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.app import App
from seamwise.app.scrubs import NewScrub, start_scrub
from seamwise.storage.database import writing
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.object_rows import commit_object
from seamwise.storage.tables import JobState, Role
from tests.app.jobs import work


def put(app: App, content: bytes, committed: bool = True) -> tuple[str, Path]:
    """Hash and file of some stored bytes."""
    stored = app.objects.put([content])
    if committed:
        with writing(app.database) as session:
            commit_object(session, stored)
    assert isinstance(app.objects, FolderStore)
    return stored.sha256, app.objects.folder / stored.key


def test_damaged_and_missing_objects_are_named(app: App) -> None:
    put(app, b"whole")
    (one, damaged), (two, gone) = put(app, b"damaged"), put(app, b"gone")
    damaged.write_bytes(b"Damaged")
    gone.unlink()
    start_scrub(app, SYSTEM, NewScrub())
    told: list[dict[str, Any]] = []
    job = work(app, told)
    assert job.state is JobState.SUCCEEDED
    assert job.result == {"checked": 3, "damaged": 2, "objects": sorted([one, two])}
    assert [message["level"] for message in told] == ["error", "error"]


def test_leftovers_go_when_it_is_asked(app: App) -> None:
    _, kept = put(app, b"kept")
    _, old = put(app, b"old", committed=False)
    _, young = put(app, b"young", committed=False)
    for path in (kept, old):
        os.utime(path, (0, 0))
    start_scrub(app, SYSTEM, NewScrub(collect=True))
    result = work(app).result
    assert result is not None
    assert result["collected"] == 1
    assert (kept.exists(), old.exists(), young.exists()) == (True, False, True)


def test_it_stops_when_the_worker_must_go(app: App) -> None:
    put(app, b"x")
    start_scrub(app, SYSTEM, NewScrub())
    stop = Event()
    stop.set()
    job = work(app, stop=stop)
    assert job.error is not None
    assert "left for another worker" in job.error


def test_only_an_admin_may_ask(app: App) -> None:
    with pytest.raises(ForbiddenError):
        start_scrub(app, Actor("key/2", Role.TRAINER), NewScrub())
