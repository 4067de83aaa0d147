"""Keys: made once, shown once, ended for good."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from seamwise.app import keys
from seamwise.app.app import App
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Key, Role
from tests.contract.rows import at_once
from tests.web.caller import Caller


def made(api: Caller, **content: object) -> dict[str, object]:
    answer = api.post("/keys", json={"name": "line 3", "role": "inspector", **content})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_new_key_opens_the_door_and_is_shown_once(api: Caller) -> None:
    new = made(api)
    token = str(new["token"])
    assert token.startswith("sw_")
    other = Caller(api.web, token)
    assert other.get("/domains").status_code == 200
    listed = api.get("/keys")
    assert [key["name"] for key in listed.json()["items"]] == ["line 3", "test"]
    assert token not in listed.text
    with reading(api.platform.database) as session:
        row = session.get_one(Key, new["key"]["id"])  # type: ignore[index]
        assert row.hash == keys.hash_of(token)


def test_a_revoked_key_ends_at_once(api: Caller) -> None:
    new = made(api)
    other = Caller(api.web, str(new["token"]))
    assert other.get("/domains").status_code == 200
    answer = api.delete(f"/keys/{new['key']['id']}")  # type: ignore[index]
    assert answer.json()["revoked_at"]
    assert other.get("/domains").status_code == 401
    assert api.delete(f"/keys/{new['key']['id']}").json() == answer.json()  # type: ignore[index]


def test_an_expired_key_opens_nothing(api: Caller) -> None:
    new = made(api, days=1)
    with writing(api.platform.database) as session:
        session.get_one(Key, new["key"]["id"]).expires_at = utc_now() - timedelta(seconds=1)  # type: ignore[index]
    assert Caller(api.web, str(new["token"])).get("/domains").status_code == 401


def test_the_last_key_of_an_admin_stays(api: Caller) -> None:
    (only,) = api.get("/keys").json()["items"]
    answer = api.delete(f"/keys/{only['id']}")
    assert answer.status_code == 409
    assert "last one" in answer.json()["detail"]
    made(api, role="admin")
    assert api.delete(f"/keys/{only['id']}").status_code == 200


@pytest.mark.parametrize(
    "content", [{"name": " "}, {"role": "king"}, {"days": 0}, {"days": "NaN"}, {"more": 1}, {"name": "x" * 501}]
)
def test_what_makes_no_key(api: Caller, content: dict[str, object]) -> None:
    answer = api.post("/keys", json={"name": "n", "role": "viewer", **content})
    assert answer.status_code == 422
    assert next(iter(content)) in answer.json()["detail"]


@pytest.mark.parametrize("number", ["0", "-1", "99", str(2**63), "x", "1e3"])
def test_a_key_that_is_not_there(api: Caller, number: str) -> None:
    assert api.get(f"/keys/{number}").status_code in (404, 422)


def test_the_first_key_is_made_once_for_all_who_start(app: App, tmp_path: Path) -> None:
    paths = at_once(6, lambda _: keys.keep_first_key(app))
    assert paths == [tmp_path / "admin.key"] * 6
    assert paths[0].stat().st_mode & 0o777 == 0o600
    actor = keys.actor_of(app, paths[0].read_text())
    assert actor is not None
    assert actor.role is Role.ADMIN
    with reading(app.database) as session:
        assert len(keys.list_keys(app, keys.SYSTEM).items) == session.query(Key).count() == 1
