"""Stored bytes as answers: chunk by chunk, and never whole when they are not what was stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from fastapi import Response
from fastapi.responses import StreamingResponse

from seamwise.app.app import App
from seamwise.storage.object_store import Stored, verified


def streamed(app: App, stored: Stored, media_type: str, filename: str | None = None) -> Response:
    """An object's bytes. The last chunk waits until the hash of all is known: damaged bytes end the line before it."""
    chunks = _held_back(verified(app.objects, stored))
    first = next(chunks, b"")  # what cannot be read at all is an error before the answer begins
    headers = {"Content-Length": str(stored.size), "ETag": f'"{stored.sha256}"'}
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return StreamingResponse(chain((first,), chunks), media_type=media_type, headers=headers)


def _held_back(chunks: Iterator[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        if held:
            yield held
        held = chunk
    yield held
