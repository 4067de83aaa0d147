"""/batches: predictions of many stored images."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from seamwise.app import batches
from seamwise.storage.tables import JobState
from seamwise.web.asking import ActorOf, AppOf, Cursor, IdempotencyKey, Limit, request_of
from seamwise.web.ids import Id
from seamwise.web.routes.jobs import JobShape
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/batches", tags=["batches"])


class BatchShape(Shape):
    """Predictions of many images, made by the job of the same number. predictions: made so far."""

    id: int
    state: JobState
    version: str
    images: int
    predictions: int
    result: dict[str, Any] | None
    error: str | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None


@router.post("", status_code=202, response_model=JobShape)
def start(
    app: AppOf, actor: ActorOf, spec: batches.NewBatch, response: Response, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queues a batch; its answers are under `/predictions?batch=` with the job's number."""
    request = request_of(actor, idempotency_key, "POST /batches", spec.model_dump(mode="json"))
    job = batches.start_batch(app, actor, spec, request)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


@router.get("", response_model=Listed[BatchShape])
def listing(app: AppOf, actor: ActorOf, cursor: Cursor = None, limit: Limit = 50) -> Any:
    """A page of batches, newest first."""
    return batches.list_batches(app, actor, cursor, limit)


@router.get("/{batch_id}", response_model=BatchShape)
def one(app: AppOf, actor: ActorOf, batch_id: Id) -> Any:
    """One batch."""
    return batches.get_batch(app, actor, batch_id)
