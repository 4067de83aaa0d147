"""/imports: sets of labelled pictures become images of a domain."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from seamwise.app import imports
from seamwise.web.asking import ActorOf, AppOf, IdempotencyKey, request_of
from seamwise.web.routes.jobs import JobShape

router = APIRouter(prefix="/imports", tags=["imports"])


@router.post("", status_code=202, response_model=JobShape)
def start(
    app: AppOf, actor: ActorOf, spec: imports.ImportSpec, response: Response, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queues the import of an upload that is whole, or of a folder of the server."""
    request = request_of(actor, idempotency_key, "POST /imports", spec.model_dump(mode="json"))
    job = imports.start_import(app, actor, spec, request)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job
