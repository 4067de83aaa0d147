"""The states of a job, and which may follow which."""

from __future__ import annotations

from sqlalchemy import literal

from seamwise.storage.tables import Job, JobState

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}
UNFINISHED = frozenset({JobState.QUEUED, JobState.RUNNING})
# Written into the statement: for a parameter, no database uses an index over queued jobs alone.
IS_QUEUED = Job.state == literal(JobState.QUEUED, Job.state.type, literal_execute=True)


def before(state: JobState) -> list[JobState]:
    """The states that `state` may follow."""
    return [earlier for earlier in JobState if state in TRANSITIONS[earlier]]
