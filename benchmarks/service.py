"""What a real service costs, and what its clients notice: python benchmarks/service.py [--json FILE]

`seamwise serve` runs as its users start it, over a folder of its own, and is asked over HTTP for the same 512 x 512
picture; each file differs from all before it in a text chunk, so that none is known already.
Cost: blocks of requests beside blocks of the bare engine, which answers in a process of its own with as many threads;
a ratio is the median of the rounds' ratios with the middle 90 % of its bootstrap.
Swaps: clients ask without a pause while blocks without swaps alternate with blocks of swaps. Of three swaps two load a
version from its files and one goes back to the version before. Every mask is compared with its version's own one.
Learning: blocks without a training alternate with blocks in which one runs on the same processors.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from scipy import ndimage

from seamwise.app.annotations import mask_file
from seamwise.client import AwayError, Client, JobFailedError
from seamwise.serving import load_package, mask_of
from seamwise.vision.domain import Sample
from seamwise.vision.images import read_image, write_image
from seamwise.vision.prepare import load_image
from seamwise.vision.welds.domains import DOMAINS, write_domain
from steps import Loop, cell, measure, ratio

DOMAIN, SIZE = "steel", 512
COUNTS = {"train": 6, "val": 1, "test": 2}
FILES = ("model.safetensors", "model.onnx", "serving.safetensors")
PNG, JSON = "image/png", "application/json"
KEEPS = ("none", "all")
VERSIONS = 3  # two are held warm: going to a third one loads it
# so few steps would not leave the default network's first guess, in which there is no defect
RECIPE = {"batch_size": 4, "network_options": {"prior": None}}
ENDLESS = 1_000_000  # steps of a training that is cancelled


class Service:
    """`seamwise serve` over a folder; killed with the block that opened it. keep: SEAMWISE_KEEP_PREDICTIONS."""

    def __init__(self, folder: Path, keep: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.folder, self.address = folder, f"http://127.0.0.1:{port}"
        quiet = {"SEAMWISE_RATE_LIMIT": "", "SEAMWISE_LOG_LEVEL": "error", "SEAMWISE_THREADS": "1"}
        surroundings = os.environ | quiet | {"SEAMWISE_DATA": str(folder), "SEAMWISE_KEEP_PREDICTIONS": keep}
        words = (sys.executable, "-c", "from seamwise.cli import main; main()", "serve", "--port", str(port))
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=surroundings)
        self._until(self._answers)
        self.key = (folder / "admin.key").read_text().strip()

    def client(self) -> Client:
        return Client(self.address, self.key)

    def wait_for(self, version: str) -> None:
        """Until that version serves."""
        with self.client() as client:
            self._until(lambda: client.ready().serving == version)

    def resident_mb(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 2**20

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def _answers(self) -> bool:
        with suppress(AwayError), Client(self.address, patience_s=0) as client:
            return client.ready().status == "ready"
        return False

    def _until(self, there: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not there():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the service ended, or does not do in two minutes what it should")
            time.sleep(0.02)


@contextmanager
def serving(folder: Path, keep: str) -> Iterator[Service]:
    service = Service(folder, keep)
    try:
        yield service
    finally:
        service.stop()


class Pictures:
    """Files of one picture, each with bytes of its own: a text chunk before the PNG's end counts them."""

    def __init__(self, path: Path) -> None:
        self.data, self.numbers = path.read_bytes(), itertools.count()

    def next(self) -> bytes:
        body = b"tEXtnumber\0" + f"{os.getpid()}-{next(self.numbers)}".encode()
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return self.data[:-12] + chunk + self.data[-12:]


