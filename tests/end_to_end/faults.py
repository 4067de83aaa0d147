"""Kills and outages at random moments of a year in small: what is left must be what an undisturbed year leaves.

    python -m tests.end_to_end.faults                                  # one machine
    python deploy/services run -- python -m tests.end_to_end.faults --on cluster

Each scenario (`scenario.live`) runs on a platform of its own while processes are killed as by a power cut (API, worker,
the process of a job) and, on a cluster, PostgreSQL, Redis and the S3 server are killed and started again. Afterwards:
the same rows and bitwise the same weights as without any fault, every job ended once, a sound database, every stored
object whole, and no error outside an outage. What faults are made follows from the seed; when they hit, from the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from seamwise.client import AwayError
from seamwise.errors import SeamwiseError
from seamwise.experiments.comparison import versions
from tests.end_to_end import scenario
from tests.end_to_end.running import Platform, cluster, embedded

SERVERS = {"SEAMWISE_TEST_POSTGRES": "postgres", "SEAMWISE_TEST_REDIS": "redis", "SEAMWISE_TEST_S3": "s3"}
SERVICES = Path(__file__).parents[2] / "deploy" / "services"
HEAD = {"name": "faults", "command": " ".join(["python", "-m", "tests.end_to_end.faults", *sys.argv[1:]])}
GRACE_S = 5.0  # after a process or server is back: connections are made anew


class Faults(Thread):
    """Makes a fault every few seconds until told to stop."""

    def __init__(self, platform: Platform, draw: random.Random, servers: list[str], every_s: float) -> None:
        super().__init__(daemon=True)
        self.platform, self.draw, self.servers, self.every_s = platform, draw, servers, every_s
        self.made: Counter[str] = Counter()
        self.away_until = 0.0
        self.over = Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(self.draw.uniform(0.5, 2 * self.every_s)):
                self._fault()
        except BaseException as error:
            self.failure = error

    def stop(self) -> None:
        self.over.set()
        self.join()

    def _fault(self) -> None:
        kinds = [*self.platform.commands, "child", "child", *self.servers]
        kind = self.draw.choice(kinds)
        self.away_until = time.monotonic() + 60
        if kind == "child":
            self._kill_child()
        elif kind in self.servers:
            self._server("kill", kind)
            time.sleep(self.draw.uniform(0.2, 3.0))
            self._server("start", kind)
        else:
            self.platform.kill(kind)
            time.sleep(self.draw.uniform(0.0, 2.0))
            self.platform.start(kind)
            if kind in self.platform.ports:
                self.platform.wait_until_ready()
        if kind != "child":
            self.made[kind] += 1
        self.away_until = time.monotonic() + GRACE_S

    def _kill_child(self) -> None:
        pids = [pid for name in self.platform.processes for pid in self.platform.children(name)]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.draw.choice(pids), signal.SIGKILL)
                self.made["child"] += 1

    def _server(self, action: str, name: str) -> None:
        words = [sys.executable, str(SERVICES), "--folder", os.environ["SEAMWISE_TEST_SERVICES_FOLDER"], action, name]
        subprocess.run(words, check=True, capture_output=True)


class Watcher(Thread):
    """Asks every API process all the time; keeps the errors that no outage excuses."""

    def __init__(self, platform: Platform, faults: Faults) -> None:
        super().__init__(daemon=True)
        self.platform, self.faults = platform, faults
        self.asked, self.excused = 0, 0
        self.errors: list[str] = []
        self.over = Event()

    def run(self) -> None:
        clients = [self.platform.client(name, patience_s=0) for name in self.platform.ports]
        while not self.over.wait(0.2):
            for client in clients:
                self.asked += 1
                before = time.monotonic()
                try:
                    list(client.domains.list())
                except AwayError as error:
                    if before > self.faults.away_until and time.monotonic() > self.faults.away_until:
                        self.errors.append(str(error))
                    else:
                        self.excused += 1
                except SeamwiseError as error:  # anything but "not now" is never excused
                    self.errors.append(str(error))
        for client in clients:
            client.close()

    def stop(self) -> None:
        self.over.set()
        self.join()


@contextmanager
def platform_on(side: str, folder: Path) -> Iterator[Platform]:
    if side == "embedded":
        with embedded(folder) as platform:
            yield platform
    else:
        with cluster(folder, {name: os.environ[name] for name in SERVERS}) as platform:
            yield platform


def undisturbed(side: str, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    with platform_on(side, folder / "platform") as platform, platform.client() as client:
        return scenario.live(client, folder / "pictures")


def disturbed(side: str, folder: Path, draw: random.Random, every_s: float) -> dict[str, Any]:
    """One scenario under faults: what is left, and the counts."""
    folder.mkdir()
    with platform_on(side, folder / "platform") as platform:
        faults = Faults(platform, draw, list(SERVERS.values()) if side == "cluster" else [], every_s)
        watcher = Watcher(platform, faults)
        watcher.start()
        faults.start()
        begun = time.monotonic()
        try:
            with platform.client() as client:
                left = scenario.live(client, folder / "pictures")
        finally:
            faults.stop()
            watcher.stop()
        if faults.failure:
            raise faults.failure
        with platform.client() as client:
            jobs = list(client.jobs.list())
            finishes = Counter(e.subject for e in client.audit.list() if e.action == "job.finish")
        platform.run("db", "check")
        platform.run("scrub")
    return {
        "left": left,
        "seconds": round(time.monotonic() - begun, 1),
        "faults": dict(sorted(faults.made.items())),
        "jobs": len(jobs),
        "attempts": sum(job.attempt for job in jobs),
        "not_succeeded": [f"{job.id} {job.kind} {job.state}" for job in jobs if job.state != "succeeded"],
        "not_finished_once": [job.id for job in jobs if finishes[f"job/{job.id}"] != 1],
        "requests": watcher.asked,
        "excused": watcher.excused,
        "errors": watcher.errors,
    }


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=("embedded", "cluster"), default="embedded")
    parser.add_argument("--faults", type=int, default=200, help="how many at least (default 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two, on average (default 5)")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="seamwise-faults-") as name:
        folder = Path(name)
        wanted = undisturbed(options.on, folder / "undisturbed")
        print(f"undisturbed: weights {[row[2][:12] for row in wanted['models']]}", flush=True)
        while sum(sum(row["faults"].values()) for row in rows) < options.faults:
            draw = random.Random(f"{options.seed}/{len(rows)}")
            row = disturbed(options.on, folder / str(len(rows)), draw, options.every)
            row["differs"] = differences(row.pop("left"), wanted)
            rows.append(row)
            print(json.dumps(row), flush=True)
            if options.json:
                total = sum((Counter(row["faults"]) for row in rows), Counter())
                result = HEAD | {
                    "versions": versions(),
                    "on": options.on,
                    "seed": options.seed,
                    "faults": dict(total),
                    "scenarios": rows,
                }
                options.json.write_text(json.dumps(result, indent=1) + "\n")
    bad = [row for row in rows if row["differs"] or row["not_succeeded"] or row["not_finished_once"] or row["errors"]]
    print(f"{len(rows)} scenarios, {sum(sum(row['faults'].values()) for row in rows)} faults, {len(bad)} went wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
