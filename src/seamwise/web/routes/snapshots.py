"""/snapshots: lists of labelled images that never change, and their export."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from seamwise.app import exports, qualification, snapshots
from seamwise.storage.tables import SnapshotKind
from seamwise.web.asking import ActorOf, AppOf, Cursor, IdempotencyKey, Limit, request_of
from seamwise.web.ids import Id
from seamwise.web.routes.jobs import JobShape
from seamwise.web.shapes import Listed, Shape
from seamwise.web.streams import streamed

router = APIRouter(prefix="/snapshots", tags=["snapshots"])


class SnapshotShape(Shape):
    """A list of labelled images. digest: equal for equal data. size: images. spec: how they were chosen."""

    id: int
    kind: SnapshotKind
    digest: str
    size: int
    spec: dict[str, Any]
    created_by: str
    created_at: datetime


class QualificationShape(Shape):
    """The frozen set on which a domain's candidates are judged. number: of the domain's sets, the highest counts."""

    domain: str
    number: int
    snapshot_id: int
    size: int
    reason: str
    created_by: str
    created_at: datetime


@router.post("", status_code=201, response_model=SnapshotShape)
def create(app: AppOf, actor: ActorOf, spec: snapshots.NewSnapshot, response: Response) -> Any:
    """Freezes what is labelled in some domains now, for training or export."""
    snapshot = snapshots.create_snapshot(app, actor, spec)
    response.headers["Location"] = f"/api/v1/snapshots/{snapshot.id}"
    return snapshot


@router.post("/qualification", status_code=201, response_model=QualificationShape)
def qualify(app: AppOf, actor: ActorOf, spec: qualification.NewQualificationSet, response: Response) -> Any:
    """Freezes a domain's labelled test images as the set that candidates are judged on from now on."""
    row = qualification.freeze_set(app, actor, spec.domain, spec.reason)
    response.headers["Location"] = f"/api/v1/snapshots/{row.snapshot_id}"
    return qualification.described(app, actor, row)


@router.get("/qualification", response_model=list[QualificationShape])
def qualifications(app: AppOf, actor: ActorOf) -> Any:
    """The sets that count now, one of each domain that has one, by the domains' names."""
    return qualification.list_current(app, actor)


@router.get("", response_model=Listed[SnapshotShape])
def listing(
    app: AppOf, actor: ActorOf, kind: SnapshotKind | None = None, cursor: Cursor = None, limit: Limit = 50
) -> Any:
    """A page of snapshots, newest first."""
    return snapshots.list_snapshots(app, actor, kind=kind, cursor=cursor, limit=limit)


@router.get("/{snapshot_id}", response_model=SnapshotShape)
def one(app: AppOf, actor: ActorOf, snapshot_id: Id) -> Any:
    """One snapshot."""
    return snapshots.get_snapshot(app, actor, snapshot_id)


@router.post("/{snapshot_id}/exports", status_code=202, response_model=JobShape)
def export(
    app: AppOf,
    actor: ActorOf,
    snapshot_id: Id,
    spec: exports.NewExport,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Queues the packing of a snapshot as domain folders, plain, as COCO or for LabelMe."""
    content = {"snapshot": snapshot_id, **spec.model_dump(mode="json")}
    request = request_of(actor, idempotency_key, "POST /snapshots/exports", content)
    job = exports.start_export(app, actor, snapshot_id, spec, request)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


@router.get(
    "/{snapshot_id}/exports/{job_id}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def archive(app: AppOf, actor: ActorOf, snapshot_id: Id, job_id: Id) -> Response:
    """The zip archive that an export's job made."""
    stored = exports.find_export(app, actor, snapshot_id, job_id)
    return streamed(app, stored, "application/zip", f"snapshot-{snapshot_id}.zip")
