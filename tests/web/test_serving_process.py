"""`seamwise serve` as a process: ready soon, works alone, ends when told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from seamwise.app.app import App
from seamwise.errors import SeamwiseError
from seamwise.web.main import create_app
from seamwise.web.server import listen, run

COMMAND = [sys.executable, "-c", "from seamwise.cli import main; main()"]
READY_S = 5.0
PATIENCE_S = 60.0  # this machine may be doing many other things


class Service:
    """A running `seamwise serve` on a free port."""

    def __init__(self, folder: Path, *words: str) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SEAMWISE_")}
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", "0", *words],
                env={**plain, "SEAMWISE_DATA": str(folder / "data")},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.told = [self.process.stdout.readline() for _ in range(2)]
        assert self.told[0].startswith("Seamwise answers at http://127.0.0.1:"), self.log.read_text()
        self.address = self.told[0].split()[-1]
        self.key_file = Path(self.told[1].split()[-1])
        self.client = httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {self.key_file.read_text()}"}, timeout=30
        )

    def end(self) -> int:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Service]:
    service = Service(folder, *words)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()
        if service.process.stdout:
            service.process.stdout.close()


def test_it_starts_works_and_ends(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert service.key_file.stat().st_mode & 0o777 == 0o600
        assert service.client.get("/ready").json()["status"] == "ready"
        job = service.client.post("/scrubs", json={})
        assert job.status_code == 202, job.text
        with service.client.stream("GET", f"/jobs/{job.json()['id']}/events", timeout=PATIENCE_S) as stream:
            told = "".join(stream.iter_text())
        assert "event: end" in told
        ended = json.loads(told.rpartition("event: end\ndata: ")[2])
        assert (ended["state"], ended["result"]["damaged"]) == ("succeeded", 0), ended
        assert service.end() == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert any(line["event"] == "POST /api/v1/scrubs" for line in lines)
    assert not [line for line in lines if line["level"] in ("warning", "error")], lines


def test_it_ends_while_someone_follows_a_job(tmp_path: Path) -> None:
    with running(tmp_path, "--no-worker") as service:
        number = service.client.post("/scrubs", json={}).json()["id"]
        with service.client.stream("GET", f"/jobs/{number}/events", timeout=PATIENCE_S) as stream:
            assert "queued" in next(stream.iter_text())
            service.process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            assert service.process.wait(PATIENCE_S) == 0
            assert time.monotonic() - begun < 20


def test_it_is_ready_within_five_seconds(tmp_path: Path) -> None:
    with running(tmp_path, "--no-worker") as service:
        # Of the processor, not of the clock: this machine may be doing many other things.
        spent = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(") ")[2].split()
        assert (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK") < READY_S


def test_a_port_that_is_taken(app: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SeamwiseError, match="choose another with --port"):
            run(create_app(app), "127.0.0.1", port, print)
    with pytest.raises(SeamwiseError, match="cannot listen on"):
        run(create_app(app), "no.such.host.invalid", 0, print)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Without TCP_NODELAY each takes 40 ms longer."""
    options = []

    def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        options.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def answer_once() -> None:
        with listen("127.0.0.1", 0) as taken:
            server = await asyncio.start_server(note, sock=taken)
            reader, writer = await asyncio.open_connection(*taken.getsockname())
            await reader.read()
            writer.close()
            server.close()

    asyncio.run(answer_once())
    assert options == [1]
