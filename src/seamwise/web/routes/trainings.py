"""/trainings: rounds of model lines, each done by a job."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from seamwise.app import trainings
from seamwise.app.plans import NewTraining
from seamwise.web.asking import ActorOf, AppOf, Cursor, IdempotencyKey, Limit, request_of
from seamwise.web.routes.jobs import JobShape
from seamwise.web.shapes import Listed

router = APIRouter(prefix="/trainings", tags=["trainings"])


@router.post("", status_code=202, response_model=JobShape)
def start(
    app: AppOf, actor: ActorOf, spec: NewTraining, response: Response, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queues a round: a line learns what is labelled of a domain, from where its version before was left."""
    request = request_of(actor, idempotency_key, "POST /trainings", spec.model_dump(mode="json"))
    job = trainings.start_training(app, actor, spec, request)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


@router.get("", response_model=Listed[JobShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    line: Annotated[str | None, Query(max_length=63)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of training jobs, newest first."""
    return trainings.list_trainings(app, actor, line=line, cursor=cursor, limit=limit)
