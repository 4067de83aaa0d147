"""Requests to the API: sent with the key, sent again when that is safe, and their problems told as errors."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from seamwise.client.records import Job, Record
from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError, UsageError

PREFIX = "/api/v1"
_PASSING = (429, 502, 503, 504)  # what a later try may not meet; a proxy answers 502 and 504 while the API restarts
_LEAST_PAUSE_S = 0.25
_KINDS: Mapping[int, type[SeamwiseError]] = {
    401: RefusedError,
    403: RefusedError,
    404: NotFoundError,
    409: RefusedError,
    410: NotFoundError,
    412: RefusedError,
}


Found = TypeVar("Found", bound=Record)


class AwayError(SeamwiseError):
    """The service does not answer, or says that it cannot now."""


class Calls:
    """Sends requests. http: knows the service's address and the key; patience_s: how long to try an outage again."""

    def __init__(self, http: httpx.Client, patience_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self.http, self.patience_s = http, patience_s
        self._sleep = sleep

    def get(self, path: str, kind: type[Found], /, **parameters: Any) -> Found:
        """The record at a path."""
        return kind.model_validate(self.send("GET", path, params=told(parameters)).json())

    def pages(self, path: str, kind: type[Found], /, **parameters: Any) -> Iterator[Found]:
        """All records of a list, fetched a page at a time."""
        cursor = None
        while True:
            found = self.send("GET", path, params=told({**parameters, "cursor": cursor})).json()
            yield from map(kind.model_validate, found["items"])
            cursor = found["next"]
            if cursor is None:
                return

    def post(self, path: str, kind: type[Found], /, content: Any = None, *, again: bool = False) -> Found:
        """What was made or done. again: whether doing it twice is as good as once, so that an outage is waited out."""
        return kind.model_validate(self.send("POST", path, json=content, again=again).json())

    def begin(self, path: str, content: Any = None) -> Job:
        """The job that a request began; the request carries a key of its own, so that it begins only one."""
        named = {"Idempotency-Key": secrets.token_hex(16)}
        return Job.model_validate(self.send("POST", path, json=content, headers=named, again=True).json())

    def send(self, method: str, path: str, *, again: bool | None = None, **content: Any) -> httpx.Response:
        """The answer to a request, which may be sent again in an outage unless it changes something each time.

        again: whether it may; without: as its method says. Content must then be something that can be read twice.
        Raises AwayError, and for other problems the error that the service's own command would have raised.
        """
        safe = method in ("GET", "HEAD", "PUT", "DELETE") if again is None else again
        end = time.monotonic() + (self.patience_s if safe else 0.0)
        pause_s = _LEAST_PAUSE_S
        while True:
            try:
                answer = self.ask(method, path, **content)
                if answer.is_success:
                    return answer
                pause_s = _wished_pause(answer, pause_s)
                raise problem_of(answer)
            except AwayError:
                if time.monotonic() + pause_s > end:
                    raise
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """The answer to a request sent once, whatever it says; AwayError when there is none."""
        try:
            return self.http.request(method, PREFIX + path, **content)
        except httpx.TransportError as error:
            raise self._away(error) from error

    def download(self, path: str, target: Path) -> Path:
        """Writes an answer to a file, which appears whole or not at all."""
        beside = target.with_name(f".part-{secrets.token_hex(8)}")
        try:
            with self.stream(path) as answer, beside.open("xb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
            return beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """An answer whose bytes are read as they come; an outage ends it with AwayError."""
        try:
            with self.http.stream("GET", PREFIX + path, headers=headers) as answer:
                if not answer.is_success:
                    answer.read()
                    raise problem_of(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _away(self, error: httpx.TransportError) -> AwayError:
        return AwayError(f"{self.http.base_url} does not answer ({str(error) or type(error).__name__}); try again")


def path_part(name: str) -> str:
    """A name as one part of a path, whatever it is made of."""
    if not name:
        raise UsageError("a name is empty")
    quoted = quote(name, safe="")
    return quoted if name.strip(".") else quoted.replace(".", "%2E")  # . and .. would lead elsewhere


def version_path(version: str) -> str:
    """A version's name, LINE/NUMBER, as two parts of a path."""
    return "/".join(path_part(one) for one in version.split("/", 1))


def told(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _wished_pause(answer: httpx.Response, otherwise: float) -> float:
    """How many seconds an answer asks to wait: Retry-After is a number of them or a date, which may be over."""
    wished = answer.headers.get("Retry-After", "")
    if wished.isdecimal():
        return max(_LEAST_PAUSE_S, float(wished))
    try:
        date = parsedate_to_datetime(wished)
    except ValueError:
        return otherwise
    return max(_LEAST_PAUSE_S, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def problem_of(answer: httpx.Response) -> SeamwiseError:
    """The error that an answer's problem details tell."""
    try:
        said = answer.json()
        text = str(said.get("detail") or said.get("title"))
        # The first of several is the detail itself.
        more = [f"{'.'.join(each['where'])}: {each['what']}" for each in said.get("errors", [])[1:]]
    except (ValueError, AttributeError, KeyError, TypeError):
        text, more = answer.text[:200], []
    message = "; ".join([text, *more])
    status = answer.status_code
    if status in _PASSING:
        return AwayError(message)
    kind = _KINDS.get(status, BadInputError if status < 500 else SeamwiseError)
    number = answer.headers.get("X-Request-Id")
    return kind(f"{message} (request {number})" if number and status >= 500 else message)
