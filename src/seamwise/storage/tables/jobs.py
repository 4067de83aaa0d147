"""Work that takes time: jobs and what they wrote to their logs."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from seamwise.storage.columns import Numbered, Row, partial_index, utc_now


class JobState(enum.StrEnum):
    """Where a job stands; `seamwise.tasks.states` says which may follow which."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(Numbered, Row):
    """A piece of work: its row is the truth about it, and a broker only a doorbell.

    spec: what to do, frozen when it is made.
    priority: smaller is sooner.
    line: the model line that a training holds; only one unfinished job may hold it.
    attempt: how often it was claimed; with the id it names one worker's turn, and all writes of that turn carry both.
    counter: grows with each sign of life of the attempt.
    fruitless: attempts in a row without a new checkpoint, the running one included.
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("state <> 'running' OR (attempt > 0 AND worker IS NOT NULL)", name="running"),
        CheckConstraint("(state IN ('queued', 'running')) = (finished_at IS NULL)", name="finished"),
        Index(None, "state", "id"),
        Index(None, "state", "queued_at", "id"),
        Index(None, "kind", "id"),
        Index(None, "kind", "state", "id"),
        Index(None, "line", "id"),
        partial_index("ix_job_claim", ["queue", "priority", "id"], "state = 'queued'"),
        partial_index("uq_job_unfinished_line", ["line"], "state IN ('queued', 'running')", unique=True),
    )

    kind: Mapped[str]
    queue: Mapped[str]
    priority: Mapped[int] = mapped_column(default=100)
    line: Mapped[str | None] = mapped_column(default=None)
    spec: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    state: Mapped[JobState] = mapped_column(default=JobState.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    counter: Mapped[int] = mapped_column(default=0)
    fruitless: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(default=None)
    progress: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    checkpoint_sha256: Mapped[str | None] = mapped_column(ForeignKey("object.sha256"), index=True, default=None)
    result: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    error: Mapped[str | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
    queued_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    heartbeat_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)


class JobLog(Numbered, Row):
    """One line that an attempt of a job wrote."""

    __tablename__ = "job_log"
    __table_args__ = (Index(None, "job_id", "id"),)

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int]
    level: Mapped[str]
    text: Mapped[str]
    at: Mapped[datetime] = mapped_column(default_factory=utc_now)
