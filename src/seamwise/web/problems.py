"""Errors as problem details (RFC 9457): what is wrong and the way out, under the request's number."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from seamwise.app.actor import ForbiddenError
from seamwise.app.limits import TooLargeError, WrongTypeError
from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError, UsageError
from seamwise.serving import NotServingError
from seamwise.storage.faults import FullError, UnavailableError

LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
UNEXPECTED = "the service failed at this; its log tells more under the request's number"
_SHOWN_ERRORS = 20
_OTHER_TITLES = {460: "Checksum Mismatch"}  # of statuses that are not HTTP's own; this one is TUS's

# The first that fits.
STATUS: tuple[tuple[type[SeamwiseError], HTTPStatus], ...] = (
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (WrongTypeError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (RefusedError, HTTPStatus.CONFLICT),
    (BadInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (FullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotServingError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class ProblemResponse(JSONResponse):
    """A problem as an answer."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
        **more: Any,
    ) -> None:
        title = _OTHER_TITLES.get(status) or HTTPStatus(status).phrase
        known = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        if request_id is not None:
            known["request_id"] = request_id
        super().__init__(known | more, status, dict(headers or {}))


def answer_problems(api: FastAPI) -> None:
    """Makes an application answer every error with a problem."""
    api.add_exception_handler(SeamwiseError, _ours)
    api.add_exception_handler(OSError, _system)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)


def status_of(error: SeamwiseError) -> int:
    """The status that tells this error."""
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return _of_system(error.__cause__)


def _of_system(error: BaseException | None) -> HTTPStatus:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.INTERNAL_SERVER_ERROR


def _ours(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, SeamwiseError)
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.warning("%s %s: %s", request.method, request.url.path, error)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return ProblemResponse(status, str(error), headers, request_id_of(request))


def _system(request: Request, error: Exception) -> ProblemResponse:
    """What the system refused where no use case expected it: a full disk above all."""
    assert isinstance(error, OSError)
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    status = _of_system(error)
    full = status == HTTPStatus.INSUFFICIENT_STORAGE
    detail = "the service's disk is full: free some space on it" if full else UNEXPECTED
    return ProblemResponse(status, detail, request_id=request_id_of(request))


def _invalid(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    # Neither the input nor the context: they may hold anything, secrets and NaN included.
    found = [
        {"where": [str(part) for part in one["loc"]], "what": str(one["msg"])} for one in error.errors()[:_SHOWN_ERRORS]
    ]
    first = f"{'.'.join(found[0]['where'])}: {found[0]['what']}" if found else "the request cannot be read"
    return ProblemResponse(422, first, request_id=request_id_of(request), errors=jsonable_encoder(found))


def _http(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    return ProblemResponse(error.status_code, str(error.detail), error.headers, request_id_of(request))


def request_id_of(request: Request) -> str | None:
    """The number under which the log keeps a request."""
    found: str | None = getattr(request.state, "request_id", None)
    return found
