"""Processes in the background: started once, known again, stopped, killed with their children."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SLEEPS = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
IGNORES = (
    sys.executable,
    "-S",
    "-c",
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print(subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
    "time.sleep(60)",
)


@pytest.fixture
def sleeper(program: ModuleType, tmp_path: Path) -> Iterator[Any]:
    made = program.Program("sleeper", SLEEPS, tmp_path)
    yield made
    made.kill()


def lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_second_start_finds_it_running(sleeper: Any) -> None:
    assert sleeper.pid() is None
    sleeper.start()
    first = sleeper.pid()
    sleeper.wait()
    sleeper.start()
    assert first == sleeper.pid()
    sleeper.stop()
    assert sleeper.pid() is None
    assert not lives(first)
    sleeper.stop()  # nothing to do


def test_another_process_of_the_same_number_is_left_alone(sleeper: Any, tmp_path: Path) -> None:
    with subprocess.Popen(SLEEPS) as stranger:
        (tmp_path / "sleeper.pid").write_text(f"{stranger.pid} 12345")
        assert sleeper.pid() is None
        sleeper.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_kill_takes_its_children_and_the_file_it_claimed(program: ModuleType, tmp_path: Path) -> None:
    claim = tmp_path / "claim"
    claim.touch()
    made = program.Program("stubborn", IGNORES, tmp_path, claim=claim)
    made.start()
    log = tmp_path / "stubborn.log"
    end = time.monotonic() + 20
    while not log.read_text().strip() and time.monotonic() < end:
        time.sleep(0.01)
    child = int(log.read_text())
    assert lives(child)
    made.kill()
    assert not lives(child)
    assert made.pid() is None
    assert not claim.exists()


def test_one_that_ends_at_once_is_told_with_its_log(program: ModuleType, tmp_path: Path) -> None:
    command = (sys.executable, "-S", "-c", "import sys; sys.exit('no such disk')")
    broken = program.Program("broken", command, tmp_path, port=1)
    broken.start()
    with pytest.raises(SystemExit, match=r"broken does not start(.|\n)*no such disk"):
        broken.wait()


def test_it_works_once_its_port_answers(program: ModuleType, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        made = program.Program("p", SLEEPS, tmp_path, port=port)
        assert not made.works()  # it does not run
        made.start()
        assert made.works()
    assert not made.works()
    made.kill()


def test_it_is_out_of_reach_of_the_terminals_signals(sleeper: Any) -> None:
    sleeper.start()
    assert os.getpgid(sleeper.pid()) == sleeper.pid()
