"""/health, /ready, /metrics: for whoever watches the service."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from seamwise import __version__
from seamwise.app import health
from seamwise.storage.faults import UnavailableError
from seamwise.web.asking import ActorOf, AppOf, ServerOf
from seamwise.web.shapes import Shape

router = APIRouter(tags=["health"])


class HealthShape(Shape):
    """The process runs."""

    status: Literal["ok"]
    version: str


class ReadyShape(Shape):
    """Whether the service can do its work.

    status: ready; late: jobs wait longer than they should; away: the database or the object store does not answer.
    serving: the version that predicts here; loading: the one that is about to.
    """

    status: Literal["ready", "late", "away"]
    database: str
    objects: str
    oldest_queued_s: float | None
    heartbeat_age_s: float | None
    serving: str | None = None
    loading: str | None = None


@router.get("/health", response_model=HealthShape)
async def alive() -> Any:
    """Whether the process answers; asks nobody else. Needs no key."""
    return {"status": "ok", "version": __version__}


@router.get("/ready", response_model=ReadyShape, responses={503: {"model": ReadyShape}})
def ready(app: AppOf, server: ServerOf, response: Response) -> Any:
    """Whether the service can do its work: 200 for ready and late, 503 for away. Needs no key."""
    found = health.look_ready(app)
    if found.status == "away":
        response.status_code = 503
    held = server.status()
    return ReadyShape.model_validate(found).model_copy(update={"serving": held.version, "loading": held.loading})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, app: AppOf, server: ServerOf, actor: ActorOf) -> Response:
    """Figures for Prometheus, which sends its key as `authorization` of its scrape configuration."""
    try:
        gauges = health.read_gauges(app, actor)
    except UnavailableError:
        gauges = None
    text = request.app.state.metrics.text(gauges, server)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
