"""Requests through outages: sent again where that is safe, and where not, told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from seamwise import client
from seamwise.app.app import App
from seamwise.client import AwayError, Client, records, served
from seamwise.client.calls import Calls
from seamwise.client.jobs import Jobs
from seamwise.client.learning import Models
from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError, UsageError
from seamwise.web.main import create_app

Answer = httpx.Response | Exception
JOB: dict[str, Any] = dict.fromkeys(("line", "progress", "result", "error", "finished_at"))
JOB |= {"id": 7, "kind": "train", "state": "queued", "queue": "cpu", "spec": {}, "attempt": 0, "created_by": "key/1"}
JOB |= {"created_at": "2026-01-01T00:00:00Z"}


class Line:
    """Answers in turn, and keeps what was asked and how long was waited."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.waited: list[float] = []
        http = httpx.Client(base_url="http://here", transport=httpx.MockTransport(self._answer))
        self.calls = Calls(http, 3600.0, self.waited.append)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def away(after: str = "2") -> httpx.Response:
    return httpx.Response(503, json={"detail": "the database does not answer"}, headers={"Retry-After": after})


def test_what_may_be_sent_again_waits_an_outage_out() -> None:
    line = Line(
        httpx.ConnectError("no"), away(), httpx.Response(429, json={"detail": "slow"}), httpx.Response(200, json=JOB)
    )
    assert line.calls.get("/jobs/7", records.Job).id == 7
    assert line.waited[:2] == [0.25, 2.0]
    assert len(line.asked) == 4


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_waits_for_the_service_is_waited_out(status: int) -> None:
    line = Line(httpx.Response(status, text="<h1>Bad gateway</h1>"), httpx.Response(200, json=JOB))
    assert line.calls.get("/jobs/7", records.Job).id == 7
    assert line.waited == [0.25]


@pytest.mark.parametrize(
    ("after", "least", "most"),
    [
        ("30", 30, 30),
        (timedelta(minutes=30), 1500, 1800),
        ("0", 0.25, 0.25),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.25, 0.25),
        ("soon", 0.25, 0.25),
        ("-5", 0.25, 0.25),
        ("Wed, 99 Oct 2015 07:28:00 GMT", 0.25, 0.25),
    ],
)
def test_the_service_says_how_long_to_wait_in_seconds_or_by_a_date(
    after: str | timedelta, least: float, most: float
) -> None:
    said = after if isinstance(after, str) else format_datetime(datetime.now(UTC) + after, usegmt=True)
    line = Line(away(said), httpx.Response(200, json=JOB))
    line.calls.get("/jobs/7", records.Job)
    assert least <= line.waited[0] <= most


def test_what_begins_a_job_carries_one_key_through_all_tries() -> None:
    line = Line(httpx.ReadError("broken"), away(), httpx.Response(202, json=JOB))
    assert line.calls.begin("/trainings", {"line": "main"}).id == 7
    keys = {request.headers["Idempotency-Key"] for request in line.asked}
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    again = Line(httpx.Response(202, json=JOB))
    again.calls.begin("/trainings", {"line": "main"})
    assert again.asked[0].headers["Idempotency-Key"] != line.asked[0].headers["Idempotency-Key"]


def test_what_changes_something_each_time_is_sent_once() -> None:
    line = Line(httpx.ReadError("broken"))
    with pytest.raises(AwayError, match=r"http://here does not answer \(broken\)"):
        line.calls.post("/keys", records.MadeKey, {})
    assert len(line.asked) == 1


def test_patience_ends() -> None:
    line = Line(*[httpx.ConnectError("no")] * 3)
    line.calls.patience_s = 0.0
    with pytest.raises(AwayError):
        line.calls.get("/jobs/7", records.Job)
    assert len(line.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, RefusedError) for status in (401, 403, 409)),
        *((status, BadInputError) for status in (400, 413, 415, 422)),
        *((status, SeamwiseError) for status in (500, 507)),
        (404, NotFoundError),
    ],
)
def test_a_problem_is_the_error_that_the_command_would_raise(status: int, kind: type[SeamwiseError]) -> None:
    line = Line(httpx.Response(status, json={"detail": "what and why"}, headers={"X-Request-Id": "r1"}))
    with pytest.raises(SeamwiseError, match="what and why") as caught:
        line.calls.get("/jobs/7", records.Job)
    assert type(caught.value) is kind
    assert ("r1" in str(caught.value)) == (status >= 500)
    assert len(line.asked) == 1


