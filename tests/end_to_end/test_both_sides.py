"""The same year on one machine and on a cluster leaves the same rows and the same weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.contract.adapters import address
from tests.end_to_end.running import cluster, embedded
from tests.end_to_end.scenario import live

SERVERS = ("SEAMWISE_TEST_POSTGRES", "SEAMWISE_TEST_REDIS", "SEAMWISE_TEST_S3")


def on_one_machine(folder: Path) -> dict[str, Any]:
    with embedded(folder / "embedded") as platform, platform.client() as client:
        return live(client, folder / "pictures")


def test_one_machine_lives_through_a_year(tmp_path: Path) -> None:
    left = on_one_machine(tmp_path)
    assert [version for version, *_ in left["models"]] == ["main/1", "main/2", "main/3"]
    assert left["forgetting"]["domains"] == ["steel", "pe"]
    assert [action for action, *_ in left["history"]] == ["rolled back", "forced", "forced"]
    assert left["batch"] == 16


@pytest.mark.services
def test_a_cluster_leaves_what_one_machine_leaves(tmp_path: Path) -> None:
    servers = {name: address(name) for name in SERVERS}
    alone = on_one_machine(tmp_path)
    with cluster(tmp_path / "cluster", servers) as platform, platform.client() as client:
        together = live(client, tmp_path / "again")
        assert len(platform.ports) == 2
        assert all(process.poll() is None for process in platform.processes.values())
    assert together == alone
    assert os.environ.get("SEAMWISE_DATABASE_URL") is None  # else both were one
