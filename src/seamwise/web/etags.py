"""Answers that have not changed since they were read last are not sent again."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ETags:
    """Middleware: tags what GET answers in one piece with the hash of its bytes, and honours `If-None-Match`.

    Routes that stream large files set the `ETag` themselves. Streams without one pass as they are.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        start: Message | None = None
        swallow = False

        async def sending(message: Message) -> None:
            nonlocal start, swallow
            if message["type"] == "http.response.start" and message["status"] == 200:
                start = message  # until it is known whether the body follows in one piece
                return
            if start is not None:
                begun, start = start, None
                swallow = _tag(begun, message, known)
                await send(begun)
                if swallow:
                    await send({"type": "http.response.body", "body": b""})
            if not swallow:
                await send(message)

        await self.app(scope, receive, sending)


def _tag(start: Message, body: Message, known: str) -> bool:
    """Adds the tag; True, and the answer made a 304, when the reader has these bytes already."""
    headers = MutableHeaders(scope=start)
    if "etag" not in headers:
        if body["type"] != "http.response.body" or body.get("more_body"):
            return False
        headers["ETag"] = f'"{hashlib.sha256(body.get("body", b"")).hexdigest()[:32]}"'
    headers.setdefault("Cache-Control", "private, no-cache")  # keep it, but ask each time
    if not _among(headers["etag"], known):
        return False
    start["status"] = 304
    for name in ("content-length", "content-type"):
        if name in headers:
            del headers[name]
    return True


def _among(tag: str, known: str) -> bool:
    tags = [part.strip().removeprefix("W/") for part in known.split(",")]
    return "*" in tags or tag.removeprefix("W/") in tags
