"""Health, readiness, metrics."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from seamwise.app import health
from seamwise.app.app import App
from seamwise.storage.columns import utc_now
from seamwise.storage.database import writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.tables import Job
from tests.contract.rows import add_job, claimed
from tests.web.caller import Caller


@contextmanager
def away(_database: Engine) -> Iterator[Any]:
    raise UnavailableError("the database does not answer: password=hush")
    yield


def test_health_asks_nobody(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "reading", away)
    assert api.of(None).get("/health").json()["status"] == "ok"


def test_ready_needs_no_key(api: Caller) -> None:
    answer = api.of(None).get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "database": "ok",
        "objects": "ok",
        "oldest_queued_s": None,
        "heartbeat_age_s": None,
        "serving": None,
        "loading": None,
    }


def test_jobs_that_wait_too_long_are_told(api: Caller, app: App) -> None:
    claimed(app.database)
    job = add_job(app.database)
    fresh = api.get("/ready").json()
    assert fresh["status"] == "ready"
    assert 0 <= fresh["oldest_queued_s"] < 60
    assert 0 <= fresh["heartbeat_age_s"] < 60
    with writing(app.database) as session:
        session.get_one(Job, job.id).queued_at = utc_now() - timedelta(seconds=app.settings.patience_s + 1)
    late = api.get("/ready")
    assert (late.status_code, late.json()["status"]) == (200, "late")


def test_a_database_that_is_away_makes_it_not_ready(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "reading", away)
    answer = api.get("/ready")
    assert (answer.status_code, answer.json()["status"], answer.json()["database"]) == (503, "away", "does not answer")
    assert "hush" not in answer.text
    assert "seamwise_database_up 0.0" in api.get("/metrics").text


def test_an_object_store_that_is_away_makes_it_not_ready(
    api: Caller, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(app.objects, FolderStore)
    shutil.rmtree(app.objects.folder)
    gone = api.get("/ready")
    assert (gone.status_code, gone.json()["status"], gone.json()["objects"]) == (503, "away", "does not answer")
    assert str(app.objects.folder) not in gone.text
    app.objects.prepare()
    assert api.get("/ready").status_code == 200

    def fails(self: FolderStore, key: str, start: int, length: int) -> bytes:
        raise UnavailableError("away")

    monkeypatch.setattr(FolderStore, "read_range", fails)
    answer = api.get("/ready")
    assert (answer.status_code, answer.json()["objects"]) == (503, "does not answer")


def test_metrics_count_requests_by_route_and_jobs_by_state(api: Caller, app: App) -> None:
    add_job(app.database)
    for name in ("x", "y"):
        api.get(f"/domains/{name}")
    text = api.get("/metrics").text
    assert 'seamwise_http_requests_total{method="GET",route="/domains/{name}",status="404"} 2.0' in text
    assert 'seamwise_jobs{state="queued"} 1.0' in text
    assert 'seamwise_jobs{state="running"} 0.0' in text
    assert "seamwise_database_up 1.0" in text
    assert "seamwise_last_heartbeat_age_seconds NaN" in text
