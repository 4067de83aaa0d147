"""One process of a server: started in the background, known again by later commands, stopped or killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Program:
    """A process and how to tell that it works.

    folder: where its log and its process number are kept.
    port: the port of 127.0.0.1 that answers once it works; None: it listens nowhere.
    ready: a command that succeeds once it works, where an open port does not say so.
    claim: a file by which it keeps others from its data, and which names its process. Where nobody collects ended
        processes, as in a bare container, that number seems to live on.
    user: whose rights it runs with; None: those of whoever starts it.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    port: int | None = None
    ready: tuple[str, ...] = ()
    user: str | None = None
    stop_with: signal.Signals = signal.SIGTERM
    claim: Path | None = None

    def start(self) -> None:
        """Starts it unless it runs."""
        if self.pid() is not None:
            return
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **rights(self.user),
            )
        self._number.write_text(f"{started.pid} {_born(started.pid)}")
        started.returncode = 0  # it outlives this command: Python need not look after it

    def wait(self) -> None:
        """Returns when it works; SystemExit with the end of its log when it ended, or takes too long."""
        end = time.monotonic() + PATIENCE_S
        while not self.works():
            if self.pid() is None or time.monotonic() > end:
                tail = self._log.read_text(errors="replace").splitlines()[-8:]
                raise SystemExit("\n".join([f"{self.name} does not start; the end of {self._log}:", *tail]))
            time.sleep(0.05)

    def works(self) -> bool:
        """Whether it runs and answers."""
        if self.pid() is None:
            return False
        if self.ready:
            return subprocess.run(self.ready, capture_output=True).returncode == 0
        return self.port is None or _open(self.port)

    def stop(self) -> None:
        """Asks it to end and waits for it; kills it when it does not."""
        if (number := self.pid()) is not None:
            os.kill(number, self.stop_with)
            end = time.monotonic() + PATIENCE_S
            while self.pid() is not None and time.monotonic() < end:
                time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """Ends it and its children at once, as a power cut would."""
        if (number := self.pid()) is not None:
            family = {each: _born(each) for each in (number, *_children(number))}
            for each in family:
                _end(each)
            while any(born and _born(each) == born for each, born in family.items()):
                time.sleep(0.01)
            if self.claim:
                self.claim.unlink(missing_ok=True)
        self._number.unlink(missing_ok=True)

    def pid(self) -> int | None:
        """The number of the process that `start` made, while it lives; a later process of the same number is not it."""
        if not self._number.exists():
            return None
        number, born = self._number.read_text().split()
        return int(number) if _born(int(number)) == born else None

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def _number(self) -> Path:
        return self.folder / f"{self.name}.pid"


def rights(user: str | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a command with a user's rights."""
    return {"cwd": "/"} | ({"user": user, "group": user, "extra_groups": []} if user else {})


def _born(number: int) -> str | None:
    """When a process began, in the kernel's ticks; None when it has ended."""
    fields = _stat(Path(f"/proc/{number}"))
    return fields[19] if fields and fields[0] not in "ZX" else None


def _children(parent: int) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        fields = _stat(process)
        if fields and fields[1] == str(parent):
            yield int(process.name)


def _stat(process: Path) -> list[str]:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()  # the name before may hold anything
    except OSError:
        return []


def _end(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return


def _open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
