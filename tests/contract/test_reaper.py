"""Both databases: jobs whose worker is gone, by the reaper's own clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select

from seamwise.storage.database import reading, writing
from seamwise.storage.tables import AuditEvent, Job, JobLog, JobState
from seamwise.tasks.attempts import Attempt, StaleAttemptError, checkpoint, claim, finish, give_back, heartbeat
from seamwise.tasks.control import cancel
from seamwise.tasks.lists import find_job
from seamwise.tasks.reaper import Reaper
from tests.contract.rows import at_once, claimed, stored


class Clock:
    """A steady clock that stands until it is told how much time has passed."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watch:
    """A reaper with a lease of 30 s that sweeps every 10 s of its own clock."""

    def __init__(self, database: Engine, cap: int = 3) -> None:
        self.database = database
        self.clock = Clock()
        self.reaper = Reaper(30.0, cap=cap, clock=self.clock)

    def sweep(self, after_s: float = 10.0) -> list[int]:
        self.clock.now += after_s
        return [job.id for job in self.reaper.sweep(self.database)]

    def sweeps(self, count: int) -> list[int]:
        return [job_id for _ in range(count) for job_id in self.sweep()]


def job_of(database: Engine, attempt: Attempt) -> Job:
    with reading(database) as session:
        return find_job(session, attempt.job_id)


def again(database: Engine) -> Attempt:
    with writing(database) as session:
        job = claim(session, "v", ["cpu"])
        assert job is not None
        return Attempt(job.id, job.attempt)


def test_a_job_that_stands_still_for_the_lease_is_queued_again(database: Engine) -> None:
    attempt, watch = claimed(database, "gone"), Watch(database)
    assert watch.sweeps(3) == []  # first seen, then 10 s and 20 s
    assert job_of(database, attempt).state is JobState.RUNNING
    assert watch.sweeps(1) == [attempt.job_id]
    job = job_of(database, attempt)
    assert (job.state, job.attempt, job.worker) == (JobState.QUEUED, 1, None)
    with pytest.raises(StaleAttemptError), writing(database) as session:
        finish(session, attempt)
    with reading(database) as session:
        line = session.scalars(select(JobLog)).one()
        assert (line.level, line.text) == ("warning", "attempt 1: its worker gone showed no life for 30 s")
        event = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
        assert (event.actor, event.action, event.details) == ("reaper", "job.expire", {"attempt": 1, "then": "queued"})
    assert again(database) == Attempt(attempt.job_id, 2)
    assert watch.sweeps(3) == []


@pytest.mark.parametrize(
    "sign",
    [heartbeat, lambda session, attempt: checkpoint(session, attempt, stored(f"at {attempt}"))],
    ids=["heartbeat", "checkpoint"],
)
def test_any_sign_of_life_begins_the_lease_anew(database: Engine, sign: Callable) -> None:
    attempt, watch = claimed(database), Watch(database)
    for _ in range(6):
        assert watch.sweeps(3) == []
        with writing(database) as session:
            sign(session, attempt)
    assert watch.sweeps(3) == []
    assert watch.sweeps(1) == [attempt.job_id]


def test_another_attempt_is_not_mistaken_for_the_one_before(database: Engine) -> None:
    attempt, watch = claimed(database), Watch(database)
    assert watch.sweeps(3) == []
    with writing(database) as session:
        give_back(session, attempt)
    second = again(database)
    assert (second.number, job_of(database, attempt).counter) == (2, 0)  # the counter begins anew, too
    assert watch.sweeps(3) == []
    assert watch.sweeps(1) == [attempt.job_id]


def test_a_long_gap_between_sweeps_condemns_nobody(database: Engine) -> None:
    attempt, watch = claimed(database), Watch(database)
    watch.sweep()
    assert watch.sweep(after_s=3600) == []  # the database was away, or this process paused: 10 s count
    assert watch.sweep(after_s=3600) == []
    with writing(database) as session:
        heartbeat(session, attempt)
    assert watch.sweeps(3) == []


def test_a_sign_of_life_between_looking_and_expiring_saves_the_job(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, watch = claimed(database), Watch(database)
    watch.sweeps(3)
    expire = watch.reaper._expire

    def late(session: object, job: Job) -> bool:
        monkeypatch.setattr(job, "counter", job.counter - 1)  # as it would have been seen before a heartbeat
        return expire(session, job)

    monkeypatch.setattr(watch.reaper, "_expire", late)
    assert watch.sweeps(1) == []
    assert job_of(database, attempt).state is JobState.RUNNING


def test_fruitless_attempts_end_in_failure(database: Engine) -> None:
    attempt, watch = claimed(database), Watch(database, cap=2)
    assert watch.sweeps(4) == [attempt.job_id]
    again(database)
    assert watch.sweeps(4) == []
    job = job_of(database, attempt)
    assert job.state is JobState.FAILED
    assert job.error == "attempt 2: its worker v showed no life for 30 s; 2 attempts in a row made no checkpoint"


def test_two_reapers_expire_a_job_once(database: Engine) -> None:
    attempt, watches = claimed(database), (Watch(database), Watch(database))
    for watch in watches:
        watch.sweeps(3)
    results = at_once(2, lambda number: watches[number].sweep())
    assert sorted(results, key=len) in ([[], [attempt.job_id]], [[attempt.job_id], [attempt.job_id]])
    with reading(database) as session:
        assert len(session.scalars(select(JobLog)).all()) == 1
        assert job_of(database, attempt).attempt == 1


def test_jobs_that_ended_are_left_alone(database: Engine) -> None:
    done, cancelled, watch = claimed(database), claimed(database), Watch(database)
    watch.sweeps(3)
    with writing(database) as session:
        finish(session, done)
        cancel(session, cancelled.job_id, actor="key/1")
    assert watch.sweeps(5) == []
