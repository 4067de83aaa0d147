"""Lets through who has a key: looked at before a byte of the request's body is read."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from seamwise.app.actor import Actor
from seamwise.app.app import App
from seamwise.app.keys import actor_of, hash_of
from seamwise.storage.columns import utc_now
from seamwise.storage.faults import UnavailableError
from seamwise.web.problems import RETRY_AFTER_S, ProblemResponse
from seamwise.web.rates import Rates

OPEN = ("/api/v1/health", "/api/v1/ready", "/api/v1/openapi.json")
REMEMBERED_S = 300.0  # how long a key seen lately opens the door while the database is away
_MOST = 1000


class Guard:
    """Middleware: finds who asks by the key, counts the request, and answers 401 or 429 where it ends here.

    Every request asks the database, so that a revoked key ends at once. While the database does not answer, keys that
    opened the door in the last five minutes still do: predictions need no database.
    """

    def __init__(self, app: ASGIApp, platform: App, rates: Rates) -> None:
        self.app, self.platform, self.rates = app, platform, rates
        self._seen: dict[str, tuple[Actor, float]] = {}
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        refusal = await run_in_threadpool(self._look, scope)
        await (refusal or self.app)(scope, receive, send)

    def _look(self, scope: Scope) -> ProblemResponse | None:
        """The refusal, or None and the actor noted for the routes."""
        state = scope.setdefault("state", {})
        request_id = state.get("request_id")
        try:
            actor = self._actor(Headers(scope=scope).get("authorization", ""), request_id)
        except UnavailableError as error:
            return ProblemResponse(503, str(error), {"Retry-After": str(RETRY_AFTER_S)}, request_id)
        client = scope.get("client")
        wait_s = self.rates.wait_s(actor.name if actor else f"address/{client[0] if client else ''}")
        if wait_s is not None:
            told = f"more requests than {self.rates.text}: wait {wait_s} s"
            return ProblemResponse(429, told, {"Retry-After": str(wait_s)}, request_id)
        if actor is None:
            told = "this needs a key that works, sent as `Authorization: Bearer sw_...`"
            return ProblemResponse(401, told, {"WWW-Authenticate": 'Bearer realm="seamwise"'}, request_id)
        state["actor"] = actor
        return None

    def _actor(self, authorization: str, request_id: str | None) -> Actor | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = token.strip()
        try:
            actor = actor_of(self.platform, token, request_id)
        except UnavailableError:
            return self._remembered(token, request_id)
        self._remember(token, actor)
        return actor

    def _remember(self, token: str, actor: Actor | None) -> None:
        """Keeps whom a key let in; one that was refused is forgotten."""
        with self._lock:
            if actor is None:
                self._seen.pop(hash_of(token), None)
                return
            if len(self._seen) >= _MOST:
                self._seen.clear()
            self._seen[hash_of(token)] = (actor, time.monotonic())

    def _remembered(self, token: str, request_id: str | None) -> Actor:
        """Raises the error that is being handled for a key not seen lately."""
        with self._lock:
            actor, seen = self._seen.get(hash_of(token), (None, 0.0))
        if actor is None or time.monotonic() - seen > REMEMBERED_S:
            raise
        if actor.expires_at is not None and actor.expires_at <= utc_now():
            raise
        return replace(actor, request_id=request_id)
