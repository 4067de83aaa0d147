"""The real servers, by the command that developers and the checks use."""

from __future__ import annotations

import secrets
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from seamwise.errors import SeamwiseError
from seamwise.storage.objects import open_objects
from tests.contract.adapters import address
from tests.deploy.conftest import DEPLOY

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def services() -> Iterator[Run]:
    """Runs the command on servers of the test's own, in a folder that any user can come through to."""
    folder = Path(tempfile.gettempdir()) / f"seamwise-test-services-{secrets.token_hex(4)}"

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(DEPLOY / "services"), "--folder", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        assert not check or done.returncode == 0, done.stderr
        return done

    yield run
    run("kill")
    run("remove")
    assert not folder.exists()


def variables(printed: str) -> dict[str, str]:
    pairs = (shlex.split(line)[1].partition("=") for line in printed.splitlines())
    return {name: value for name, _, value in pairs}


def started(folder: str) -> dict[str, str]:
    """Number and birth of every process that the command has started there, as it noted them."""
    return {p.name: p.read_text() for p in Path(folder).rglob("*.pid") if p.name != "postmaster.pid"}


def test_an_unknown_server_is_named(tmp_path: Path) -> None:
    command = [sys.executable, str(DEPLOY / "services"), "--folder", str(tmp_path), "restart", "oracle"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "no server 'oracle': there are postgres, redis, s3\n")


@pytest.mark.services
def test_servers_start_once_restart_alone_and_survive_a_kill(services: Run) -> None:
    told = variables(services("start").stdout)
    assert set(told) == {f"SEAMWISE_TEST_{name}" for name in ("POSTGRES", "REDIS", "S3", "SERVICES_FOLDER")}
    assert services("status").stdout == "postgres works\nredis works\ns3 works\n"
    before = started(told["SEAMWISE_TEST_SERVICES_FOLDER"])
    assert len(before) >= 3
    assert variables(services("start").stdout) == told
    assert started(told["SEAMWISE_TEST_SERVICES_FOLDER"]) == before

    database = create_engine(make_url(told["SEAMWISE_TEST_POSTGRES"]).set(drivername="postgresql+psycopg"))
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS number"))
    database.dispose()
    store = open_objects(told["SEAMWISE_TEST_S3"])
    store.prepare()
    stored = store.put([b"kept"])

    services("kill", "postgres", "s3")
    state = services("status", check=False)
    assert (state.returncode, state.stdout) == (1, "postgres does not work\nredis works\ns3 does not work\n")
    assert variables(services("start").stdout) == told
    with database.connect() as connection:
        assert connection.scalar(text("SELECT number FROM kept")) == 7
    database.dispose()
    assert b"".join(store.read(stored.key)) == b"kept"
    assert [found.key for found in store.listed()] == [stored.key]

    assert "stop them first" in services("remove", check=False).stderr
    services("restart", "redis")
    services("stop")
    assert services("status", check=False).stdout.count("does not work") == 3


@pytest.mark.services
def test_the_servers_let_nobody_in_without_the_password() -> None:
    right = make_url(address("SEAMWISE_TEST_POSTGRES"))
    wrong = create_engine(right.set(drivername="postgresql+psycopg", password="wrong"))
    with pytest.raises(Exception, match="password authentication failed"):
        wrong.connect()
    import redis

    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(address("SEAMWISE_TEST_REDIS").replace("redis://:", "redis://:x")).ping()
    objects = address("SEAMWISE_TEST_S3")
    store = open_objects(objects.replace(str(make_url(objects).password), "x"))
    with pytest.raises(SeamwiseError, match="refuses its access key"):
        store.put([b"x"])