@dataclass
class Asking:
    """So many clients that ask at the same time. steps: requests a block, of all together."""

    service: Service
    pictures: Pictures
    accept: str
    count: int
    steps: int

    def __post_init__(self) -> None:
        self.clients = [asker(self.service, self.accept) for _ in range(self.count)]

    def run(self, steps: int) -> None:
        left = iter(range(steps))
        failed: list[Exception] = []

        def ask(http: httpx.Client) -> None:
            try:
                for _ in left:  # a range's iterator is safe to share
                    predict(http, self.pictures).raise_for_status()
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=ask, args=(http,)) for http in self.clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]


def asker(service: Service, accept: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {service.key}", "Accept": accept}
    return httpx.Client(base_url=service.address, headers=headers, timeout=60)


def predict(http: httpx.Client, pictures: Pictures) -> httpx.Response:
    files = {"image": ("picture.png", pictures.next(), PNG)}
    return http.post("/api/v1/predictions", files=files, data={"domain": DOMAIN})


@dataclass
class Bare:
    """The engine in a process of its own. what: see `answer`."""

    pipe: Connection
    what: str
    steps: int

    def run(self, steps: int) -> None:
        self.pipe.send((self.what, steps))
        self.pipe.recv()


def answer(pipe: Connection, packages: dict[str, Path], picture: Path) -> None:
    """The bare process: `predict` of a prepared picture, `file` from its file to its mask's file, `masks` of all."""
    torch.set_num_threads(1)
    engines = {version: load_package(folder, version).engine for version, folder in packages.items()}
    engine = next(iter(engines.values()))
    reading = engine.reading
    x = load_image(Sample("x", picture, None, "x"), reading.channels, reading.scales.get(DOMAIN, 1.0), reading.window)
    while task := pipe.recv():
        what, steps = task
        masks = {}
        if what == "masks":
            for version, one in engines.items():
                masks[version] = mask_file(mask_of(one.probabilities(picture, DOMAIN)))
        for _ in range(steps):
            if what == "predict":
                engine.predict(x, DOMAIN)
            else:
                mask_file(mask_of(engine.probabilities(picture, DOMAIN)))
        pipe.send(masks)


@contextmanager
def bare_process(packages: dict[str, Path], picture: Path) -> Iterator[Connection]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=answer, args=(there, packages, picture))
    process.start()
    there.close()  # so that the end of that process ends waiting for it
    try:
        yield here
    finally:
        here.send(None)
        process.join()


@dataclass
class Load:
    """Clients that ask without a pause until `stop`. kept: where the seconds of each answer go; None: nowhere."""

    service: Service
    pictures: Pictures
    masks: dict[str, bytes]
    count: int
    kept: list[float] | None = None
    failed: int = 0
    wrong: int = 0
    answered: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Load:
        self.stopped, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._ask) for _ in range(self.count)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _ask(self) -> None:
        with asker(self.service, PNG) as http:
            while not self.stopped.is_set():
                kept, start = self.kept, time.perf_counter()
                try:
                    got = predict(http, self.pictures).raise_for_status()
                except httpx.HTTPError:
                    with self.lock:
                        self.failed += 1
                    continue
                if kept is not None:
                    kept.append(time.perf_counter() - start)
                version = got.headers["Seamwise-Version"]
                with self.lock:
                    self.answered[version] += 1
                    self.wrong += got.content != self.masks[version]

    def counts(self) -> dict[str, Any]:
        return {"answers": dict(self.answered), "failed_requests": self.failed, "wrong_masks": self.wrong}


