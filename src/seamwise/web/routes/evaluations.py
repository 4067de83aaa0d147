"""/evaluations: versions judged on the qualification sets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from seamwise.app import evaluations
from seamwise.web.asking import ActorOf, AppOf, Cursor, IdempotencyKey, Limit, request_of
from seamwise.web.ids import Id
from seamwise.web.routes.jobs import JobShape
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/evaluations", tags=["evaluations"])


class EvaluationShape(Shape):
    """Scores of a version on a qualification set's snapshot; artefact_sha256: of what was run, and will serve."""

    id: int
    model_id: int
    snapshot_id: int
    job_id: int | None
    engine: str
    artefact_sha256: str
    summary: dict[str, Any]
    created_at: datetime


class CountsShape(Shape):
    """What an evaluation counted on each image, in the order of the snapshot."""

    items: list[dict[str, Any]]


@router.post("", status_code=202, response_model=JobShape)
def start(
    app: AppOf,
    actor: ActorOf,
    spec: evaluations.NewEvaluation,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Queues the evaluation of a version on the qualification sets that count now, and the gate's verdict."""
    request = request_of(actor, idempotency_key, "POST /evaluations", spec.model_dump(mode="json"))
    job = evaluations.start_evaluation(app, actor, spec, request)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


@router.get("", response_model=Listed[EvaluationShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    version: Annotated[str | None, Query(max_length=80, description="LINE/NUMBER")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of evaluations, newest first."""
    return evaluations.list_evaluations(app, actor, version=version, cursor=cursor, limit=limit)


@router.get("/{evaluation_id}", response_model=EvaluationShape)
def one(app: AppOf, actor: ActorOf, evaluation_id: Id) -> Any:
    """One evaluation."""
    return evaluations.get_evaluation(app, actor, evaluation_id)


@router.get("/{evaluation_id}/images", response_model=CountsShape)
def images(app: AppOf, actor: ActorOf, evaluation_id: Id) -> Any:
    """Confusion, defects found and false calls of each image: any statistic can be made from them."""
    return {"items": evaluations.counts_of(app, actor, evaluation_id)}
