"""One scenario on SQLite with a folder and on PostgreSQL with an S3 store: equal bits, scores and verdicts."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamwise.app.app import App
from seamwise.storage.schema import upgrade
from seamwise.storage.tables import Side
from tests.contract import adapters
from tests.worker.tiny import add_domain, add_pictures, train


def learned(app: App, folder: Path) -> list[tuple[Any, ...]]:
    """What three rounds leave, the last one online."""
    for name, bright in (("film", True), ("scan", False)):
        add_domain(app, folder, name, bright=bright)
    versions = [train(app, name, strategy="si+replay", parameters={"capacity": 8}) for name in ("film", "scan")]
    add_pictures(app, folder, "film", Side.TRAIN, 2, seed=5)
    versions.append(train(app, "film", mode="online", steps=None))
    return [
        (
            v.line,
            v.number,
            v.weights_sha256,
            v.state_sha256,
            v.serving_sha256,
            v.spec,
            v.r_row,
            (v.verdict or {})["checks"],
        )
        for v in versions
    ]


@pytest.mark.services
def test_rounds_are_equal_on_both_sides(make_app: Callable[..., App], tmp_path: Path) -> None:
    server, _, options = adapters.address("SEAMWISE_TEST_S3").partition("?")
    objects = f"{server.rstrip('/')}/{secrets.token_hex(8)}?{options}"
    with adapters.postgresql_database() as database:
        upgrade(database)
        cluster = make_app(threads=1, database_url=adapters.url_of(database), objects_url=objects)
        found = learned(cluster, tmp_path)
        cluster.database.dispose()
    assert found == learned(make_app(threads=1), tmp_path)
