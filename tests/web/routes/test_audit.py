"""The audit: who did what, and nothing takes it back."""

from __future__ import annotations

from seamwise.storage.tables import Role
from tests.web.caller import Caller


def test_what_was_done_is_listed_with_its_request(api: Caller) -> None:
    domain = {"name": "rt", "modality": "radiograph", "classes": ["background", "pore"]}
    api.post("/domains", json=domain, headers={"X-Request-ID": "abcdefgh-1"})
    (event,) = api.get("/audit", params={"subject": "domain/rt"}).json()["items"]
    assert (event["actor"], event["action"], event["request_id"]) == ("key/1", "domain.create", "abcdefgh-1")
    assert [one["action"] for one in api.get("/audit", params={"by": "key/1"}).json()["items"]] == ["domain.create"]
    assert api.get("/audit", params={"by": "nobody"}).json() == {"items": [], "next": None}


def test_no_event_can_be_changed_through_the_api(api: Caller) -> None:
    api.post("/keys", json={"name": "n", "role": "viewer"})
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert api.request(method, "/audit").status_code == 405
    assert api.of(Role.TRAINER).get("/audit").status_code == 403
