"""The states of a job: what the operations do is what the table of transitions allows."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from seamwise.errors import RefusedError
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Job, JobState
from seamwise.tasks.attempts import (
    Attempt,
    StaleAttemptError,
    checkpoint,
    claim,
    fail,
    finish,
    give_back,
    heartbeat,
)
from seamwise.tasks.control import cancel, requeue
from seamwise.tasks.enqueue import NewJob, enqueue
from seamwise.tasks.lists import find_job
from seamwise.tasks.states import TRANSITIONS, UNFINISHED, before
from tests.contract.rows import stored

CAP = 2


def test_every_state_has_its_row() -> None:
    assert TRANSITIONS.keys() == set(JobState)
    assert before(JobState.CANCELLED) == [JobState.QUEUED, JobState.RUNNING]
    assert before(JobState.RUNNING) == [JobState.QUEUED]
    assert {state for state in JobState if JobState.CANCELLED in TRANSITIONS[state]} == UNFINISHED
    assert not TRANSITIONS[JobState.SUCCEEDED]


class OneJob(RuleBasedStateMachine):
    """Anybody does anything at any time, with this attempt or an old one; a small model says what must follow."""

    database: Engine

    @initialize()
    def begin(self) -> None:
        with writing(self.database) as session:
            self.id = enqueue(session, NewJob("train", {}), actor="a").id
        self.state, self.attempt, self.fruitless, self.counter = JobState.QUEUED, 0, 0, 0
        self.checkpoints = 0

    def move(self, state: JobState) -> None:
        assert state in TRANSITIONS[self.state]
        self.state = state

    @rule()
    def claims(self) -> None:
        with writing(self.database) as session:
            job = claim(session, "w", ["cpu"], self.id)
        assert (job is not None) == (self.state is JobState.QUEUED)
        if job is not None:
            self.move(JobState.RUNNING)
            self.attempt, self.fruitless, self.counter = self.attempt + 1, self.fruitless + 1, 0

    @rule(what=st.sampled_from(["heartbeat", "checkpoint", "finish", "fail", "retry", "give back"]), old=st.booleans())
    @precondition(lambda self: self.attempt > 0)
    def attempt_writes(self, what: str, old: bool) -> None:
        attempt = Attempt(self.id, self.attempt - old)
        runs = self.state is JobState.RUNNING and not old
        try:
            with writing(self.database) as session:
                self.write(session, what, attempt)
        except StaleAttemptError:
            assert not runs
            return
        if runs:
            self.written(what)
        else:  # only the repetition of its own end passes, and changes nothing
            assert what not in ("heartbeat", "checkpoint")
            assert not old

    def write(self, session: object, what: str, attempt: Attempt) -> None:
        match what:
            case "heartbeat":
                heartbeat(session, attempt)
            case "checkpoint":
                checkpoint(session, attempt, stored(f"{self.id} {self.checkpoints}"))
            case "finish":
                finish(session, attempt, {})
            case "give back":
                give_back(session, attempt)
            case _:
                fail(session, attempt, "lost", retry=what == "retry", cap=CAP)

    def written(self, what: str) -> None:
        match what:
            case "heartbeat":
                self.counter += 1
            case "checkpoint":
                self.counter, self.fruitless, self.checkpoints = self.counter + 1, 0, self.checkpoints + 1
            case "finish":
                self.move(JobState.SUCCEEDED)
            case "give back":
                self.move(JobState.QUEUED)
                self.fruitless = max(self.fruitless - 1, 0)
            case "retry" if self.fruitless < CAP:
                self.move(JobState.QUEUED)
            case _:
                self.move(JobState.FAILED)

    @rule()
    def cancels(self) -> None:
        with writing(self.database) as session:
            found = cancel(session, self.id, actor="a").state
        if self.state in UNFINISHED:
            self.move(JobState.CANCELLED)
        assert found is self.state

    @rule()
    def queues_again(self) -> None:
        try:
            with writing(self.database) as session:
                requeue(session, self.id, actor="a")
        except RefusedError:
            assert self.state not in (JobState.FAILED, JobState.CANCELLED)
            return
        self.move(JobState.QUEUED)
        self.fruitless = 0

    @invariant()
    def the_row_says_what_the_model_says(self) -> None:
        if not hasattr(self, "id"):
            return
        with reading(self.database) as session:
            job: Job = find_job(session, self.id)
        assert (job.state, job.attempt, job.fruitless) == (self.state, self.attempt, self.fruitless)
        assert job.counter == self.counter
        assert (job.finished_at is None) == (self.state in UNFINISHED)
        assert (job.checkpoint_sha256 is None) == (self.checkpoints == 0)


def test_whatever_is_done_the_transitions_hold(embedded: Engine) -> None:
    OneJob.database = embedded
    checks = settings(
        max_examples=30,
        stateful_step_count=20,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OneJob, settings=checks)


@pytest.mark.parametrize("state", JobState)
def test_an_ended_job_begins_again_only_through_the_queue(state: JobState) -> None:
    if state not in UNFINISHED:
        assert TRANSITIONS[state] <= {JobState.QUEUED}
