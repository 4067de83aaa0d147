"""Both databases: the operations on jobs, and what happens when several do them at once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text

from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage import schema
from seamwise.storage.database import reading, writing
from seamwise.storage.idempotency import Request
from seamwise.storage.tables import AuditEvent, IdempotencyKey, Job, JobLog, JobState, StoredObject
from seamwise.tasks.attempts import (
    Attempt,
    LogLine,
    StaleAttemptError,
    checkpoint,
    claim,
    drop_checkpoint,
    fail,
    finish,
    give_back,
    heartbeat,
)
from seamwise.tasks.control import cancel, requeue
from seamwise.tasks.enqueue import NewJob, enqueue
from seamwise.tasks.lists import find_job, list_jobs, read_log, signs_of_life
from tests.contract.adapters import DATABASES, url_of
from tests.contract.rows import add_job, at_once, claimed, stored


def do(database: Engine, operation: Any, *arguments: Any, **options: Any) -> Any:
    """One operation in a transaction of its own."""
    with writing(database) as session:
        return operation(session, *arguments, **options)


def job_of(database: Engine, attempt: Attempt | int) -> Job:
    with reading(database) as session:
        return find_job(session, attempt if isinstance(attempt, int) else attempt.job_id)


def work(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", Path(__file__).with_name("work.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# Making jobs


def test_a_job_its_event_and_its_key_are_one_transaction(database: Engine) -> None:
    request = Request.of("key/1", "abc", {"kind": "train"})

    def broken_off() -> None:
        with writing(database) as session:
            enqueue(session, NewJob("train", {}), actor="key/1", request=request)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    with reading(database) as session:
        assert [session.scalar(select(func.count()).select_from(t)) for t in (Job, AuditEvent, IdempotencyKey)] == [
            0
        ] * 3
    job = do(database, enqueue, NewJob("train", {"c": 0.1}), actor="key/1", request=request)
    with reading(database) as session:
        event = session.scalars(select(AuditEvent)).one()
        assert (event.actor, event.action, event.subject) == ("key/1", "job.enqueue", f"job/{job.id}")
        assert session.scalars(select(IdempotencyKey.record)).one() == f"job/{job.id}"
        assert session.scalars(select(Job.spec)).one() == {"c": 0.1}


def test_a_request_sent_eight_times_at_once_makes_one_job(database: Engine) -> None:
    request = Request.of("key/1", "abc", {"kind": "train"})
    jobs = at_once(8, lambda _: do(database, enqueue, NewJob("train", {}), actor="key/1", request=request).id)
    assert jobs == [jobs[0]] * 8
    with reading(database) as session:
        assert session.scalar(select(func.count()).select_from(AuditEvent)) == 1


def test_an_idempotency_key_serves_one_request_of_one_actor(database: Engine) -> None:
    first = do(database, enqueue, NewJob("a", {}), actor="key/1", request=Request.of("key/1", "k", {"x": 1}))
    with pytest.raises(RefusedError, match="'k' was used for another request"):
        do(database, enqueue, NewJob("a", {}), actor="key/1", request=Request.of("key/1", "k", {"x": 2}))
    other = do(database, enqueue, NewJob("a", {}), actor="key/2", request=Request.of("key/2", "k", {"x": 2}))
    assert other.id != first.id


def test_a_model_line_has_one_unfinished_training(database: Engine) -> None:
    results = at_once(6, lambda _: add_job(database, line="main"))
    made = [result for result in results if isinstance(result, Job)]
    assert len(made) == 1
    refused = f"model line 'main': job {made[0].id} trains it"
    assert [str(r)[: len(refused)] for r in results if r is not made[0]] == [refused] * 5
    add_job(database, line="other")
    do(database, cancel, made[0].id, actor="key/1")
    again = add_job(database, line="main")
    with pytest.raises(RefusedError, match=f"job {again.id} trains it"):
        do(database, requeue, made[0].id, actor="key/1")


# Claiming


def test_the_most_urgent_job_of_the_queue_comes_first(database: Engine) -> None:
    late, soon, first_soon = (add_job(database, priority=p).id for p in (9, 5, 5))
    add_job(database, queue="cuda", priority=1)
    order = [do(database, claim, "w", ["cpu"]) for _ in range(4)]
    assert [job and job.id for job in order] == [soon, first_soon, late, None]
    assert do(database, claim, "w", ["cpu", "cuda"]).queue == "cuda"


def test_a_named_job_is_claimed_once(database: Engine) -> None:
    job_id = [add_job(database).id for _ in range(3)][1]
    first = do(database, claim, "w", ["cpu"], job_id)
    assert (first.id, first.state, first.attempt, first.worker) == (job_id, JobState.RUNNING, 1, "w")
    assert do(database, claim, "v", ["cpu"], job_id) is None
    assert do(database, claim, "v", ["cpu"], 10**9) is None


@pytest.mark.parametrize("database", DATABASES[1:], indirect=True)
def test_a_claim_does_not_wait_for_another_worker_s(database: Engine) -> None:
    first, second = add_job(database).id, add_job(database).id
    with writing(database) as session:
        assert claim(session, "w", ["cpu"]).id == first
        assert do(database, claim, "v", ["cpu"]).id == second  # while the other is not committed
        assert do(database, claim, "v", ["cpu"]) is None


def test_eight_processes_claim_each_of_200_jobs_once(database: Engine) -> None:
    jobs = [Job(kind="train", queue="cpu", spec={}, created_by="key/1") for _ in range(200)]
    with writing(database) as session:
        session.add_all(jobs)
    claims = [line.split() for line in work("claim", url_of(database), "8").splitlines()]
    assert sorted(int(job) for _, job, _ in claims) == [job.id for job in jobs]
    assert {attempt for _, _, attempt in claims} == {"1"}
    workers = Counter(worker for worker, _, _ in claims)
    with reading(database) as session:
        rows = session.execute(select(Job.worker, func.count()).group_by(Job.worker)).all()
    assert dict(map(tuple, rows)) == workers


# Fencing


WRITES = {
    "heartbeat": lambda session, attempt: heartbeat(session, attempt, lines=[LogLine("late")]),
    "checkpoint": lambda session, attempt: checkpoint(session, attempt, stored("late")),
    "finish": lambda session, attempt: finish(session, attempt, {"late": True}),
    "fail": lambda session, attempt: fail(session, attempt, "late"),
    "retry": lambda session, attempt: fail(session, attempt, "late", retry=True),
    "give_back": give_back,
}
OVERTAKEN = {
    "cancelled": lambda database, attempt: do(database, cancel, attempt.job_id, actor="key/1"),
    "claimed again": lambda database, attempt: (do(database, give_back, attempt), do(database, claim, "v", ["cpu"])),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("how", OVERTAKEN)
def test_a_late_writer_is_refused_and_changes_nothing(database: Engine, how: str, write: str) -> None:
    attempt = claimed(database)
    OVERTAKEN[how](database, attempt)
    before = job_of(database, attempt)
    with pytest.raises(StaleAttemptError, match=f"job {attempt.job_id} is .*attempt 1 no longer has it"):
        do(database, WRITES[write], attempt)
    after = job_of(database, attempt)
    assert {c.key: getattr(before, c.key) for c in Job.__table__.columns} == {
        c.key: getattr(after, c.key) for c in Job.__table__.columns
    }
    with reading(database) as session:
        assert session.scalars(select(JobLog)).all() == []
        assert session.scalars(select(StoredObject)).all() == []


def test_what_an_attempt_wrote_with_a_refused_write_is_gone(database: Engine) -> None:
    attempt = claimed(database)
    do(database, cancel, attempt.job_id, actor="key/1")

    def finish_late() -> None:
        with writing(database) as session:
            session.add(JobLog(job_id=attempt.job_id, attempt=1, level="info", text="made"))
            finish(session, attempt)

    with pytest.raises(StaleAttemptError):
        finish_late()
    with reading(database) as session:
        assert session.scalars(select(JobLog)).all() == []


def test_a_finish_whose_answer_got_lost_may_be_repeated(database: Engine) -> None:
    attempt = claimed(database)
    with writing(database) as session:
        job = finish(session, attempt)
        assert job is not None
        job.result = {"model": 3}
    assert do(database, finish, attempt) is None
    ended = job_of(database, attempt)
    assert (ended.state, ended.result) == (JobState.SUCCEEDED, {"model": 3})
    with reading(database) as session:
        actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert actions == ["job.enqueue", "job.finish"]


def test_a_failure_and_a_give_back_may_be_repeated(database: Engine) -> None:
    failed, back, retried = (claimed(database) for _ in range(3))
    for _ in range(2):
        assert do(database, fail, failed, "NaN") is JobState.FAILED
        do(database, give_back, back)
        assert do(database, fail, retried, "no memory", retry=True) is JobState.QUEUED
    assert job_of(database, failed).error == "NaN"
    assert job_of(database, back).state is JobState.QUEUED
    with reading(database) as session:
        failures = select(func.count()).select_from(AuditEvent).where(AuditEvent.action == "job.fail")
        assert session.scalar(failures) == 2


def test_of_cancel_and_finish_the_first_commit_wins(database: Engine) -> None:
    outcomes = Counter()
    for _ in range(20):
        attempt = claimed(database)

        def end(number: int, attempt: Attempt = attempt) -> None:
            with writing(database) as session:
                if number % 2:
                    cancel(session, attempt.job_id, actor="key/1")
                elif finish(session, attempt, {}):
                    session.add(JobLog(job_id=attempt.job_id, attempt=1, level="info", text="made"))

        errors = [error for error in at_once(2, end) if error]
        state = job_of(database, attempt).state
        with reading(database) as session:
            made = session.scalars(select(JobLog).where(JobLog.job_id == attempt.job_id)).all()
            last = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id.desc()).limit(1)).one()
        if state is JobState.SUCCEEDED:
            assert (errors, len(made), last) == ([], 1, "job.finish")
        else:
            assert (len(made), last, [type(error) for error in errors]) == (0, "job.cancel", [StaleAttemptError])
        outcomes[state] += 1
    assert sum(outcomes.values()) == 20


# Life of an attempt


def test_signs_of_life_carry_progress_and_lines(database: Engine) -> None:
    attempt = claimed(database)
    do(database, heartbeat, attempt, progress={"done": 1, "of": 2}, lines=[LogLine("a"), LogLine("b\0c", "warning")])
    do(database, heartbeat, attempt)
    job = job_of(database, attempt)
    assert (job.counter, job.progress) == (2, {"done": 1, "of": 2})
    with reading(database) as session:
        first = read_log(session, job.id, limit=1)
        assert [(line.text, line.level, line.attempt) for line in first.items] == [("a", "info", 1)]
        rest = read_log(session, job.id, cursor=first.next)
        assert ([line.text for line in rest.items], rest.next) == (["b\N{REPLACEMENT CHARACTER}c"], None)


def test_a_checkpoint_replaces_the_one_before(database: Engine) -> None:
    attempt = claimed(database)
    assert do(database, checkpoint, attempt, stored("one")) is None
    assert do(database, checkpoint, attempt, stored("one")) is None
    assert do(database, checkpoint, attempt, stored("two")) == stored("one").key
    job = job_of(database, attempt)
    assert (job.checkpoint_sha256, job.fruitless, job.counter) == (stored("two").sha256, 0, 3)
    do(database, finish, attempt)
    with writing(database) as session:
        assert drop_checkpoint(session, find_job(session, attempt.job_id)) == stored("two").key
    with reading(database) as session:
        assert session.scalars(select(StoredObject)).all() == []


def test_attempts_without_a_checkpoint_are_capped(database: Engine) -> None:
    job_id = add_job(database).id

    def attempt() -> Attempt:
        job = do(database, claim, "w", ["cpu"], job_id)
        return Attempt(job.id, job.attempt)

    def killed() -> JobState:
        return do(database, fail, attempt(), "killed", retry=True, cap=2)

    for _ in range(5):  # a worker that must go does not count
        do(database, give_back, attempt())
    assert killed() is JobState.QUEUED
    fruitful = attempt()
    do(database, checkpoint, fruitful, stored("one"))
    assert do(database, fail, fruitful, "killed", retry=True, cap=2) is JobState.QUEUED
    assert [killed(), killed()] == [JobState.QUEUED, JobState.FAILED]
    assert do(database, requeue, job_id, actor="key/1").fruitless == 0
    last = attempt()
    assert last.number == 10
    assert job_of(database, last).checkpoint_sha256 == stored("one").sha256


def test_only_a_failed_or_cancelled_job_is_queued_again(database: Engine) -> None:
    job_id = add_job(database).id
    with pytest.raises(RefusedError, match=f"job {job_id} is queued"):
        do(database, requeue, job_id, actor="key/1")
    do(database, cancel, job_id, actor="key/1")
    assert do(database, requeue, job_id, actor="key/1").state is JobState.QUEUED
    attempt = Attempt(job_id, do(database, claim, "w", ["cpu"]).attempt)
    do(database, finish, attempt)
    with pytest.raises(RefusedError, match=f"job {job_id} is succeeded"):
        do(database, requeue, job_id, actor="key/1")
    assert do(database, cancel, job_id, actor="key/1").state is JobState.SUCCEEDED


@pytest.mark.parametrize("number", [0, -1, 7, 2**63, 10**30])
def test_a_job_that_does_not_exist_is_not_found(database: Engine, number: int) -> None:
    for operation in (lambda s: find_job(s, number), lambda s: requeue(s, number, actor="a")):
        with pytest.raises(NotFoundError, match=f"job {number}:"):
            do(database, operation)


# Lists


def test_jobs_are_listed_newest_first_by_state_and_kind(database: Engine) -> None:
    train, export, other = (add_job(database, kind=kind, line=kind).id for kind in ("train", "export", "train2"))
    do(database, cancel, export, actor="key/1")
    with reading(database) as session:
        assert [job.id for job in list_jobs(session).items] == [other, export, train]
        assert [job.id for job in list_jobs(session, state=JobState.QUEUED).items] == [other, train]
        assert [job.id for job in list_jobs(session, kind="export", state=JobState.CANCELLED).items] == [export]
        assert [job.id for job in list_jobs(session, line="train").items] == [train]
        first = list_jobs(session, limit=2)
        assert [job.id for job in list_jobs(session, limit=2, cursor=first.next).items] == [train]


def test_the_signs_of_life_are_the_longest_wait_and_the_last_beat(database: Engine) -> None:
    with reading(database) as session:
        assert signs_of_life(session) == (None, None)
    waiting, running = add_job(database), add_job(database, priority=1)
    do(database, claim, "w", ["cpu"])
    with reading(database) as session:
        found = signs_of_life(session)
        assert found.oldest_queued_at == waiting.queued_at
        assert found.last_heartbeat_at == find_job(session, running.id).heartbeat_at


def test_a_silent_job_does_not_hide_beside_one_that_lives(database: Engine) -> None:
    silent, alive = claimed(database), claimed(database)
    do(database, heartbeat, alive)
    with reading(database) as session:
        times = [find_job(session, attempt.job_id).heartbeat_at for attempt in (silent, alive)]
        assert times[0] < times[1]
        assert signs_of_life(session).last_heartbeat_at == times[0]


# Killed processes


def test_a_writer_killed_at_any_moment_leaves_all_in_order(database: Engine) -> None:
    work("churn", url_of(database), "8", "1")
    assert schema.check(database) == []
    with reading(database) as session:
        jobs = session.scalars(select(Job)).all()
        assert sum(job.state is JobState.SUCCEEDED for job in jobs) >= 8
        assert sum(job.state is not JobState.SUCCEEDED for job in jobs) <= 8  # killed between two transactions
        records = session.scalars(select(IdempotencyKey.record)).all()
        assert sorted(records) == sorted(f"job/{job.id}" for job in jobs)
        events = Counter(map(tuple, session.execute(select(AuditEvent.subject, AuditEvent.action))))
        lines = Counter(map(tuple, session.execute(select(JobLog.job_id, JobLog.text))))
    for job in jobs:
        assert (job.attempt > 0) is (job.state is not JobState.QUEUED)
        finished = job.state is JobState.SUCCEEDED
        assert events[f"job/{job.id}", "job.enqueue"] == 1
        assert events[f"job/{job.id}", "job.finish"] == finished
        assert lines[job.id, "made"] == finished
        assert lines[job.id, "beat"] == job.counter


def test_the_database_itself_refuses_impossible_jobs(database: Engine) -> None:
    job_id = add_job(database).id
    for change in ("state = 'running'", "state = 'succeeded'", "state = 'asleep'", "finished_at = created_at"):
        with pytest.raises(Exception, match=r"(?i)check|constraint"), writing(database) as session:
            session.execute(text(f"UPDATE job SET {change} WHERE id = {job_id}"))
