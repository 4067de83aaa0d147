"""What goes around every answer: numbers, headers, tags, names and origins, problems, logs."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from starlette.requests import ClientDisconnect

from seamwise.app import domains
from seamwise.app.app import App
from seamwise.app.limits import TooLargeError, WrongTypeError
from seamwise.app.logs import redacted, set_up_logs
from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError, UsageError
from seamwise.serving import NotServingError
from seamwise.settings import Settings
from seamwise.storage.faults import DamagedError, FullError, UnavailableError
from tests.web.caller import Caller, open_api


@pytest.fixture
def log(settings: Settings) -> Iterator[io.StringIO]:
    """What is logged, as lines of JSON."""
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = io.StringIO()
    set_up_logs(settings, stream)
    yield stream
    root.handlers, root.level = before


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("path", ["/health", "/domains", "/nothing", "/openapi.json"])
def test_every_answer_carries_the_headers_that_keep_browsers_from_harm(api: Caller, path: str) -> None:
    headers = api.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abcdefgh", True), ("a-b_c.d1", True), ("short", False), ("x" * 65, False), ("a b c d e", False)],
)
def test_a_request_keeps_its_number(api: Caller, given: str, kept: bool) -> None:
    found = api.get("/health", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert (found == given) is kept
    assert len(found) >= 8


def test_what_has_not_changed_is_not_sent_again(api: Caller) -> None:
    first = api.get("/domains")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (tag, f'"other", W/{tag}', "*"):
        again = api.get("/domains", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    api.post("/domains", json={"name": "a", "modality": "rt", "classes": ["background", "pore"]})
    changed = api.get("/domains", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_errors_have_no_tag(api: Caller) -> None:
    assert "etag" not in api.get("/domains/none").headers
    assert api.get("/domains/none").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
def test_names_of_this_machine(api: Caller, host: str) -> None:
    assert api.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::1", "[x]:1"])
def test_names_that_are_not_ours(api: Caller, host: str) -> None:
    answer = api.get("/domains", headers={"Host": host})
    assert answer.status_code == 400
    assert "SEAMWISE_ALLOWED_HOSTS" in answer.json()["detail"]


def test_names_that_the_settings_allow(app: App, settings: Settings) -> None:
    named = settings.model_copy(update={"allowed_hosts": ("welds.example",)})
    api = open_api(App(named, app.database, app.objects, app.doorbell))
    assert api.get("/health", headers={"Host": "welds.example:443"}).status_code == 200
    assert api.get("/domains", headers={"Host": "localhost"}).status_code == 400
    for path in ("/health", "/ready"):  # a container's own health check knows no name
        assert api.get(path, headers={"Host": "127.0.0.1:8000"}).status_code == 200
    public = settings.model_copy(update={"host": "0.0.0.0"})
    assert public.hosts() == ("*",)
    api = open_api(App(public, app.database, app.objects, app.doorbell))
    assert api.get("/health", headers={"Host": "any.example"}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 422),
        ("https://localhost", 422),
        ("http://localhost:9999", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_only_our_own_pages_change_anything(api: Caller, origin: str, status: int) -> None:
    assert api.post("/domains", json={}, headers={"Origin": origin}).status_code == status
    assert api.get("/domains", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("x"), 404),
        (RefusedError("x"), 409),
        (BadInputError("x"), 422),
        (UsageError("x"), 422),
        (TooLargeError("x"), 413),
        (WrongTypeError("x"), 415),
        (UnavailableError("x"), 503),
        (FullError("x"), 507),
        (NotServingError("x"), 503),
        (DamagedError("x"), 500),
        (SeamwiseError("x"), 500),
        (OSError(28, "No space left on device"), 507),
        (OSError(5, "Input/output error"), 500),
        (ZeroDivisionError("hush"), 500),
    ],
)
def test_every_error_is_a_problem(
    api: Caller, log: io.StringIO, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(domains, "get_domain", fail)
    answer = api.get("/domains/a", headers={"X-Request-ID": "number-12"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem = answer.json()
    assert (problem["status"], problem["request_id"]) == (status, "number-12")
    assert "hush" not in answer.text
    assert "Traceback" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
    if status == 500 and not isinstance(error, SeamwiseError):
        assert any("Error" in str(line.get("exception")) for line in lines(log))


def test_a_sender_that_goes_away_is_no_failure(api: Caller, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ClientDisconnect

    monkeypatch.setattr(domains, "get_domain", fail)
    with pytest.raises(AssertionError):  # the test's client misses an answer
        api.get("/domains/a")
    assert {line["level"] for line in lines(log)} == {"info"}
    assert "went away" in log.getvalue()


def test_a_full_disk_below_a_use_case(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SeamwiseError("/x: no space left; free some") from OSError(28, "No space left on device")

    monkeypatch.setattr(domains, "get_domain", fail)
    assert api.get("/domains/a").status_code == 507


def test_what_is_wrong_with_a_request_is_named_without_repeating_it(api: Caller) -> None:
    answer = api.post("/domains", json={"name": "../secret", "modality": "rt", "classes": ["a"]})
    assert answer.status_code == 422
    assert {".".join(error["where"]) for error in answer.json()["errors"]} == {"body.name", "body.classes"}
    assert "secret" not in answer.text
    broken = api.post("/domains", content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 422
    assert broken.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b'{"name": NaN}', b"[" * 100_000, b'"\\ud800"', b"\xff\xfe", b'{"pitch_mm": 1e999}'])
def test_json_that_is_none(api: Caller, body: bytes) -> None:
    answer = api.post("/domains", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_each_request_is_one_line_with_its_number_and_without_its_key(api: Caller, log: io.StringIO) -> None:
    token = api.headers["Authorization"].removeprefix("Bearer ")
    api.get("/domains", headers={"X-Request-ID": "number-12"})
    api.get(f"/domains/{token}")
    api.get("/ready")
    told = [line for line in lines(log) if line["logger"] == "seamwise.web"]
    assert [(line["event"], line["status"], line["actor"]) for line in told] == [
        ("GET /api/v1/domains", 200, "key/1"),
        ("GET /api/v1/domains/***", 404, "key/1"),
    ]
    assert told[0]["request_id"] == "number-12"
    assert token not in log.getvalue()


def test_secrets_are_cut_out_of_logs() -> None:
    token = "sw_" + "a" * 43
    assert redacted({"a": [f"key {token}!"]}) == {"a": ["key ***!"]}
    assert redacted("postgresql://user:hush@host/x") == "postgresql://user:***@host/x"
    assert redacted("Authorization: Bearer abc.def") == "Authorization: Bearer ***"
    assert redacted(5) == 5


def test_text_logs_for_people(settings: Settings, log: io.StringIO) -> None:
    set_up_logs(settings.model_copy(update={"log_format": "text"}), log)
    logging.getLogger("x").warning("job %d waits", 3)
    assert "job 3 waits" in log.getvalue()
