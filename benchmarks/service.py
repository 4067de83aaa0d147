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
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from asking import JSON, PNG, Asking, Bare, Load, Pictures, bare_process
from results import head, told, write
from seamwise.client import Client, JobFailedError
from served import DOMAIN, FILES, Service, fetched, learn, serving
from steps import Loop, cell, measure, ratio

KEEPS = ("none", "all")
ENDLESS = 1_000_000  # steps of a training that is cancelled


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
    resident = service.resident_mib()
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
    after = service.resident_mib()
    return {
        "clients": load.count,
        "swaps": done,
        **load.counts(),
        **compared(steady, during),
        "swap_s": {kind: marks(each) for kind, each in swap_s.items() if each},
        "resident_mib": {"before": round(resident, 1), "after": round(after, 1), "ratio": round(after / resident, 3)},
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
        + f"; resident {r['resident_mib']['before']:.0f} -> {r['resident_mib']['after']:.0f} MiB "
        f"({r['resident_mib']['ratio']:.3f})."
        for r in result["swapping"]
    ]
    bad = result["damaged"]
    return "\n".join(
        [
            "# What a real service costs, and what its clients notice",
            "",
            told(result),
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


def service_of(folder: Path, keep: str) -> AbstractContextManager[Service]:
    return serving(folder, SEAMWISE_THREADS="1", SEAMWISE_KEEP_PREDICTIONS=keep)


def run(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """The parts of the result, each as soon as it is known."""
    data, picture = folder / "data", folder / DOMAIN / "images" / "test-0008.png"
    with ExitStack() as stack:
        with service_of(data, KEEPS[0]) as service, service.client() as client:
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
            with service_of(data, keep) as service:
                service.wait_for(versions[0])
                cost[keep] = costs(service, pipe, picture, options.seconds, options.rounds)
        yield "cost", cost
    with service_of(data, KEEPS[1]) as service:
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
    result = head("service")
    with tempfile.TemporaryDirectory() as name:
        for part, figures in run(Path(name), options):
            result[part] = figures
            print(part, json.dumps(figures, indent=1), flush=True)
    write(options.json, result, page(result))


if __name__ == "__main__":
    main()
