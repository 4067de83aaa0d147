"""Jobs: seen, followed, cancelled, queued again."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from threading import Event
from typing import Any

import pytest

from seamwise.app import jobs
from seamwise.app.actor import SYSTEM, Actor
from seamwise.app.app import App
from seamwise.app.keys import NewKey, create_key, revoke_key
from seamwise.storage.database import writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import JobState, Role
from seamwise.tasks import attempts
from seamwise.tasks.attempts import Attempt, LogLine
from seamwise.tasks.doorbell import LocalDoorbell
from seamwise.web import sse
from tests.contract.rows import add_job, claimed
from tests.web.caller import Caller


def say(app: App, attempt: Attempt, *texts: str, **progress: float) -> None:
    with writing(app.database) as session:
        attempts.heartbeat(session, attempt, progress=progress or None, lines=[LogLine(text) for text in texts])


def finish(app: App, attempt: Attempt, **result: Any) -> None:
    with writing(app.database) as session:
        attempts.finish(session, attempt, result)


def parsed(text: str) -> list[tuple[str, dict[str, Any], str | None]]:
    """(event, data, id) of each event of a stream, comments left out."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
    return found


def test_a_list_by_state_and_kind_in_pages(api: Caller, app: App) -> None:
    for number in range(5):
        add_job(app.database, kind="train" if number % 2 else "import", line=f"l{number}")
    first = api.get("/jobs", params={"limit": 3}).json()
    second = api.get("/jobs", params={"limit": 3, "cursor": first["next"]}).json()
    assert [job["id"] for job in first["items"] + second["items"]] == [5, 4, 3, 2, 1]
    assert second["next"] is None
    assert [job["id"] for job in api.get("/jobs", params={"kind": "train"}).json()["items"]] == [4, 2]
    assert [job["id"] for job in api.get("/jobs", params={"line": "l3"}).json()["items"]] == [4]
    assert api.get("/jobs", params={"state": "running"}).json()["items"] == []
    assert api.get("/jobs", params={"state": "lost"}).status_code == 422
    assert api.get("/jobs", params={"cursor": "x'"}).status_code == 422


def test_a_job_that_is_cancelled_and_queued_again(api: Caller, app: App) -> None:
    job = add_job(app.database)
    assert api.post(f"/jobs/{job.id}/cancel").json()["state"] == "cancelled"
    assert api.post(f"/jobs/{job.id}/cancel").json()["state"] == "cancelled"
    again = api.post(f"/jobs/{job.id}/requeue")
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    assert isinstance(app.doorbell, LocalDoorbell)
    assert app.doorbell.wait(0) == job.id
    refused = api.post(f"/jobs/{job.id}/requeue")
    assert refused.status_code == 409
    assert "only a failed or cancelled" in refused.json()["detail"]


@pytest.mark.parametrize("path", ["", "/log", "/events"])
def test_a_job_that_is_not_there(api: Caller, path: str) -> None:
    assert api.get(f"/jobs/7{path}").status_code == 404
    assert api.get(f"/jobs/{2**63}{path}").status_code == 422


def test_a_log_in_pages(api: Caller, app: App) -> None:
    attempt = claimed(app.database)
    say(app, attempt, "one", "two", "three")
    first = api.get(f"/jobs/{attempt.job_id}/log", params={"limit": 2}).json()
    rest = api.get(f"/jobs/{attempt.job_id}/log", params={"cursor": first["next"]}).json()
    assert [line["text"] for line in first["items"] + rest["items"]] == ["one", "two", "three"]


def test_the_events_of_an_ended_job_come_at_once_and_close(api: Caller, app: App) -> None:
    attempt = claimed(app.database)
    say(app, attempt, "one", "two\nlines", fraction=0.5)
    finish(app, attempt, images=3)
    answer = api.get(f"/jobs/{attempt.job_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "etag" not in answer.headers
    events = parsed(answer.text)
    assert [kind for kind, _, _ in events] == ["line", "line", "progress", "end"]
    assert [number for _, _, number in events] == ["1", "2", None, None]
    assert events[1][1]["text"] == "two\nlines"
    assert events[3][1] == {
        "state": "succeeded",
        "attempt": 1,
        "progress": {"fraction": 0.5},
        "result": {"images": 3},
        "error": None,
    }


def test_a_reader_that_comes_back_gets_what_it_has_not_seen(api: Caller, app: App) -> None:
    attempt = claimed(app.database)
    say(app, attempt, *(str(number) for number in range(450)))
    finish(app, attempt)
    answer = api.get(f"/jobs/{attempt.job_id}/events", headers={"Last-Event-ID": "10"})
    lines = [data["text"] for kind, data, _ in parsed(answer.text) if kind == "line"]
    assert lines == [str(number) for number in range(10, 450)]
    assert api.get(f"/jobs/{attempt.job_id}/events", headers={"Last-Event-ID": "x"}).status_code == 422


def test_events_follow_a_running_job(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVERY_S", 0.001)
    attempt = claimed(app.database)
    steps = iter(
        [
            lambda: say(app, attempt, "half", fraction=0.5),
            lambda: None,  # nothing new: no event
            lambda: say(app, attempt, "done", fraction=1.0),
            lambda: finish(app, attempt),
        ]
    )
    outages = iter([False, True, False, False, False])

    def look(after: int | None) -> jobs.News:
        if next(outages):
            raise UnavailableError("away")
        next(steps)()
        return jobs.follow_job(app, SYSTEM, attempt.job_id, after)

    async def read() -> str:
        first = jobs.follow_job(app, SYSTEM, attempt.job_id, None)
        return "".join([part async for part in sse.job_events(look, first, None, Event())])

    told = [(kind, data.get("text") or data["state"]) for kind, data, _ in parsed(asyncio.run(read()))]
    assert told == [
        ("progress", "running"),
        ("line", "half"),
        ("progress", "running"),
        ("line", "done"),
        ("progress", "running"),
        ("progress", "succeeded"),
        ("end", "succeeded"),
    ]


def test_events_end_with_the_service(app: App) -> None:
    attempt = claimed(app.database)
    look = partial(jobs.follow_job, app, SYSTEM, attempt.job_id)
    closing = Event()

    async def read() -> int:
        count = 0
        async for _ in sse.job_events(look, look(None), None, closing):
            count += 1
            closing.set()
        return count

    assert asyncio.run(read()) == 1


def test_events_end_with_the_key(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVERY_S", 0.001)
    attempt = claimed(app.database)
    key = create_key(app, SYSTEM, NewKey(name="reader", role=Role.VIEWER)).key
    look = partial(jobs.follow_job, app, Actor(f"key/{key.id}", Role.VIEWER), attempt.job_id)

    async def read() -> list[str]:
        parts = []
        async for part in sse.job_events(look, look(None), None, Event()):
            parts.append(part)
            revoke_key(app, SYSTEM, key.id)
            say(app, attempt, "not for everyone")
        return parts

    assert len(asyncio.run(asyncio.wait_for(read(), 30))) == 1


def test_a_scrub_is_queued_once_for_one_key(api: Caller) -> None:
    first = api.post("/scrubs", json={}, headers={"Idempotency-Key": "a"})
    assert first.status_code == 202
    assert first.headers["location"] == "/api/v1/jobs/1"
    assert (first.json()["kind"], first.json()["state"]) == ("scrub", JobState.QUEUED)
    assert api.post("/scrubs", json={}, headers={"Idempotency-Key": "a"}).json()["id"] == 1
    assert api.post("/scrubs", json={"collect": True}, headers={"Idempotency-Key": "a"}).status_code == 409
    assert api.post("/scrubs", json={}).json()["id"] == 2