def learn(client: Client, folder: Path, steps: int) -> list[str]:
    """A domain of simulated radiographs and versions of a line that learned it one after another."""
    weld = replace(DOMAINS["panel-160kv-8mm"], height=SIZE, width=SIZE)
    for _ in write_domain(folder, weld, COUNTS, seed=0, name=DOMAIN):
        pass
    for path in (folder / "images").iterdir():  # the light parts: what few steps can learn, so that answers differ
        smooth = ndimage.gaussian_filter(read_image(path).pixels[:, :, :1].astype(np.float32), (8, 8, 0))
        write_image(folder / "masks" / path.name, (smooth > np.quantile(smooth, 0.7)).astype(np.uint8))
    classes = ["background", "crack", "lack of fusion", "lack of penetration", "porosity", "slag inclusion"]
    client.domains.create(DOMAIN, modality="radiography", classes=classes)
    sent = client.uploads.send(Path(shutil.make_archive(str(folder), "zip", folder)), domain=DOMAIN)
    assert sent.job is not None
    followed(client, sent.job)
    versions = []
    for number in range(VERSIONS):
        wished = steps if number == 0 else max(1, steps // 4)
        job = client.trainings.start("welds", DOMAIN, steps=wished, recipe=RECIPE).id
        versions.append(str(followed(client, job)["version"]))
    return versions


def followed(client: Client, job: int) -> dict[str, Any]:
    """What a job gave, once it and those that came of it are done."""
    given = client.jobs.wait(job).result or {}
    for then in given.get("then", ()):
        followed(client, then)
    return given


def fetched(client: Client, versions: list[str], folder: Path) -> dict[str, Path]:
    """The files with which versions are served."""
    packages = {version: folder / version.replace("/", "-") for version in versions}
    for version, package in packages.items():
        package.mkdir()
        for name in FILES:
            client.models.download(version, name, package / name)
    return packages


def costs(service: Service, pipe: Connection, picture: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Requests a second over those of the bare engine: bare seconds over the service's, round by round."""
    pictures, once = Pictures(picture), Bare(pipe, "predict", 1)
    once.run(5)
    start = time.perf_counter()
    once.run(10)
    steps = 2 * max(1, round(seconds / (time.perf_counter() - start) * 5))
    bare: dict[str, Loop] = {what: Bare(pipe, what, steps) for what in ("predict", "file")}
    asked: dict[str, Loop] = {
        f"{count} client{'s' * (count > 1)}, {accept}": Asking(service, pictures, accept, count, steps)
        for count in (1, 2)
        for accept in (PNG, JSON)
    }
    (times,) = measure([bare | asked], rounds)
    return {
        "requests_a_block": steps,
        "rate": {name: round(1 / statistics.median(each), 2) for name, each in times.items()},
        **{f"over_{what}": {name: ratio(times[what], times[name]) for name in asked} for what in bare},
    }


def swapping(service: Service, load: Load, versions: list[str], swaps: int, seconds: float) -> dict[str, Any]:
    """Blocks without swaps and blocks of swaps in turn; the alias moves on as soon as a version serves."""
    steady: list[float] = []
    during: list[float] = []
    swap_s: dict[str, list[float]] = {"load": [], "back": []}
    serves, before = versions[0], versions[-1]  # `before` was promoted before `serves`

    def swap(number: int) -> None:
        nonlocal serves, before
        start = time.perf_counter()
        with service.client() as client:
            if number % 3 == 2:
                assert client.aliases.rollback("a swap").version == before
                wanted, kind = before, "back"
            else:
                wanted, kind = next(v for v in versions if v not in (serves, before)), "load"
                client.aliases.promote(wanted, "a swap", force=True)
        service.wait_for(wanted)
        serves, before = wanted, serves
        swap_s[kind].append(time.perf_counter() - start)

    with load:
        for number in range(6):  # what a process holds once all kinds of swaps have happened is what `before` means
            swap(number)
    time.sleep(1)
    resident = service.resident_mb()
    for kept in swap_s.values():
        kept.clear()
    done = 0
    with load:
        while done < swaps:
            load.kept = steady
            time.sleep(seconds)
            load.kept, end = during, time.perf_counter() + seconds
            while time.perf_counter() < end and done < swaps:
                swap(done)
                done += 1
        load.kept = None
    time.sleep(1)
    after = service.resident_mb()
    return {
        "clients": load.count,
        "swaps": done,
        **load.counts(),
        **compared(steady, during),
        "swap_s": {kind: marks(each) for kind, each in swap_s.items() if each},
        "resident_mb": {"before": round(resident, 1), "after": round(after, 1), "ratio": round(after / resident, 3)},
    }


def damaged(service: Service, load: Load, packages: dict[str, Path], seconds: float) -> dict[str, Any]:
    """Promotes a version whose copy beside the service, then whose stored object, is damaged: nothing may change."""
    with service.client() as client:
        last = next(iter(client.aliases.history()))
        good = last.after
        bad = next(version for version in packages if version not in (good, last.before))  # not held: it must be loaded
        whole = (packages[bad] / FILES[1]).read_bytes()
        kept = {}
        with load:
            for place in ("models", "objects"):
                files = (path for path in (service.folder / place).rglob("*") if path.is_file())
                (path,) = (path for path in files if path.read_bytes() == whole)
                damage(path)
                client.aliases.promote(bad, "it is damaged", force=True)
                time.sleep(seconds)
                kept[place] = client.ready().serving == good
                client.aliases.promote(good, "the other is damaged", force=True)
                if place == "models":  # the next load is to fetch the object again
                    path.unlink()
    return {"version": bad, "kept_serving": kept, **load.counts()}


def damage(path: Path) -> None:
    """Turns over a bit of each byte of the middle: weights of other sizes."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(byte ^ 0x40 for byte in data[middle : middle + 4096])
    path.write_bytes(data)


def learning(service: Service, load: Load, seconds: float, blocks: int) -> dict[str, Any]:
    """Blocks without and with a training in turn; one counts from its first told step on."""
    idle: list[float] = []
    during: list[float] = []
    speeds = []
    with service.client() as client, load:
        for _ in range(blocks):
            load.kept = idle
            time.sleep(seconds)
            load.kept = None
            job = client.trainings.start("welds", DOMAIN, steps=ENDLESS).id
            while not (begun := at_step(client, job)):
                time.sleep(0.1)
            load.kept, start = during, time.perf_counter()
            time.sleep(seconds)
            load.kept = None
            speeds.append((at_step(client, job) - begun) / (time.perf_counter() - start))
            client.jobs.cancel(job)
            with suppress(JobFailedError):
                client.jobs.wait(job)
    return {"clients": load.count, "steps_a_second": speeds, **load.counts(), **compared(idle, during)}


def at_step(client: Client, job: int) -> int:
    found = client.jobs.get(job)
    if found.ended:
        raise SystemExit(f"the training ended: {found.error}")
    return int((found.progress or {}).get("step", 0))


def compared(without: list[float], with_: list[float]) -> dict[str, Any]:
    quiet, busy = marks(without), marks(with_)
    over = {name: round(busy[name] / quiet[name], 3) for name in quiet}
    return {"requests": [len(without), len(with_)], "without_s": quiet, "with_s": busy, "with_over_without": over}


def marks(seconds: list[float]) -> dict[str, float]:
    found = torch.tensor(seconds).quantile(torch.tensor([0.5, 0.95, 0.99])).tolist()
    return {name: round(mark, 4) for name, mark in zip(("p50", "p95", "p99"), found, strict=True)}


def page(result: dict[str, Any]) -> str:
    """The figures as a Markdown page beside the JSON."""
    cost = [
        f"| {keep} | {name} | {figures['rate'][name]:.1f} | {cell(each)} | {cell(figures['over_file'][name])} |"
        for keep, figures in result["cost"].items()
        for name, each in figures["over_predict"].items()
    ]
    rows = [
        f"| {name} | {r['clients']} | {sum(r['answers'].values())} | {r['failed_requests']} | {r['wrong_masks']} | "
        + " | ".join(
            f"{1000 * r['without_s'][p]:.0f} -> {1000 * r['with_s'][p]:.0f} ({r['with_over_without'][p]:.2f})"
            for p in ("p50", "p95", "p99")
        )
        + " |"
        for name, r in [("swaps", r) for r in result["swapping"]] + [("training", r) for r in result["learning"]]
    ]
    swaps = [
        f"{r['clients']} client(s): {r['swaps']} swaps; from the call until it serves "
        + ", ".join(f"{kind} {m['p50']:.2f} s (p99 {m['p99']:.2f})" for kind, m in r["swap_s"].items())
        + f"; resident {r['resident_mb']['before']:.0f} -> {r['resident_mb']['after']:.0f} MB "
        f"({r['resident_mb']['ratio']:.3f})."
        for r in result["swapping"]
    ]
    bad = result["damaged"]
    return "\n".join(
        [
            "# What a real service costs, and what its clients notice",
            "",
            f"Command: `{result['command']}` (torch {result['torch']}, {result['instructions']}).",
            "",
            "Requests a second over HTTP on a 512 x 512 picture, over those of the bare engine (a prepared picture to",
            "probabilities; a picture's file to its mask's file), one thread; median of the paired ratios, in brackets",
            "90 % of its bootstrap. `keep`: which pictures the service keeps.",
            "",
            "| keep | asked by, for | requests a second | over the engine | over file to mask |",
            "|---|---|---:|---:|---:|",
            *cost,
            "",
            "Latency in ms without -> with swaps, or a training on the same processors (their ratio).",
            "",
            "| with | clients | answers | failed | wrong masks | p50 | p95 | p99 |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
            *swaps,
            "",
            f"Version {bad['version']} with a damaged copy, then object, promoted: the one before went on serving "
            f"({bad['kept_serving']}); meanwhile {bad['failed_requests']} requests failed, "
            f"answers by version {bad['answers']}, {bad['wrong_masks']} wrong.",
            "",
        ]
    )


def run(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """The parts of the result, each as soon as it is known."""
    data, picture = folder / "data", folder / DOMAIN / "images" / "test-0008.png"
    with ExitStack() as stack:
        with serving(data, KEEPS[0]) as service, service.client() as client:
            versions = learn(client, folder / DOMAIN, options.steps)
            packages = fetched(client, versions, folder)
            for version in (versions[-1], versions[0]):
                client.aliases.promote(version, "the benchmark begins", force=True)
                service.wait_for(version)
        pipe = stack.enter_context(bare_process(packages, picture))
        pipe.send(("masks", 0))
        masks = pipe.recv()
        if len(set(masks.values())) < len(masks):
            raise SystemExit("two versions answer alike: train them for more --steps")
        cost = {}
        for keep in KEEPS:
            with serving(data, keep) as service:
                service.wait_for(versions[0])
                cost[keep] = costs(service, pipe, picture, options.seconds, options.rounds)
        yield "cost", cost
    with serving(data, KEEPS[1]) as service:
        service.wait_for(versions[0])
        load = partial(Load, service, Pictures(picture), masks)
        yield "learning", [learning(service, load(count), options.seconds, options.blocks) for count in (1, 2)]
        yield "swapping", [swapping(service, load(2), versions, options.swaps, options.seconds)]
        yield "damaged", damaged(service, load(1), packages, 5.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, a page beside it")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of each comparison of costs (default 20)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each block (default 5)")
    parser.add_argument("--swaps", type=int, default=100, help="swaps (default 100)")
    parser.add_argument("--blocks", type=int, default=12, help="blocks with a training (default 12)")
    parser.add_argument("--steps", type=int, default=60, help="of the first version's training (default 60)")
    options = parser.parse_args()
    result: dict[str, Any] = {"name": "service", "command": " ".join(["python", *sys.argv])}
    result |= {"torch": str(torch.__version__), "instructions": torch.backends.cpu.get_cpu_capability()}
    with tempfile.TemporaryDirectory() as name:
        for part, figures in run(Path(name), options):
            result[part] = figures
            print(part, json.dumps(figures, indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
        options.json.with_suffix(".md").write_text(page(result))


if __name__ == "__main__":
    main()
