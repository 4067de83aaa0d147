"""A serving process: it follows the alias, keeps on without a database, and does its duties beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from seamwise.app import aliases, live
from seamwise.app.aliases import PRODUCTION, Rollback
from seamwise.app.app import App
from seamwise.serving import NotServingError
from seamwise.storage.faults import UnavailableError
from tests.app.pictures import TRAINER
from tests.app.test_predictions import fill
from tests.app.versions import add_version, serve
from tests.serving.tiny import eventually, picture, segmenter


def test_a_server_follows_promotions_and_rollbacks(app: App, tmp_path: Path) -> None:
    server = live.open_server(app, tmp_path / "cache")
    running = live.start(app, server, interval_s=0.02)
    with pytest.raises(NotServingError), server.pin():
        pass
    serve(app, add_version(app, seed=1))
    eventually(lambda: server.status().version == "welds/1")
    serve(app, add_version(app, seed=2))
    eventually(lambda: server.status().version == "welds/2")
    x = picture(1, 20, 20)
    with server.pin() as engine:
        assert torch.equal(engine.predict(x), segmenter(seed=2).predict(x))
    aliases.rollback(app, TRAINER, PRODUCTION, Rollback(reason="test"))
    eventually(lambda: server.status().version == "welds/1")
    assert running.stop()
    server.close()


def test_files_that_were_fetched_are_not_fetched_again(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(app, add_version(app))
    first = live.open_server(app, tmp_path / "cache")
    first.swap("welds/1")

    def gone(*_: Any) -> Any:
        raise UnavailableError("away")

    monkeypatch.setattr(type(app.objects), "read", gone)
    second = live.open_server(app, tmp_path / "cache")
    assert second.swap("welds/1").version == "welds/1"


@pytest.mark.parametrize("damage", [b"", b"half of it"])
def test_a_damaged_copy_is_fetched_again(app: App, tmp_path: Path, damage: bytes) -> None:
    serve(app, add_version(app))
    live.open_server(app, tmp_path / "cache").swap("welds/1")
    copies = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    whole = [path.read_bytes() for path in copies]
    for path in copies:
        path.write_bytes(damage)
    assert live.open_server(app, tmp_path / "cache").swap("welds/1").version == "welds/1"
    assert [path.read_bytes() for path in copies] == whole


def test_the_poll_names_sequence_and_version(app: App) -> None:
    poll = live.poll_of(app, PRODUCTION)
    assert poll() is None
    version = add_version(app)
    serve(app, version)
    assert poll() == (1, "welds/1")
    serve(app, version)
    assert poll() == (2, "welds/1")


def test_without_a_database_the_present_version_goes_on(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(app, add_version(app))
    server = live.open_server(app, tmp_path / "cache")
    running = live.start(app, server, interval_s=0.02)
    eventually(lambda: server.status().version == "welds/1")

    def gone(*_: Any) -> Any:
        raise UnavailableError("away")

    monkeypatch.setattr(live, "reading", gone)
    eventually(lambda: running.follower.status().poll_failure)
    with server.pin() as engine:
        assert engine.version == "welds/1"
    monkeypatch.undo()
    eventually(lambda: running.follower.status().poll_failure is None)
    running.stop()
    server.close()


def test_one_duty_that_fails_keeps_no_other_from_being_done(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done = []

    def broken(_: App) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("seamwise.app.drift.watch", broken)
    monkeypatch.setattr("seamwise.app.triggers.look_at_all", done.append)
    live.look_around(app)
    assert done == [app]
    assert "broken" in caplog.text

    def away(_: App) -> None:
        raise UnavailableError("away")

    monkeypatch.setattr("seamwise.app.guessing.refresh_references", away)
    live.look_around(app)
    assert done == [app]  # nothing can be done now


def test_all_duties_run_on_an_empty_and_on_a_filled_platform(app: App, caplog: pytest.LogCaptureFixture) -> None:
    live.look_around(app)
    fill(app, "dark", 60)
    live.look_around(app)
    assert [record.levelname for record in caplog.records if record.levelname == "ERROR"] == []


def test_the_keeper_looks_around_until_it_is_stopped(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(live, "look_around", seen.append)
    keeper = live.Keeper(app, interval_s=0.01).start()
    eventually(lambda: len(seen) >= 3)
    assert keeper.stop()
    count = len(seen)
    assert len(seen) == count
