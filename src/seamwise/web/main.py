"""The web application: the routes of all nouns behind one guard."""

from __future__ import annotations

from threading import Event

from fastapi import FastAPI
from fastapi.middleware import Middleware

from seamwise import __version__
from seamwise.app.app import App
from seamwise.errors import NotFoundError
from seamwise.serving import Loaded, Server
from seamwise.web.access import Guard
from seamwise.web.doors import Doors
from seamwise.web.envelope import Envelope
from seamwise.web.etags import ETags
from seamwise.web.limits_http import SizeLimit
from seamwise.web.metrics import Metrics
from seamwise.web.openapi import describe
from seamwise.web.problems import answer_problems
from seamwise.web.rates import Rates
from seamwise.web.routes import (
    aliases,
    audit,
    batches,
    domains,
    drift,
    evaluations,
    health,
    images,
    imports,
    jobs,
    keys,
    models,
    predictions,
    rounds,
    scrubs,
    snapshots,
    strategies,
    trainings,
    uploads,
)

PREFIX = "/api/v1"
NOUNS = (
    *(health, keys, audit, jobs, scrubs, strategies),
    *(domains, images, uploads, imports, snapshots),
    *(trainings, rounds, evaluations, models),
    *(aliases, predictions, batches, drift),
)


def create_app(app: App, *, server: Server | None = None) -> FastAPI:
    """The API over these ports; server: what predicts. Without one the API answers predictions with 503."""
    server = server or Server(_nothing)
    metrics = Metrics()
    api = FastAPI(
        title="Seamwise",
        version=__version__,
        summary="Continual learning for weld inspection",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # those pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(Envelope, metrics=metrics),
            Middleware(Doors, hosts=app.settings.hosts()),
            Middleware(Guard, platform=app, rates=Rates(app.settings)),
            Middleware(SizeLimit, settings=app.settings),
            Middleware(ETags),
        ],
    )
    api.state.app, api.state.server, api.state.metrics, api.state.closing = app, server, metrics, Event()
    answer_problems(api)
    for noun in NOUNS:
        api.include_router(noun.router, prefix=PREFIX)
    describe(api)
    return api


def _nothing(version: str) -> Loaded:
    raise NotFoundError(f"version {version}: this process predicts nothing")
