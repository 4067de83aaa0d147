"""A platform's processes: started as a user starts them, killed at any moment, and started again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from seamwise.client import Client

SEAMWISE = (sys.executable, "-c", "from seamwise.cli import main; main()")
QUICK = {"SEAMWISE_LEASE_S": "6", "SEAMWISE_THREADS": "1", "SEAMWISE_RATE_LIMIT": "", "OMP_NUM_THREADS": "1"}
PATIENCE_S = 120.0


class Platform:
    """Processes by name over one database, one object store and one queue.

    commands: what each process runs; ports: of those that answer. key: an admin's.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], commands: Mapping[str, list[str]]) -> None:
        self.folder, self.commands = folder, dict(commands)
        self.environment = {**os.environ, **QUICK, "SEAMWISE_DATA": str(folder), **environment}
        self.ports = {name: int(words[-1]) for name, words in self.commands.items() if words[0] == "serve"}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.key = ""

    def start(self, name: str) -> None:
        """Begins a process; what it says is kept in a file of its name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            words = [*SEAMWISE, *self.commands[name]]
            self.processes[name] = subprocess.Popen(words, stdout=log, stderr=log, env=self.environment)

    def kill(self, name: str) -> None:
        """Ends a process as a power cut would; its children learn it from their pipes."""
        self.processes[name].kill()
        self.processes[name].wait()

    def children(self, name: str) -> list[int]:
        """The processes of jobs that a process has under way."""
        pid = self.processes[name].pid
        found: list[int] = []
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        return found

    def client(self, name: str | None = None, patience_s: float = PATIENCE_S) -> Client:
        """Speaks to a process that answers; without a name to the first."""
        port = self.ports[name or min(self.ports)]
        return Client(f"http://127.0.0.1:{port}", self.key, patience_s=patience_s)

    def run(self, *words: str) -> str:
        """The answer of a command of `seamwise` on this platform's machine."""
        done = subprocess.run([*SEAMWISE, *words], env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_until_ready(self) -> None:
        until = time.monotonic() + 60
        for name in self.ports:
            with Client(f"http://127.0.0.1:{self.ports[name]}", patience_s=0) as client:
                while True:
                    with suppress(Exception):
                        client.ready()
                        break
                    assert self.processes[name].poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
                    assert time.monotonic() < until, f"{name} does not answer"
                    time.sleep(0.1)

    def stop(self) -> None:
        """Asks all to end, and waits."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(60)


@contextmanager
def embedded(folder: Path) -> Iterator[Platform]:
    """One process: SQLite, a folder, and a worker in it."""
    folder.mkdir()
    platform = Platform(folder, {}, {"api": ["serve", "--port", str(free_port())]})
    yield from _up(platform, lambda: (folder / "admin.key").read_text().strip())


@contextmanager
def cluster(folder: Path, servers: Mapping[str, str]) -> Iterator[Platform]:
    """Two API processes and two Celery workers over the servers whose addresses `deploy/services` gave."""
    folder.mkdir()
    mark = f"e2e_{secrets.token_hex(4)}"
    postgres = servers["SEAMWISE_TEST_POSTGRES"]
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {mark}")
    objects, _, options = servers["SEAMWISE_TEST_S3"].partition("?")
    environment = {
        "SEAMWISE_DATABASE_URL": f"{postgres.rpartition('/')[0]}/{mark}",
        "SEAMWISE_OBJECTS_URL": f"{objects}/{mark}?{options}",
        "SEAMWISE_QUEUE_URL": servers["SEAMWISE_TEST_REDIS"],
        "SEAMWISE_SECRET_KEY": secrets.token_hex(32),
    }
    commands = {f"api-{n}": ["serve", "--no-worker", "--port", str(free_port())] for n in range(2)}
    commands |= {f"worker-{n}": ["worker"] for n in range(2)}
    platform = Platform(folder, environment, commands)
    platform.run("db", "upgrade")
    token = json.loads(platform.run("keys", "make", "test", "--role", "admin", "--json", "-"))["token"]
    try:
        yield from _up(platform, lambda: token)
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {mark} WITH (FORCE)")


def _up(platform: Platform, key: object) -> Iterator[Platform]:
    try:
        for name in platform.commands:
            platform.start(name)
        platform.wait_until_ready()
        platform.key = key()  # type: ignore[operator]
        yield platform
    finally:
        platform.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
