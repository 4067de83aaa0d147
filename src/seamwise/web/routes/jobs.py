"""/jobs: work that takes time, how far it is, and how it ended."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from seamwise.app import jobs
from seamwise.storage.rows import LARGEST_ID
from seamwise.storage.tables import JobState
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.ids import Id
from seamwise.web.shapes import Listed, Shape
from seamwise.web.sse import job_events

router = APIRouter(prefix="/jobs", tags=["jobs"])


class JobShape(Shape):
    """A piece of work.

    kind: what is done; spec: with what. line: the model line that a training holds. attempt: how often it was begun.
    progress: `fraction` from 0 to 1, and figures. result: once it succeeded. error: of the last attempt that failed.
    """

    id: int
    kind: str
    state: JobState
    queue: str
    priority: int
    line: str | None
    spec: dict[str, Any]
    attempt: int
    worker: str | None
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    created_by: str
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None


class LineShape(Shape):
    """A line that a job wrote."""

    id: int
    attempt: int
    level: str
    text: str
    at: datetime


@router.get("", response_model=Listed[JobShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    state: JobState | None = None,
    kind: Annotated[str | None, Query(max_length=40)] = None,
    line: Annotated[str | None, Query(max_length=63)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of jobs, newest first."""
    return jobs.list_jobs(app, actor, state=state, kind=kind, line=line, cursor=cursor, limit=limit)


@router.get("/{job_id}", response_model=JobShape)
def one(app: AppOf, actor: ActorOf, job_id: Id) -> Any:
    """One job."""
    return jobs.get_job(app, actor, job_id)


@router.post("/{job_id}/cancel", response_model=JobShape)
def cancel(app: AppOf, actor: ActorOf, job_id: Id) -> Any:
    """Ends a job that has not ended; look at the state, as its own end may have come first."""
    return jobs.cancel_job(app, actor, job_id)


@router.post("/{job_id}/requeue", status_code=202, response_model=JobShape)
def requeue(app: AppOf, actor: ActorOf, job_id: Id) -> Any:
    """Queues a failed or cancelled job again, to go on from its last checkpoint."""
    return jobs.requeue_job(app, actor, job_id)


@router.get("/{job_id}/log", response_model=Listed[LineShape])
def log(app: AppOf, actor: ActorOf, job_id: Id, cursor: Cursor = None, limit: Limit = 200) -> Any:
    """A page of what a job wrote, oldest first; the number of the last line seen is a cursor too."""
    return jobs.read_log(app, actor, job_id, cursor, limit)


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def events(
    request: Request,
    app: AppOf,
    actor: ActorOf,
    job_id: Id,
    last_event_id: Annotated[int | None, Header(ge=0, le=LARGEST_ID, description="The last `id` seen.")] = None,
) -> StreamingResponse:
    """Server-sent events: `line` for each line of the log, `progress`, and `end`, with which the stream closes."""
    look = partial(jobs.follow_job, app, actor, job_id)
    stream = job_events(look, look(last_event_id), last_event_id, request.app.state.closing)
    # X-Accel-Buffering: a proxy in front must not keep events back.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
