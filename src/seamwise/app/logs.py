"""Logs as lines of JSON (or text for people), each with the numbers of its request and job, and without secrets."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from seamwise.settings import Settings

# Keys of ours, what follows "Bearer", and passwords in addresses.
_SECRETS = re.compile(r"sw_[A-Za-z0-9_-]{20,}|(?<=[Bb]earer )\S+|(?<=://)([^/\s:@]*:)[^/\s@]+(?=@)")
_QUIET = (
    "httpx",
    "httpcore",
    "urllib3",
    "multipart",
    "python_multipart",
    "alembic",
    "PIL",
    "limits",
    "asyncio",
    "uvicorn.error",
)


def set_up_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends all logs of this process to the standard error (or `stream`), as the settings say."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, _redacted, structlog.processors.JSONRenderer(default=str)]
        if settings.log_format == "json"
        else [structlog.processors.format_exc_info, _redacted, structlog.dev.ConsoleRenderer(colors=False)]
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def redacted(value: Any) -> Any:
    """The value with every secret in its texts replaced."""
    match value:
        case str():
            return _SECRETS.sub(lambda found: f"{found[1] or ''}***", value)
        case dict():
            return {name: redacted(part) for name, part in value.items()}
        case list() | tuple():
            return [redacted(part) for part in value]
    return value


def _redacted(_logger: Any, _name: str, event: EventDict) -> EventDict:
    return {name: redacted(value) for name, value in event.items()}
