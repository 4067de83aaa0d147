"""What a route learns of its request: the platform's ports, who asks, and under which idempotency key."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Query
from fastapi import Request as HttpRequest

from seamwise.app.actor import Actor
from seamwise.app.app import App
from seamwise.serving import Server
from seamwise.storage.idempotency import Request


# Coroutines, though they wait for nothing: plain functions would each cost a change of thread.
async def _app(request: HttpRequest) -> App:
    app: App = request.app.state.app
    return app


async def _server(request: HttpRequest) -> Server:
    server: Server = request.app.state.server
    return server


async def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.state.actor  # set by the router's guard, `seamwise.web.access`
    return actor


AppOf = Annotated[App, Depends(_app)]
ServerOf = Annotated[Server, Depends(_server)]
ActorOf = Annotated[Actor, Depends(_actor)]
Cursor = Annotated[str | None, Query(max_length=64, description="The `next` of the page before; leave out to begin.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most items of the page.")]
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=200, description="Any text of yours: the same request sent again under it makes nothing new."),
]


def request_of(actor: Actor, key: str | None, route: str, content: Any) -> Request | None:
    """The request as the jobs table remembers it, or None where the sender gave no key."""
    return None if key is None else Request.of(actor.name, key, {"route": route, "content": content})
