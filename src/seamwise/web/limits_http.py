"""How many bytes a request may have, by what it asks: refused before they are read, or as soon as they are too many."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seamwise.settings import Settings
from seamwise.web.problems import ProblemResponse

JSON_BYTES = 1 << 20
_AROUND = 1 << 20  # form fields and boundaries beside a picture


class SizeLimit:
    """Middleware: 413 for a body longer than its address takes."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        picture = int(settings.max_image_mb * 1e6) + _AROUND
        v1 = "/api/v1"
        self._limits = tuple(
            (re.compile(pattern), limit)
            for pattern, limit in (
                (rf"{v1}/uploads(/[^/]*)?", int(settings.max_upload_gb * 1e9)),
                (rf"{v1}/domains/[^/]+/images|{v1}/images", int(settings.max_request_mb * 1e6)),
                (rf"{v1}/predictions(/[^/]+/review)?", picture),
                (rf"{v1}/images/[^/]+/annotations", picture),
            )
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limit_of(scope["path"])
        length = Headers(scope=scope).get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            await self._refuse(400, "Content-Length must be a number", scope, receive, send)
            return
        if int(length[:20]) > limit:
            await self._refuse(413, _too_large(limit), scope, receive, send)
            return
        taken = 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:  # sent in chunks, without saying how many bytes there are
                raise HTTPException(413, _too_large(limit), {"Connection": "close"})
            return message

        await self.app(scope, receiving, send)

    def limit_of(self, path: str) -> int:
        """Most bytes of a request to an address."""
        return next((limit for pattern, limit in self._limits if pattern.fullmatch(path)), JSON_BYTES)

    async def _refuse(self, status: int, told: str, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope["state"].get("request_id")
        await ProblemResponse(status, told, {"Connection": "close"}, request_id)(scope, receive, send)


def _too_large(limit: int) -> str:
    size = f"{limit / 1e6:.0f} MB" if limit >= 1e6 else f"{limit} bytes"
    return f"the request is longer than {size}, the most that is taken here"
