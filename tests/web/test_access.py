"""Who is let in, how often, and how much they may send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from seamwise.app import keys
from seamwise.app.actor import SYSTEM, Actor
from seamwise.app.app import App
from seamwise.settings import Settings
from seamwise.storage.columns import utc_now
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import Role
from seamwise.web import access, limits_http
from seamwise.web.rates import Rates
from tests.web.caller import Caller, open_api


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer sw_",
        "Bearer sw_" + "A" * 43,
        "Basic dXNlcjpwYXNz",
        "bearer \u00ff\u00ff",
        "Bearer " + "x" * 5000,
    ],
)
def test_nobody_comes_in_without_a_key_that_works(api: Caller, header: str | None) -> None:
    stranger = api.of(None)
    answer = stranger.get("/domains", headers={} if header is None else {"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_the_scheme_of_a_key_may_be_written_in_any_case(api: Caller) -> None:
    token = api.headers["Authorization"].removeprefix("Bearer ")
    assert api.get("/domains", headers={"Authorization": f"bEARER  {token} "}).status_code == 200


def test_strangers_learn_no_routes(api: Caller) -> None:
    assert api.of(None).get("/nothing").status_code == 401
    assert api.get("/nothing").status_code == 404
    assert api.get("/nothing").json()["title"] == "Not Found"


def test_a_stranger_is_told_before_a_body_is_looked_at(api: Caller) -> None:
    big = api.of(None).post("/domains", content=b"x", headers={"Content-Length": str(10**12)})
    assert big.status_code == 401


class Away:
    """A database that can be taken away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        self.clock = 1000.0
        monkeypatch.setattr(access, "actor_of", self.actor_of)
        monkeypatch.setattr(access.time, "monotonic", lambda: self.clock)

    def actor_of(self, app: App, token: str, request_id: str | None) -> Actor | None:
        if self.away:
            raise UnavailableError("the database does not answer; try again")
        return keys.actor_of(app, token, request_id)


def test_while_the_database_is_away_keys_seen_lately_open_the_door(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Away(monkeypatch)
    late = api.of(Role.VIEWER)
    assert api.get("/domains").status_code == 200
    database.away = True
    assert api.get("/domains").status_code == 200
    unseen = late.get("/domains")
    assert (unseen.status_code, unseen.headers["retry-after"]) == (503, "5")
    database.clock += access.REMEMBERED_S + 1
    assert api.get("/domains").status_code == 503


def test_a_revoked_or_expired_key_stays_out_while_the_database_is_away(
    api: Caller, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Away(monkeypatch)
    revoked = keys.create_key(app, SYSTEM, keys.NewKey(name="revoked", role=Role.VIEWER))
    expiring = keys.create_key(app, SYSTEM, keys.NewKey(name="expiring", role=Role.VIEWER, days=1))
    callers = [Caller(api.web, made.token) for made in (revoked, expiring)]
    assert [caller.get("/domains").status_code for caller in callers] == [200, 200]
    keys.revoke_key(app, SYSTEM, revoked.key.id)
    assert callers[0].get("/domains").status_code == 401
    database.away = True
    assert [caller.get("/domains").status_code for caller in callers] == [503, 200]
    tomorrow = utc_now() + timedelta(days=1, seconds=1)
    monkeypatch.setattr(access, "utc_now", lambda: tomorrow)
    assert callers[1].get("/domains").status_code == 503


def test_each_key_has_a_rate_of_its_own(app: App, settings: Settings) -> None:
    limited = App(settings.model_copy(update={"rate_limit": "3/hour"}), app.database, app.objects, app.doorbell)
    api = open_api(limited)
    other = api.of(Role.VIEWER)
    assert [api.get("/domains").status_code for _ in range(4)] == [200, 200, 200, 429]
    over = api.get("/domains")
    assert 1 <= int(over.headers["retry-after"]) <= 3600
    assert "3/hour" in over.json()["detail"]
    assert other.get("/domains").status_code == 200
    assert api.get("/health").status_code == 200
    assert [api.of(None).get("/domains").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_a_counter_that_is_away_stops_nobody(app: App, settings: Settings) -> None:
    gone = settings.model_copy(update={"rate_limit": "1/hour", "queue_url": "redis://127.0.0.1:1/0"})
    rates = Rates(gone)
    assert [rates.wait_s("key/1") for _ in range(3)] == [None, None, None]


def test_a_body_too_long_is_refused_before_it_is_read(api: Caller) -> None:
    answer = api.post("/domains", content=b"{}", headers={"Content-Length": str(limits_http.JSON_BYTES + 1)})
    assert answer.status_code == 413
    assert "1 MB" in answer.json()["detail"]


def test_a_body_that_does_not_say_its_length_is_counted(api: Caller) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    answer = api.post("/domains", content=body(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("length", ["-1", "x", "1e9", "\u0661"])
def test_a_length_that_is_no_number(api: Caller, length: str) -> None:
    answer = api.post("/domains", content=b"{}", headers={"Content-Length": length.encode()})
    assert answer.status_code == 400


def test_limits_by_address(settings: Settings) -> None:
    sizes = limits_http.SizeLimit(None, settings)  # type: ignore[arg-type]
    picture = int(settings.max_image_mb * 1e6)
    assert sizes.limit_of("/api/v1/domains") == limits_http.JSON_BYTES
    assert sizes.limit_of("/api/v1/domains/a/images") == int(settings.max_request_mb * 1e6)
    assert picture < sizes.limit_of("/api/v1/predictions") < picture + (2 << 20)
    assert picture < sizes.limit_of("/api/v1/predictions/12/review")
    assert picture < sizes.limit_of("/api/v1/images/12/annotations")
    assert sizes.limit_of("/api/v1/images/12") == limits_http.JSON_BYTES
    assert sizes.limit_of("/api/v1/uploads/abc") == int(settings.max_upload_gb * 1e9)
    assert sizes.limit_of("/api/v1/uploads/abc/more") == limits_http.JSON_BYTES
