"""/models: versions of model lines, their files, and what each line has forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import computed_field

from seamwise.app import models
from seamwise.app.spec import Name
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/models", tags=["models"])

Line = Annotated[Name, Path(description="The model line's name.")]
Number = Annotated[int, Path(ge=1, lt=10**9, description="The version's number in its line.")]


class ModelShape(Shape):
    """A trained version. strategy, spec: how it learned; r_row: its score by domain; verdict: the gate's last.

    parent_id, snapshot_id, job_id: what it came from. The sha256 are of its files.
    """

    id: int
    line: str
    number: int
    parent_id: int | None
    snapshot_id: int | None
    job_id: int | None
    strategy: dict[str, Any]
    spec: dict[str, Any]
    engine: str
    weights_sha256: str
    state_sha256: str | None
    state_has_pixels: bool
    exported_sha256: str | None
    serving_sha256: str | None
    environment: dict[str, Any]
    r_row: dict[str, float | None] | None
    verdict: dict[str, Any] | None
    created_by: str
    created_at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def version(self) -> str:
        return f"{self.line}/{self.number}"


class TableRowShape(Shape):
    """A version's scores in the order of the table's domains, after it learned one of them."""

    version: str
    learned: str
    scores: list[float | None]


class ForgettingShape(Shape):
    """The R matrix of a line's newest version and its ancestors; forgetting: best score before minus the last one."""

    line: str
    domains: list[str]
    rows: list[TableRowShape]
    average: float | None
    forgetting: list[float | None]
    mean_forgetting: float | None


@router.get("", response_model=Listed[ModelShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    line: Annotated[str | None, Query(max_length=63)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of versions, newest first."""
    return models.list_versions(app, actor, line=line, cursor=cursor, limit=limit)


@router.get("/{line}/forgetting", response_model=ForgettingShape)
def forgetting(app: AppOf, actor: ActorOf, line: Line) -> Any:
    """What a line's versions scored on each domain, and what the newest has forgotten."""
    return models.forgetting_table(app, actor, line)


@router.get("/{line}/{number}", response_model=ModelShape)
def one(app: AppOf, actor: ActorOf, line: Line, number: Number) -> Any:
    """One version."""
    return models.get_version(app, actor, f"{line}/{number}")


@router.get(
    "/{line}/{number}/files/{name}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def file(
    app: AppOf,
    actor: ActorOf,
    line: Line,
    number: Number,
    name: Annotated[str, Path(max_length=40, description="model.safetensors, model.onnx, serving.safetensors ...")],
) -> StreamingResponse:
    """One of a version's files; its state and its self-test, which hold pixels, take a trainer."""
    stored, chunks = models.read_file(app, actor, f"{line}/{number}", name)
    headers = {"Content-Length": str(stored.size), "ETag": f'"{stored.sha256}"'}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)
