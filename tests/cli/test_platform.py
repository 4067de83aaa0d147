"""`seamwise db`, `keys`, `scrub`: on the machine that holds the data, without a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seamwise.app import keys as use
from seamwise.app.actor import SYSTEM
from seamwise.app.app import App, open_app
from seamwise.settings import read_settings
from seamwise.storage.database import writing
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.object_rows import commit_object
from seamwise.storage.tables import Role
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the platform's data."""
    monkeypatch.setenv("SEAMWISE_DATA", str(tmp_path / "data"))
    for name in ("DATABASE_URL", "OBJECTS_URL", "QUEUE_URL"):
        monkeypatch.delenv(f"SEAMWISE_{name}", raising=False)
    return tmp_path / "data"


def result(seamwise: Command, *words: object) -> dict[str, Any]:
    answer = seamwise(*words, "--json", "-")
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


def prepared(seamwise: Command) -> App:
    result(seamwise, "db", "upgrade")
    app = open_app(read_settings())
    app.objects.prepare()
    return app


def put(app: App, content: bytes) -> Path:
    """Stores some bytes; the file that holds them."""
    stored = app.objects.put([content])
    with writing(app.database) as session:
        commit_object(session, stored)
    assert isinstance(app.objects, FolderStore)
    return app.objects.folder / stored.key


def test_upgrade_backup_and_check(seamwise: Command, data: Path) -> None:
    first = result(seamwise, "db", "upgrade")
    assert first["before"] is None
    again = result(seamwise, "db", "upgrade")
    assert again["before"] == again["after"] == first["after"]
    assert result(seamwise, "db", "check") == {"problems": []}
    copy = Path(result(seamwise, "db", "backup")["backup"])
    assert copy.parent == data
    assert copy.stat().st_size > 0
    assert seamwise("db", "backup", copy).code == 5
    assert seamwise("db", "backup", data / "none" / "x").code == 1


def test_a_backup_makes_no_database(seamwise: Command, data: Path) -> None:
    for target in ((), (data / "copy",)):
        answer = seamwise("db", "backup", *target)
        assert answer.code == 4
        assert "there is no database to copy" in answer.err
    assert not (data / "seamwise.db").exists()


def test_check_of_what_is_no_database(seamwise: Command, data: Path) -> None:
    assert seamwise("db", "check").code == 1
    (data / "seamwise.db").write_bytes(b"something else" * 100)
    answer = seamwise("db", "check")
    assert answer.code == 1
    assert "not a database" in answer.err


def test_keys_are_made_listed_and_revoked(seamwise: Command) -> None:
    app = prepared(seamwise)
    made = result(seamwise, "keys", "make", "line 3", "--role", "inspector", "--days", 10)
    actor = use.actor_of(app, made["token"])
    assert actor is not None
    assert actor.role is Role.INSPECTOR
    (listed,) = result(seamwise, "keys", "list")["keys"]
    assert listed == made["key"]
    assert made["token"] not in seamwise("keys", "list").out
    assert seamwise("keys", "revoke", made["key"]["id"]).code == 0
    assert use.actor_of(app, made["token"]) is None
    assert seamwise("keys", "revoke", 99).code == 4
    assert seamwise("keys", "make", " ").code == 2
    assert seamwise("keys", "make", "x", "--role", "king").code == 2


def test_the_last_admin_stays(seamwise: Command) -> None:
    app = prepared(seamwise)
    only = use.create_key(app, SYSTEM, use.NewKey(name="a", role=Role.ADMIN)).key
    assert seamwise("keys", "revoke", only.id).code == 5


def test_a_database_without_tables_is_refused(seamwise: Command) -> None:
    for words in (("keys", "list"), ("scrub",)):
        answer = seamwise(*words)
        assert answer.code == 5
        assert "seamwise db upgrade" in answer.err


def test_scrub_finds_what_is_damaged(seamwise: Command) -> None:
    app = prepared(seamwise)
    whole, damaged, gone = (put(app, name) for name in (b"whole", b"damaged", b"gone"))
    assert result(seamwise, "scrub") == {"checked": 3, "damaged": {}, "collected": 0}
    damaged.write_bytes(b"Damaged")
    gone.unlink()
    answer = seamwise("scrub", "--json", "-")
    assert answer.code == 1
    assert len(json.loads(answer.out)["damaged"]) == 2
    assert whole.exists()


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("gate", ['{"forgeting": 0.02}', '{"forgetting": "0.02"}', '{"seed": 1.5}'])
def test_a_wrong_threshold_of_the_gate_stops_a_process_at_its_start(
    seamwise: Command, data: Path, monkeypatch: pytest.MonkeyPatch, command: str, gate: str
) -> None:
    monkeypatch.setenv("SEAMWISE_GATE", gate)
    answer = seamwise(command)
    assert answer.code == 2
    assert "SEAMWISE_GATE: " in answer.err
    assert not data.exists()


def test_a_setting_that_cannot_be_used_is_named(seamwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMWISE_RATE_LIMIT", "many")
    answer = seamwise("keys", "list")
    assert answer.code == 2
    assert "SEAMWISE_RATE_LIMIT" in answer.err
