"""/scrubs: reading every stored object again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from seamwise.app import scrubs
from seamwise.web.asking import ActorOf, AppOf, IdempotencyKey, request_of
from seamwise.web.routes.jobs import JobShape

router = APIRouter(prefix="/scrubs", tags=["jobs"])


@router.post("", status_code=202, response_model=JobShape)
def start(
    app: AppOf, actor: ActorOf, spec: scrubs.NewScrub, response: Response, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queues a job that compares every stored object with its hash."""
    request = request_of(actor, idempotency_key, "POST /scrubs", spec.model_dump(mode="json"))
    job = scrubs.start_scrub(app, actor, spec, request)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job
