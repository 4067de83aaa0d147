"""Server-sent events of a job: its log lines, its progress, and its end (the text format of the HTML standard)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from threading import Event
from typing import Any

from starlette.concurrency import run_in_threadpool

from seamwise.app.actor import ForbiddenError
from seamwise.app.jobs import News
from seamwise.storage.faults import UnavailableError

EVERY_S = 0.5
ALIVE_EVERY_S = 15.0
LONGEST_S = 1800.0  # a reader that wants more comes back with the last number it saw

Look = Callable[[int | None], News]


async def job_events(look: Look, first: News, after: int | None, closing: Event) -> AsyncIterator[str]:
    """The events from a first look on, until the job has ended or the service closes.

    look: gives what is new since a log line. after: the line the reader saw last. Each log line is an event `line`
    whose id is its number, by which a reader that lost its connection goes on.
    """
    news: News | None = first
    shown: dict[str, Any] | None = None
    begun = spoken = time.monotonic()
    while not closing.is_set() and time.monotonic() - begun < LONGEST_S:
        said = []
        if news is not None:
            for line in news.lines:
                after = line.id
                content = {"level": line.level, "text": line.text, "attempt": line.attempt, "at": line.at.isoformat()}
                said.append(event("line", content, line.id))
            now = {"state": news.job.state, "attempt": news.job.attempt, "progress": news.job.progress}
            if now != shown:
                shown = now
                said.append(event("progress", now))
            if news.last:
                said.append(event("end", {**now, "result": news.job.result, "error": news.job.error}))
        elif time.monotonic() - spoken >= ALIVE_EVERY_S:
            said.append(": the database does not answer\n\n")
        if not said and time.monotonic() - spoken >= ALIVE_EVERY_S:
            said.append(": still there\n\n")
        if said:
            spoken = time.monotonic()
            yield "".join(said)
        if news is not None and news.last:
            return
        if news is None or not news.more:
            await asyncio.sleep(EVERY_S)
        try:
            news = await run_in_threadpool(look, after)
        except UnavailableError:
            news = None
        except ForbiddenError:  # the key has ended: coming back, its holder is told so
            return


def event(kind: str, content: Any, number: int | None = None) -> str:
    """One event. JSON has no line breaks of its own, so that its text is one `data` line."""
    numbered = "" if number is None else f"id: {number}\n"
    return f"{numbered}event: {kind}\ndata: {json.dumps(content, allow_nan=False)}\n\n"
