"""The three servers: what each needs before its first start, its processes, and its address."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import swift
from program import Program, rights

NAMES = ("postgres", "redis", "s3")
# Debian's package of each program that is looked for. docker-compose reads compose.yaml in a test, without an engine.
PACKAGES = {
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "memcached": "memcached",
    "swift-proxy-server": "swift-proxy",
    "swift-account-server": "swift-account",
    "swift-container-server": "swift-container",
    "swift-object-server": "swift-object",
    "docker-compose": "docker-compose",
}
PORTS = ("postgres", "redis", *swift.PORTS)
BUCKET = "seamwise-test"
S3_USER = "seamwise:tester"


@dataclass(frozen=True)
class Server:
    """A server of one or more processes. make: writes what it needs, once; variable: what tells tests its address."""

    variable: str
    address: str
    programs: tuple[Program, ...]
    make: Callable[[], None]

    def start(self) -> None:
        self.make()
        for program in self.programs:
            program.start()

    def wait(self) -> None:
        for program in self.programs:
            program.wait()

    def stop(self) -> None:
        for program in reversed(self.programs):
            program.stop()

    def kill(self) -> None:
        for program in reversed(self.programs):
            program.kill()

    def works(self) -> bool:
        return all(program.works() for program in self.programs)


def servers(folder: Path, ports: Mapping[str, int], password: str) -> dict[str, Server]:
    """The servers whose files are in a folder."""
    return {
        "postgres": _postgres(folder / "postgres", ports["postgres"], password),
        "redis": _redis(folder / "redis", ports["redis"], password),
        "s3": _s3(folder / "s3", ports, password),
    }


def found(program: str) -> str | None:
    """The path of a program; Debian keeps PostgreSQL's away from PATH, a folder for each version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    places = [str(versions[-1])] if versions else []
    return shutil.which(program, path=os.pathsep.join([*places, os.environ.get("PATH", ""), "/usr/sbin"]))


def missing() -> list[str]:
    """The packages whose programs are not here."""
    return [package for program, package in PACKAGES.items() if found(program) is None]


def _program(name: str) -> str:
    if (path := found(name)) is None:
        raise SystemExit(f"{name} is not installed: run the command `install` as root first")
    return path


def _postgres(folder: Path, port: int, password: str) -> Server:
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    data = folder / "data"
    listens = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", f"port={port}")

    def make() -> None:
        if data.exists():
            return
        _own(folder, user)
        new, secret = folder / "new", folder / "password"
        shutil.rmtree(new, ignore_errors=True)
        secret.write_text(password)
        shutil.chown(secret, user or os.getuid())
        # The C locale sorts text by its bytes, as SQLite does.
        options = ["--username=seamwise", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        _run([_program("initdb"), f"--pgdata={new}", "--no-sync", *options], user)
        secret.unlink()
        new.rename(data)

    program = Program(
        "postgres",
        (_program("postgres"), "-D", str(data), *listens, "-c", "max_connections=200"),
        folder,
        ready=(_program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"),
        user=user,
        claim=data / "postmaster.pid",
        stop_with=signal.SIGINT,  # ends without waiting for its clients
    )
    return Server(
        "SEAMWISE_TEST_POSTGRES", f"postgresql://seamwise:{password}@127.0.0.1:{port}/postgres", (program,), make
    )


def _redis(folder: Path, port: int, password: str) -> Server:
    file = folder / "redis.conf"
    settings = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        'save ""',
        "appendonly no",
        f"dir {folder}",
    ]

    def make() -> None:
        _own(folder, None)
        file.write_text("\n".join(settings) + "\n")

    program = Program("redis", (_program("redis-server"), str(file)), folder, port)
    return Server("SEAMWISE_TEST_REDIS", f"redis://:{password}@127.0.0.1:{port}/0", (program,), make)


def _s3(folder: Path, ports: Mapping[str, int], password: str) -> Server:
    def make() -> None:
        _own(folder, None)
        swift.write_settings(folder, ports, pwd.getpwuid(os.geteuid()).pw_name, S3_USER, password)
        for ring, port in swift.rings(ports):
            if not (folder / f"{ring}.ring.gz").exists():
                builder = [_program("swift-ring-builder"), str(folder / f"{ring}.builder")]
                _run([*builder, "create", "4", "1", "1"], None)
                _run([*builder, "add", f"r1z1-127.0.0.1:{port}/disk", "1"], None)
                _run([*builder, "rebalance"], None)

    memory = ["-l", "127.0.0.1", "-p", str(ports["cache"]), "-m", "16", *(("-u", "root") if os.geteuid() == 0 else ())]
    programs = [Program("cache", (_program("memcached"), *memory), folder, ports["cache"])]
    for name, port in swift.daemons(ports):
        command = (_program(f"swift-{name}"), str(folder / f"{name}.conf"), "--verbose")
        programs.append(Program(name, command, folder, port))
    key, secret = quote(S3_USER, safe=""), quote(password, safe="")
    where = f"endpoint=http://127.0.0.1:{ports['proxy']}&region={swift.REGION}"
    return Server("SEAMWISE_TEST_S3", f"s3://{key}:{secret}@{BUCKET}?{where}", tuple(programs), make)


def _own(folder: Path, user: str | None) -> None:
    """Makes a server's folder, which nobody else may look into."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    if user:
        shutil.chown(folder, user, user)
        if subprocess.run(["test", "-w", str(folder)], **rights(user)).returncode:
            raise SystemExit(f"{folder}: the user {user} cannot reach it; choose another folder with --folder")


def _run(command: list[str], user: str | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, **rights(user))
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")
