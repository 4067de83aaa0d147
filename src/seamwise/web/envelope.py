"""The outermost layer: gives each request a number, sees every answer and every failure, and writes one log line."""

from __future__ import annotations

import logging
import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seamwise.web.metrics import Metrics
from seamwise.web.problems import UNEXPECTED, ProblemResponse

LOG = logging.getLogger("seamwise.web")
_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Envelope:
    """Middleware around all others.

    A request's number comes from its `X-Request-ID`, if that can be one, and goes back in the answer's. Headers that
    keep browsers from doing harm are added unless the answer set them itself.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        begun = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, sending)
            except ClientDisconnect:
                LOG.info("%s %s: the sender went away", scope["method"], scope["path"])
            except Exception:
                LOG.exception("%s %s failed", scope["method"], scope["path"])
                if status:  # half an answer is out: the connection must break
                    raise
                await ProblemResponse(500, UNEXPECTED, request_id=request_id)(scope, receive, sending)
            finally:
                self._note(scope, status, time.perf_counter() - begun)

    def _note(self, scope: Scope, status: int, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self.metrics.answered(scope["method"], route, status, took_s)
        actor = scope["state"].get("actor")
        told = {"status": status, "took_ms": round(took_s * 1000, 1), "actor": actor.name if actor else None}
        quiet = status < 400 and route.rpartition("/")[2] in ("health", "ready", "metrics")
        LOG.log(logging.DEBUG if quiet else logging.INFO, "%s %s", scope["method"], scope["path"], extra=told)