def test_an_answer_that_is_no_problem_document_is_told_as_it_is() -> None:
    line = Line(httpx.Response(500, text="<h1>Broken</h1>"))
    with pytest.raises(SeamwiseError, match="Broken"):
        line.calls.get("/jobs/7", records.Job)


def test_a_broken_download_leaves_no_file(tmp_path: Path) -> None:
    def half() -> Any:
        yield b"half"
        raise httpx.ReadError("broken")

    line = Line(httpx.Response(200, content=half()))
    with pytest.raises(AwayError):
        line.calls.download("/images/1/content", tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def described(app: App) -> dict[str, Any]:
    """The API's own description."""
    return create_app(app).openapi()


def test_every_record_is_an_answer_of_the_api(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    renamed = {"LogLine": "LineShape", "Readiness": "ReadyShape", "QualificationSet": "QualificationShape"}
    renamed["ForgettingRow"] = "TableRowShape"
    kinds = [
        kind
        for kind in (vars(records) | vars(served)).values()
        if isinstance(kind, type) and issubclass(kind, records.Record)
    ]
    assert len(kinds) > 25
    for kind in kinds:
        if kind is records.Record:
            continue
        shape = schemas[renamed.get(kind.__name__, f"{kind.__name__}Shape")]
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        assert set(fields) <= set(shape["properties"]), kind
        required = {name for name, field in fields.items() if field.is_required()}
        assert required <= set(shape.get("required", [])), kind


def test_the_client_reaches_every_route(described: dict[str, Any]) -> None:
    source = "".join(path.read_text() for path in Path(str(client.__file__)).parent.glob("*.py"))
    reached = {re.sub(r"\{[\w()]+\}", "{}", path) for path in re.findall(r'"(/[a-z][^" ]*)"', source)}
    paths = {re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1")) for path in described["paths"]}
    versions = {path.replace("/models/{}/{}", "/models/{}") for path in paths}  # LINE/NUMBER is one word here
    assert versions - reached == {"/health", "/metrics"}  # for whoever watches the process


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("welds/1", "/models/welds/1"),
        ("welds/1/../../../keys", "/models/welds/1%2F..%2F..%2F..%2Fkeys"),
        ("../keys", "/models/%2E%2E/keys"),
        ("welds?line=x#y", "/models/welds%3Fline%3Dx%23y"),
        ("ä/%31", "/models/%C3%A4/%2531"),
    ],
)
def test_a_name_stays_where_it_stands_in_an_address(version: str, path: str) -> None:
    line = Line(httpx.Response(404, json={}))
    with pytest.raises(NotFoundError):
        Models(line.calls).get(version)
    assert line.asked[0].url.raw_path.decode() == f"/api/v1{path}"


def test_an_empty_name_asks_for_nothing() -> None:
    line = Line()
    with pytest.raises(UsageError, match="empty"):
        Models(line.calls).get("")


def test_a_client_closes_what_it_opened() -> None:
    with Client("http://localhost:9") as made:
        pass
    assert made._http.is_closed


def test_a_broken_stream_of_events_goes_on_after_the_last_line_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    first = (
        'id: 4\nevent: line\ndata: {"text": "one"}\n\n: still there\n\nevent: progress\ndata: {"state": "running"}\n\n'
    )
    last = 'id: 9\nevent: line\ndata: {"text": "two"}\n\nevent: end\ndata: {"state": "succeeded"}\n\n'
    line = Line(httpx.Response(200, text=first), httpx.ConnectError("no"), httpx.Response(200, text=last))
    told = [(what, next(iter(values.values()))) for what, values in Jobs(line.calls).follow(7)]
    assert told == [("line", "one"), ("progress", "running"), ("line", "two"), ("end", "succeeded")]
    assert [request.headers.get("Last-Event-ID") for request in line.asked] == [None, "4", "4"]
