"""`seamwise remote` against a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.keys import NewKey, create_key
from seamwise.storage.tables import Role
from seamwise.worker.loop import Worker
from tests.cli.conftest import Command, seamwise
from tests.client.test_client import mask, picture

__all__ = ["seamwise"]


@pytest.fixture
def connected(app: App, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's address and an admin's key in the environment."""
    monkeypatch.setenv("SEAMWISE_ADDRESS", address)
    monkeypatch.setenv("SEAMWISE_KEY", create_key(app, SYSTEM, NewKey(name="test", role=Role.ADMIN)).token)
    monkeypatch.setenv("COLUMNS", "200")


def told(seamwise: Command, *words: object) -> Any:
    """What a command writes with `--json -`."""
    answer = seamwise("remote", *words, "--json", "-")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def in_steel(seamwise: Command) -> None:
    made = told(
        seamwise, "domains", "make", "steel", "--modality", "radiography", "--class", "background", "--class", "crack"
    )
    assert made["classes"] == ["background", "crack"]


@pytest.mark.usefixtures("connected")
def test_a_domain_and_its_pictures(seamwise: Command, tmp_path: Path) -> None:
    in_steel(seamwise)
    shown = seamwise("remote", "domains", "list")
    assert "steel" in shown.out
    assert "background, crack" in shown.out
    (tmp_path / "mask.png").write_bytes(mask())
    added = told(seamwise, "images", "add", "steel", picture(tmp_path / "a.png"), "--weld", "w1")["items"]
    number = added[0]["id"]
    assert told(seamwise, "images", "annotate", number, "--mask", tmp_path / "mask.png")["origin"] == "drawn"
    assert [row["id"] for row in told(seamwise, "images", "list", "steel")["items"]] == [number]
    assert told(seamwise, "snapshots", "make", "steel")["size"] == 1
    told(seamwise, "images", "delete", number, "--reason", "not ours")
    assert told(seamwise, "images", "list", "steel")["items"] == []
    actions = [row["action"] for row in told(seamwise, "audit", "--subject", f"image/{number}")["items"]]
    assert actions[0] == "image.delete"


@pytest.mark.usefixtures("connected")
def test_a_folder_is_imported_in_one_command(seamwise: Command, app: App, tmp_path: Path) -> None:
    in_steel(seamwise)
    for part in ("images", "masks"):
        (tmp_path / "set" / part).mkdir(parents=True)
    for name in ("one", "two"):
        picture(tmp_path / "set" / "images" / f"{name}.png", seed=len(name) + ord(name[0]))
        (tmp_path / "set" / "masks" / f"{name}.png").write_bytes(mask())
    (tmp_path / "set" / "domain.yaml").write_text("name: steel\nclasses: [background, crack]\n")
    worker = Worker(app)
    worker.start()
    try:
        answer = seamwise("remote", "import", "steel", tmp_path / "set")
        assert answer.code == 0, answer.err
        assert "import" in answer.out
        assert "succeeded" in answer.out
    finally:
        worker.stop()
    assert len(told(seamwise, "images", "list", "steel")["items"]) == 2


@pytest.mark.usefixtures("connected")
def test_jobs_are_begun_shown_and_ended(seamwise: Command) -> None:
    number = told(seamwise, "scrub", "--no-wait")["jobs"][0]["id"]
    assert told(seamwise, "jobs", "show", number)["state"] == "queued"
    assert told(seamwise, "jobs", "cancel", number)["state"] == "cancelled"
    assert "cancelled" in seamwise("remote", "jobs", "list", "--kind", "scrub").out
    followed = seamwise("remote", "jobs", "follow", number)
    assert (followed.code, followed.err.endswith(f"error: job {number} (scrub) cancelled")) == (1, True)
    assert told(seamwise, "jobs", "requeue", number)["state"] == "queued"


@pytest.mark.usefixtures("connected")
def test_errors_keep_their_exit_codes(seamwise: Command, tmp_path: Path) -> None:
    assert seamwise("remote", "models", "show", "main/1").code == 4
    in_steel(seamwise)
    assert seamwise("remote", "train", "main", "steel").code == 5
    assert seamwise("remote", "images", "add", "steel", tmp_path / "none.png").code == 3
    assert seamwise("remote", "images", "list", "steel", "--unassigned").code == 2
    assert seamwise("remote", "ready").code == 0


def test_without_a_key_the_way_to_one_is_told(
    seamwise: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEAMWISE_KEY", raising=False)
    monkeypatch.setenv("SEAMWISE_DATA", str(tmp_path))
    answer = seamwise("remote", "ready")
    assert answer.code == 2
    assert "--key-file" in answer.err
    (tmp_path / "admin.key").write_text("sw_wrong\n")
    away = seamwise("remote", "--address", "ftp://here", "ready")
    assert (away.code, "http://host" in away.err) == (2, True)
