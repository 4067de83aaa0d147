"""`seamwise remote` against a running service."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.keys import NewKey, create_key
from seamwise.client.calls import Calls
from seamwise.client.served import Prediction
from seamwise.client.serving import Predictions
from seamwise.errors import RefusedError
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
        made = picture(tmp_path / "set" / "images" / f"{name}.png", seed=len(name) + ord(name[0]))
        os.utime(made, (0, 0))  # as in reproducible archives: before any time that a zip archive can tell
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


def answer_with(defects: int, left_out: int) -> Prediction:
    listed = [
        {"class": "crack", "area_px": 900 - n, "area_mm2": None, "box": [n, 2, 30, 40], "probability": 0.9}
        for n in range(defects)
    ]
    more = {"defects": listed, "defects_left_out": left_out, "created_by": "key/1", "created_at": "2026-01-02T03:04Z"}
    told = {"name": "steel", "how": "told", "likely": None, "confidence": 1.0}
    about = {"width": 90, "height": 70, "pitch_mm": None, "weld": "W7", "domain": told, "confidence": 0.75}
    return Prediction.model_validate({"id": 4, "version": "main/2", "image": 5, "batch": None} | about | more)


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(
    ("defects", "left_out", "rows", "end"),
    [(14, 3, 10, "and 7 more"), (11, 0, 10, "and 1 more"), (2, 0, 2, "defects: 2"), (0, 0, 0, "defects: 0")],
)
def test_an_answer_shows_its_largest_defects(
    seamwise: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    defects: int,
    left_out: int,
    rows: int,
    end: str,
) -> None:
    monkeypatch.setattr(Predictions, "make", lambda *_, **__: answer_with(defects, left_out))
    path = picture(tmp_path / "a.png")
    lines = seamwise("remote", "predict", path).out.splitlines()
    assert {"version: main/2", "weld: W7", "confidence: 0.75"} <= set(lines)
    assert not any(line.startswith("defects_left_out") for line in lines)
    assert [line.split("│")[2].strip() for line in lines if "crack" in line] == [str(900 - n) for n in range(rows)]
    assert lines[-1] == end
    assert max(map(len, lines)) < 120
    whole = told(seamwise, "predict", path)
    assert (len(whole["defects"]), whole["defects_left_out"], whole["id"]) == (defects, left_out, 4)


@pytest.mark.usefixtures("connected")
def test_a_line_of_several_domains_is_begun(seamwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def begin(_: Calls, path: str, body: dict[str, Any]) -> Any:
        sent.append(body)
        raise RefusedError("enough")

    monkeypatch.setattr(Calls, "begin", begin)
    classes = [word for name in ("background", "crack", "pore") for word in ("--class", name)]
    assert seamwise("remote", "train", "main", "steel", "--rule", "union", *classes, "--scale", "0.5").code == 5
    assert sent[0]["rule"] == "union"
    assert sent[0]["classes"] == ["background", "crack", "pore"]
    assert sent[0]["scale"] == 0.5
    assert seamwise("remote", "train", "main", "steel").code == 5
    assert not {"classes", "scale"} & sent[1].keys()


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
