"""Following: a new decision is served soon, and an outage changes nothing."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from seamwise.errors import BadInputError
from seamwise.serving import Follower, Loaded, Server
from tests.serving.tiny import constant, eventually


class Alias:
    """A database row that may be away."""

    def __init__(self) -> None:
        self.row: tuple[int, str] | None = None
        self.away = False
        self.asked = 0

    def __call__(self) -> tuple[int, str] | None:
        self.asked += 1
        if self.away:
            raise ConnectionError("the database does not answer")
        return self.row


class Store:
    """Loads versions, some of which are broken until they are mended."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, version: str) -> Loaded:
        self.asked.append(version)
        if version in self.broken:
            raise BadInputError(f"{version}: the store does not answer")
        return constant(version)


def test_decisions_are_followed_in_order_and_a_rollback_loads_nothing() -> None:
    alias, store = Alias(), Store()
    server = Server(store)
    with Follower(server, alias, interval_s=0.01) as follower:
        eventually(lambda: alias.asked > 3)
        assert server.status().version is None  # nothing is decided yet
        for sequence, version in enumerate(["v1", "v2", "v3", "v2"]):
            alias.row = (sequence, version)
            start = time.monotonic()
            eventually(lambda version=version: server.status().version == version)  # type: ignore[misc]
            assert time.monotonic() - start < 2
        eventually(lambda: follower.status().serving)
        assert follower.status().wanted == (3, "v2")
        assert store.asked == ["v1", "v2", "v3"]
        alias.row = None  # an alias that is gone leaves what serves
        asked = alias.asked
        eventually(lambda: alias.asked > asked + 2)
        assert server.status().version == "v2"


def test_a_poll_that_fails_changes_nothing_and_recovers(caplog: pytest.LogCaptureFixture) -> None:
    alias = Alias()
    server = Server(constant)
    alias.row = (1, "v1")
    with caplog.at_level(logging.INFO), Follower(server, alias, interval_s=0.005) as follower:
        eventually(lambda: follower.status().serving)
        alias.away = True
        asked = alias.asked
        eventually(lambda: alias.asked > asked + 10)
        assert follower.status().poll_failure == "the database does not answer"
        assert follower.status().serving
        with server.pin() as engine:
            assert engine.version == "v1"
        alias.row = (2, "v2")
        alias.away = False
        eventually(lambda: server.status().version == "v2")
        eventually(lambda: follower.status().poll_failure is None)
    said = [record.getMessage() for record in caplog.records]
    assert sum("does not answer" in line for line in said) == 1  # once an outage, not at each poll


def test_a_version_that_does_not_load_is_tried_again_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("seamwise.serving.follow.time.monotonic", lambda: now[0])
    alias, store = Alias(), Store()
    server = Server(store)
    follower = Follower(server, alias, longest_wait_s=5)
    alias.row = (1, "v1")
    store.broken.add("v1")
    times: list[float] = []
    for _ in range(200):
        tries = len(store.asked)
        follower._look()
        follower._try()
        if len(store.asked) > tries:
            times.append(now[0] - 1000)
        now[0] += 0.1
    assert times == pytest.approx([0, 1, 3, 7, 12, 17], abs=0.15)
    assert not follower.status().serving
    alias.row = (2, "v2")  # a new decision does not wait
    follower._look()
    follower._try()
    assert server.status().version == "v2"
    store.broken.clear()
    alias.row = (3, "v1")
    follower._look()
    follower._try()
    assert server.status().version == "v1"
    assert follower.status().serving


def test_a_rollback_on_the_server_stands_until_the_next_decision() -> None:
    alias = Alias()
    server = Server(constant)
    with Follower(server, alias, interval_s=0.005):
        for sequence, version in ((1, "v1"), (2, "v2")):
            alias.row = (sequence, version)
            eventually(lambda version=version: server.status().version == version)  # type: ignore[misc]
        server.rollback()
        asked = alias.asked
        eventually(lambda: alias.asked > asked + 5)
        assert server.status().version == "v1"
        alias.row = (3, "v2")
        eventually(lambda: server.status().version == "v2")


def test_stopping_while_loading_gives_up_in_time_and_leaves_no_thread() -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(version: str) -> Loaded:
        begun.set()
        assert go.wait(60)
        return constant(version)

    alias = Alias()
    alias.row = (1, "v1")
    server = Server(slow)
    follower = Follower(server, alias, interval_s=0.005).start()
    assert begun.wait(60)
    assert not follower.stop(0.01)
    server.close(0)
    go.set()
    assert follower.stop(60)
    assert server.status().version is None
    asked = alias.asked
    time.sleep(0.03)
    assert alias.asked == asked
