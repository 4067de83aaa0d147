"""The upload benchmark: what it sends is whole however it is broken off, and is compared with what was sent."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.keys import NewKey, create_key
from seamwise.storage.tables import Role
from tests.app.jobs import work
from tests.client.conftest import address, app, embedded, migrated

__all__ = ["address", "app", "embedded", "migrated"]
FOLDER = Path(__file__).parents[2] / "benchmarks"
SIZE = 9_000_001  # more than one of the service's pieces


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmarks are scripts, no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module("upload")


def test_the_content_is_the_same_wherever_it_begins(bench: ModuleType) -> None:
    whole = b"".join(bench.content(0, SIZE))
    assert len(whole) == SIZE
    for start, end in ((0, 10), (5, 1 << 20), ((1 << 20) - 1, (1 << 20) + 1), (3_000_000, SIZE), (7, 7)):
        assert b"".join(bench.content(start, end)) == whole[start:end]
    assert bench.sha256_of(SIZE) == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("places", [[], [1, 500_000, 8_400_000, SIZE - 1]])
def test_a_broken_upload_arrives_whole(bench: ModuleType, app: App, address: str, places: list[int]) -> None:
    key = create_key(app, SYSTEM, NewKey(name="test", role=Role.ADMIN)).token
    upload = bench.Upload(SimpleNamespace(address=address, key=key), SIZE)
    assert bench.send_broken(upload, places) == len(places)
    job = work(app)
    assert job.id == upload.job
    assert (job.result or {})["object"] == bench.sha256_of(SIZE)


def test_an_upload_that_stands_still_ends(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PATIENCE_S", 0.3)
    asleep = SimpleNamespace(size=10, arrived=lambda: 4, send=lambda start, end: None)
    with pytest.raises(SystemExit, match="nothing arrives any more after 4 bytes"):
        bench.send_broken(asleep, [])
