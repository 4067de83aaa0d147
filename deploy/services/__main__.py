"""PostgreSQL, Redis and an S3-compatible store on free ports of this machine, for tests and for trying a cluster out.

    python3 deploy/services install             # Debian's packages, as root; nothing to do when they are there
    python3 deploy/services run -- make test    # servers for one command, with their addresses in its environment
    python3 deploy/services start               # servers that stay; a second call finds them running
    eval "$(python3 deploy/services env)"       # their addresses, for this shell
    python3 deploy/services restart redis       # one of them alone; also stop, kill (at once, as a power cut), start
    python3 deploy/services stop && python3 deploy/services remove

Needs Python and those packages alone: no systemd, no container engine; any user may start servers. They listen on
127.0.0.1 and want a password made for their folder.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import NAMES, PORTS, Server, missing, servers

FOLDER = Path(tempfile.gettempdir()) / f"seamwise-services-{os.getuid()}"


def main() -> int:
    options = _options()
    if options.action == "install":
        return install()
    if options.action == "run":
        return run(options.folder, options.rest)
    if unknown := set(options.rest) - set(NAMES):
        raise SystemExit(f"no server {min(unknown)!r}: there are {', '.join(NAMES)}")
    return act(options.folder or FOLDER, options.action, options.rest or NAMES)


def act(folder: Path, action: str, names: Sequence[str] = NAMES) -> int:
    """Does one thing to some of the servers of a folder, while no other command does."""
    with _alone(folder):
        found = servers(folder, **_kept(folder))
        chosen = {name: found[name] for name in names}
        if action == "remove":
            return remove(folder, found.values())
        for server in chosen.values():
            if action in ("stop", "restart"):
                server.stop()
            elif action == "kill":
                server.kill()
            if action in ("start", "restart"):
                server.start()
        if action in ("start", "restart"):
            for server in chosen.values():
                server.wait()
        if action == "status":
            states = {name: server.works() for name, server in chosen.items()}
            print("\n".join(f"{name} {'works' if works else 'does not work'}" for name, works in states.items()))
            return int(not all(states.values()))
        if action in ("start", "env"):
            print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in _environment(folder).items()))
        return 0


def install() -> int:
    """Installs what is missing with Debian's package manager."""
    wanted = missing()
    if not wanted:
        print("all servers are installed")
        return 0
    install_them = ["apt-get", "install", "--yes", "--no-install-recommends", *wanted]
    if os.geteuid() or shutil.which("apt-get") is None:
        raise SystemExit(f"as root on Debian or Ubuntu, run: apt-get update && {shlex.join(install_them)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install_them):
        subprocess.run(command, check=True, env=quiet)
    return 0


def run(folder: Path | None, command: Sequence[str]) -> int:
    """Starts the servers, runs a command that finds them, stops them; without a folder nothing of them stays."""
    if not command:
        raise SystemExit("run needs a command: run -- make test")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = folder or Path(tempfile.mkdtemp(prefix="seamwise-services-"))
    try:
        act(chosen, "restart")
        return subprocess.run(command, env={**os.environ, **_environment(chosen)}).returncode
    except OSError as error:
        raise SystemExit(f"cannot run {command[0]}: {error.strerror}") from error
    finally:
        act(chosen, "stop")
        if folder is None:
            shutil.rmtree(chosen)


def remove(folder: Path, found: Iterable[Server]) -> int:
    """Deletes a folder with the data of its servers, which must have been stopped."""
    if any(program.pid() for server in found for program in server.programs):
        raise SystemExit("they run: stop them first")
    shutil.rmtree(folder)
    return 0


def _environment(folder: Path) -> dict[str, str]:
    found = servers(folder, **_kept(folder)).values()
    addresses = {server.variable: server.address for server in found}
    return addresses | {"SEAMWISE_TEST_SERVICES_FOLDER": str(folder)}


def _kept(folder: Path) -> dict[str, Any]:
    """The ports and the password of a folder's servers, chosen once."""
    file = folder / "kept.json"
    if not file.exists():
        beside = folder / "kept.new"
        beside.touch(mode=0o600)
        beside.write_text(json.dumps({"ports": _free_ports(), "password": secrets.token_hex(16)}))
        beside.replace(file)
    kept: dict[str, Any] = json.loads(file.read_text())
    return kept


def _free_ports() -> dict[str, int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]  # all open at once, so that all differ
    ports = {name: probe.getsockname()[1] for name, probe in zip(PORTS, probes, strict=True)}
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise SystemExit(f"{folder} belongs to another user; choose another folder with --folder")
    folder.chmod(0o711)  # PostgreSQL's user must come through to its own part
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy/services", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=lambda text: Path(text).absolute(), help=f"where they live (default: {FOLDER})"
    )
    actions = ["install", "start", "stop", "restart", "kill", "status", "env", "run", "remove"]
    parser.add_argument("action", choices=actions)
    parser.add_argument("rest", nargs="*", help=f"some of {', '.join(NAMES)} (default: all); for run, the command")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
