"""A worker with toy jobs: nothing is lost or done twice, whatever ends a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import select, update

from seamwise.app.app import App
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import Job, JobLog, JobState
from seamwise.tasks.attempts import StaleAttemptError, claim
from seamwise.tasks.control import cancel
from seamwise.tasks.doorbell import LocalDoorbell
from seamwise.tasks.lists import find_job
from seamwise.worker.loop import Worker
from seamwise.worker.scratch import PREFIX, scratch_folder, sweep
from seamwise.worker.turn import Turn
from tests.contract.rows import add_job
from tests.worker.processes import alive, children, until

TOY = (sys.executable, "-W", "ignore", str(Path(__file__).with_name("toy_child.py")))


def add(app: App, **spec: Any) -> int:
    return add_job(app.database, kind="train", spec=spec).id


def seen(app: App, number: int) -> Job:
    with reading(app.database) as session:
        return find_job(session, number)


def log(app: App, number: int) -> list[JobLog]:
    with reading(app.database) as session:
        return list(session.scalars(select(JobLog).where(JobLog.job_id == number).order_by(JobLog.id)))


def child_of(app: App, number: int) -> int:
    """The process of a running job, as its log tells."""
    line = until(lambda: next((line.text for line in reversed(log(app, number)) if "in process" in line.text), None))
    return int(line.split()[4])


def counted(app: App, number: int) -> int:
    return (seen(app, number).progress or {}).get("step", 0)


def test_a_job_is_done_with_its_log_progress_and_threads(app: App) -> None:
    number = add(app, steps=30, pause_s=0.05, threads=2)
    assert Worker(app, command=TOY).work()
    job = seen(app, number)
    assert (job.state, job.result, job.attempt, job.error) == (JobState.SUCCEEDED, {"counted": 30}, 1, None)
    assert job.progress is not None
    assert 0 < job.progress["fraction"] <= 1
    first, second = log(app, number)
    assert first.text.startswith("attempt 1 by worker ")
    assert second.text.endswith("with 2 threads")
    assert not Worker(app, command=TOY).work()


def test_the_most_urgent_job_of_its_queues_goes_first(app: App) -> None:
    late = add_job(app.database, kind="train", spec={"steps": 1}, priority=200).id
    soon = add_job(app.database, kind="train", spec={"steps": 1}, priority=5).id
    other = add_job(app.database, kind="train", spec={"steps": 1}, queue="gpu", priority=1).id
    worker = Worker(app, command=TOY)
    assert worker.work()
    assert [seen(app, number).state for number in (soon, late, other)] == ["succeeded", "queued", "queued"]


def test_a_killed_child_goes_on_from_its_checkpoint(app: App) -> None:
    number = add(app, steps=9, save=2, die_at=7)
    worker = Worker(app, command=TOY)
    assert worker.work()
    job = seen(app, number)
    assert (job.state, job.attempt, job.fruitless) == (JobState.QUEUED, 1, 0)
    assert "signal 9" in str(job.error)
    assert worker.work()
    job = seen(app, number)
    assert (job.state, job.result, job.checkpoint_sha256) == (JobState.SUCCEEDED, {"counted": 9}, None)
    assert any("from 6 in" in line.text for line in log(app, number))
    assert list(app.objects.listed()) == []


def test_what_retrying_cannot_mend_fails_at_once(app: App) -> None:
    number = add(app, steps=3, refuse_at=2)
    Worker(app, command=TOY).work()
    assert (seen(app, number).state, seen(app, number).error) == (JobState.FAILED, "never")


def test_a_mistake_is_tried_three_times_and_its_traceback_is_in_the_log(app: App) -> None:
    number = add(app, steps=3, break_at=2, always=True)
    worker = Worker(app, command=TOY)
    assert [worker.work() for _ in range(4)] == [True, True, True, False]
    assert seen(app, number).state is JobState.FAILED
    assert seen(app, number).error == "ZeroDivisionError: a mistake"
    assert any("in misfortune" in line.text for line in log(app, number))


def test_a_checkpoint_that_is_not_taken_leaves_no_bytes(app: App, tmp_path: Path) -> None:
    job = add_job(app.database)
    with writing(app.database) as session:
        turn = Turn(app, claim(session, "here", ["cpu"]) or job, tmp_path, print, Event())
    path = tmp_path / "count"
    for content in ("1", "1", "2"):
        path.write_text(content)
        turn.checkpoint(path)
        (kept,) = app.objects.listed()
    with writing(app.database) as session:
        cancel(session, job.id, actor="key/1")
    path.write_text("3")
    with pytest.raises(StaleAttemptError):
        turn.checkpoint(path)
    assert list(app.objects.listed()) == [kept]


def test_figures_that_are_no_numbers_are_left_out(app: App) -> None:
    told: list[dict[str, Any]] = []
    job = add_job(app.database)
    Turn(app, job, app.settings.data, told.append, Event()).progress(0.5, step=3, loss=float("nan"), rate=float("inf"))
    assert told == [{"progress": {"fraction": 0.5, "step": 3}}]


NOT_A_NUMBER = """
import json, sys, time
sys.stdin.readline()
print(json.dumps({"progress": {"loss": float("nan")}}), flush=True)
time.sleep(60)
"""


def test_a_job_whose_watch_fails_does_not_stay_running(app: App) -> None:
    number = add(app)
    assert Worker(app, command=(sys.executable, "-c", NOT_A_NUMBER)).work()
    job = seen(app, number)
    assert (job.state, job.fruitless) == (JobState.QUEUED, 1)
    assert "the watch over it failed" in str(job.error)


def test_an_outage_counts_for_no_attempt(app: App) -> None:
    number = add(app, steps=3, away_at=2)
    worker = Worker(app, command=TOY)
    worker.stopping.set()  # does not wait for better times then
    assert worker.work()
    assert (seen(app, number).state, seen(app, number).fruitless) == (JobState.QUEUED, 0)


def test_a_cancelled_job_ends_within_a_beat(app: App) -> None:
    number = add(app, steps=10**6, pause_s=0.01)
    worker = Worker(app, command=TOY)
    worker.start()
    try:
        pid = child_of(app, number)
        with writing(app.database) as session:
            cancel(session, number, actor="key/1")
        began = time.monotonic()
        until(lambda: not alive(pid))
        assert time.monotonic() - began < app.settings.lease_s
        assert seen(app, number).state is JobState.CANCELLED
    finally:
        worker.stop()


def test_a_worker_that_stops_leaves_its_job_at_a_checkpoint(app: App) -> None:
    number = add(app, steps=10**6, pause_s=0.01)
    worker = Worker(app, command=TOY)
    worker.start()
    until(lambda: counted(app, number) > 5)
    worker.stop()
    job = seen(app, number)
    assert (job.state, job.fruitless) == (JobState.QUEUED, 0)
    assert job.checkpoint_sha256 is not None


@pytest.mark.parametrize("hangs", [False, True])
def test_a_worker_that_cannot_show_life_ends_its_child_first(
    make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    app = make_app(lease_s=8.0)
    number = add(app, steps=10**6, pause_s=0.01)
    pids = []
    over = Event()

    def silent(*_: Any, **__: Any) -> None:
        pids.extend(children())
        if hangs:  # a server that takes what is sent, and no more
            over.wait(60)
        raise UnavailableError("nobody answers")

    monkeypatch.setattr("seamwise.worker.attend.Beat._send", silent)
    worker = Worker(app, command=TOY)
    began = time.monotonic()
    worker.work()
    over.set()
    assert time.monotonic() - began < app.settings.lease_s
    assert pids
    assert not any(map(alive, pids))
    assert (seen(app, number).state, seen(app, number).fruitless) == (JobState.QUEUED, 0)


def test_a_job_whose_child_cannot_be_started_waits_again(app: App) -> None:
    number = add(app, steps=1)
    Worker(app, command=("/nowhere/python",)).work()
    assert (seen(app, number).state, seen(app, number).fruitless) == (JobState.QUEUED, 1)
    assert "no process could be started" in str(seen(app, number).error)


def test_a_ring_wakes_a_worker_of_the_same_process(app: App) -> None:
    worker = Worker(app, command=TOY)
    worker.start()
    try:
        time.sleep(0.2)
        number = add(app, steps=1)
        app.doorbell.ring(seen(app, number))
        until(lambda: seen(app, number).state is JobState.SUCCEEDED)
    finally:
        worker.stop()


def test_the_jobs_of_a_lost_worker_are_done_by_another(make_app: Callable[..., App]) -> None:
    app = make_app(lease_s=3.0)
    number = add(app, steps=2)
    with writing(app.database) as session:
        assert claim(session, "a worker that is gone", ["cpu"]) is not None
    worker = Worker(app, command=TOY)
    worker.start()
    try:
        until(lambda: seen(app, number).state is JobState.SUCCEEDED)
        assert seen(app, number).attempt == 2
    finally:
        worker.stop()


def test_a_job_that_waits_long_makes_no_rings_pile_up(make_app: Callable[..., App]) -> None:
    app = make_app(lease_s=0.6)
    add(app, steps=1)
    with writing(app.database) as session:
        session.execute(update(Job).values(queued_at=utc_now() - timedelta(hours=1)))
    worker = Worker(app, slots=0, command=TOY)
    worker.start()
    time.sleep(2 * app.settings.lease_s)
    worker.stop()
    assert isinstance(app.doorbell, LocalDoorbell)
    assert app.doorbell.wait(0) is None


KILLED = """
import sys
from pathlib import Path
from seamwise.app.app import open_app
from seamwise.settings import Settings
from seamwise.worker.loop import Worker
Worker(open_app(Settings(data=Path(sys.argv[1]), lease_s=3, threads=1)), command=sys.argv[2:]).work()
"""


def test_no_child_outlives_its_worker(app: App) -> None:
    number = add(app, steps=1, pause_s=60)  # says nothing: a broken pipe would end it too
    worker = subprocess.Popen([sys.executable, "-W", "ignore", "-c", KILLED, str(app.settings.data), *TOY])
    pid = child_of(app, number)
    assert os.getpgid(pid) == pid
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    until(lambda: not alive(pid), 10)


def test_the_folder_of_a_killed_worker_goes_when_the_next_one_starts(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    number = add(app, steps=10**6, pause_s=0.01)
    lost = subprocess.Popen([sys.executable, "-W", "ignore", "-c", KILLED, str(app.settings.data), *TOY])
    child_of(app, number)
    (folder,) = tmp_path.glob(f"{PREFIX}*")
    assert sweep() == 0  # its worker lives
    lost.kill()
    lost.wait()
    until(lambda: not folder.exists(), 10)  # the child ends with its worker, and takes it away
    folder.mkdir()  # as if the child had been killed too
    with scratch_folder() as held:
        worker = Worker(app, slots=0)
        worker.start()
        until(lambda: not folder.exists())
        worker.stop()
        assert held.exists()
    assert not held.exists()


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "print('no message')"])
def test_a_child_that_says_nothing_is_told_about(app: App, code: str) -> None:
    number = add(app, steps=1)
    Worker(app, command=(sys.executable, "-c", code)).work()
    assert (seen(app, number).state, seen(app, number).attempt) == (JobState.QUEUED, 1)
    assert "ended with code" in str(seen(app, number).error)
