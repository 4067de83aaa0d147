"""What serving costs, and what a swap costs those who are served: python benchmarks/serving.py [--json FILE]

Engines: the same 512 x 512 picture through the same tiling by torch eager, torch channels_last and onnxruntime, one
after another in each round; a ratio is the median of the rounds' ratios with the middle 90 % of its bootstrap. With one
thread also of processor time, which other programs on the machine disturb less.
Swaps: clients ask without a pause while blocks with swaps, one after another, alternate with blocks without; the
latencies of either kind are pooled. Memory: resident, with two versions held and nobody asking, before and after.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from results import head, told, write
from seamwise.serving import Engine, Server, load_package, make_package, onnx_engine, torch_engine
from seamwise.serving.memory import give_back
from seamwise.vision.networks import build_network
from seamwise.vision.segmenter import Reading, Segmenter, load_segmenter
from steps import cell, measure, ratio

SIZE = 512
CLASSES = ("background", "crack", "pore", "inclusion")


@dataclass
class Asking:
    """An engine that answers the same picture again and again. cpu_s: the process's processor time of each answer."""

    engine: Engine
    picture: Tensor
    cpu_s: list[float] = field(default_factory=list)
    steps: int = 1

    def run(self, steps: int) -> None:
        for _ in range(steps):
            start = time.process_time()
            self.engine.predict(self.picture)
            self.cpu_s.append(time.process_time() - start)


class Eager(nn.Module):
    """The network as it stands, in torch's own memory layout."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits


def make_version(folder: Path) -> None:
    """A default U-Net with every class somewhere, packaged."""
    torch.manual_seed(0)
    network = build_network("unet", 1, len(CLASSES), width=16)
    nn.init.normal_(network.get_parameter("head.weight"))
    Segmenter(network, Reading(CLASSES, 1, 128)).save(folder / "model.safetensors")
    make_package(folder, [picture(160)], engine="onnxruntime")


def picture(size: int) -> Tensor:
    return torch.rand(1, size, size, generator=torch.Generator().manual_seed(1))


def speeds(folder: Path, threads: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    model = folder / "model.safetensors"
    eager = load_segmenter(model)
    engines = {
        "eager": Engine("eager", "torch", eager.reading, Eager(eager.network)),
        "channels_last": torch_engine(load_segmenter(model), "channels_last", threads=threads),
        "onnxruntime": onnx_engine((folder / "model.onnx").read_bytes(), "onnxruntime", threads=threads),
    }
    x = picture(SIZE)
    asked = {name: Asking(engine, x) for name, engine in engines.items()}
    (times,) = measure([asked], rounds)
    figures = {
        f"{over}_over_{under}": ratio(times[over], times[under]) for over, under in itertools.combinations(engines, 2)
    }
    if threads == 1:
        cpu = {name: one.cpu_s[1:] for name, one in asked.items()}  # the first answer only warms up
        figures |= {
            f"{over}_over_{under}_cpu": ratio(cpu[over], cpu[under])
            for over, under in itertools.combinations(engines, 2)
        }
    return {**figures, "ms": {name: round(1000 * statistics.median(seconds), 1) for name, seconds in times.items()}}


@contextmanager
def clients(server: Server, count: int, kept: list[float]) -> Iterator[None]:
    """So many threads that ask without a pause and keep the seconds of each answer; a failure ends the benchmark."""
    stop = threading.Event()
    failed: list[Exception] = []
    x = picture(SIZE)

    def ask() -> None:
        try:
            while not stop.is_set():
                start = time.perf_counter()
                with server.pin() as engine:
                    engine.predict(x)
                kept.append(time.perf_counter() - start)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def swapping(folder: Path, count: int, swaps: int, seconds: float, pause_s: float) -> dict[str, Any]:
    """Blocks of so many seconds, in turn without swaps and with one after another, until all swaps are done."""
    server = Server(lambda version: load_package(folder, version))
    done = 0

    def swap() -> None:
        nonlocal done
        server.swap(f"v{done}")
        done += 1

    swap()
    with clients(server, count, []):
        for _ in range(10):  # what a process holds after its first minutes is what `before` means
            swap()
    before = resident_mb()
    first = done
    steady: list[float] = []
    during: list[float] = []
    swap_s: list[float] = []
    while done < first + swaps:
        with clients(server, count, steady):
            time.sleep(seconds)
        with clients(server, count, during):
            end = time.perf_counter() + seconds
            while time.perf_counter() < end and done < first + swaps:
                start = time.perf_counter()
                swap()
                swap_s.append(time.perf_counter() - start)
                time.sleep(pause_s)
    after = resident_mb()
    server.close()
    steady_ms, during_ms = percentiles(steady), percentiles(during)
    return {
        "clients": count,
        "swaps": done - first,
        "failed_requests": 0,  # one would have ended the benchmark
        "answers": {"steady": len(steady), "during_swaps": len(during)},
        "steady_ms": steady_ms,
        "during_swaps_ms": during_ms,
        "during_over_steady": {name: round(during_ms[name] / steady_ms[name], 3) for name in steady_ms},
        "swap_ms": percentiles(swap_s),
        "resident_mb": {"before": round(before, 1), "after": round(after, 1), "ratio": round(after / before, 3)},
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    marks = torch.tensor(seconds).quantile(torch.tensor([0.5, 0.95, 0.99])).tolist()
    return {name: round(1000 * mark, 1) for name, mark in zip(("p50", "p95", "p99"), marks, strict=True)}


def resident_mb() -> float:
    give_back()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def page(result: dict[str, Any]) -> str:
    """The figures as a Markdown page beside the JSON."""
    columns = ("eager_over_onnxruntime", "channels_last_over_onnxruntime", "eager_over_channels_last")
    measured = (("1", "threads_1", ""), ("1, processor time", "threads_1", "_cpu"), ("2", "threads_2", ""))
    engines = [
        f"| {name} | " + " | ".join(cell(result[key][column + kind]) for column in columns) + " |"
        for name, key, kind in measured
    ]
    swaps = [
        f"| {r['clients']} | {r['swaps']} | {r['failed_requests']} | "
        + " | ".join(f"{r['steady_ms'][p]:.0f} -> {r['during_swaps_ms'][p]:.0f}" for p in ("p50", "p95", "p99"))
        + f" | {r['during_over_steady']['p99']:.2f} | {r['swap_ms']['p50']:.0f} | "
        f"{r['resident_mb']['before']:.0f} -> {r['resident_mb']['after']:.0f} ({r['resident_mb']['ratio']:.3f}) |"
        for r in result["swapping"]
    ]
    lines = [
        "# What serving costs, and what a swap costs those who are served",
        "",
        told(result),
        "",
        "A 512 x 512 picture (25 tiles of 128 x 128, overlap 0.25, four a pass) by the default U-Net (1.9 M):",
        f"times as ratios ({result['rounds']} rounds), median of the paired ones, in brackets 90 % of its bootstrap.",
        "",
        "| threads | torch eager / onnxruntime | torch channels_last / onnxruntime | eager / channels_last |",
        "|---|---:|---:|---:|",
        *engines,
        "",
        "Clients ask without a pause, one thread each; latency in ms without -> with swaps at the same time. A swap",
        "loads, warms up, tests and exchanges. Memory: resident MB before -> after, with two versions held.",
        "",
        "| clients | swaps | failed requests | p50 | p95 | p99 | p99 with / without | a swap, ms | memory |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *swaps,
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--rounds", type=int, default=60, help="rounds of each comparison (default 60)")
    parser.add_argument("--swaps", type=int, default=100, help="swaps for each number of clients (default 100)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each block (default 20)")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two swaps of a block (default 0.5)")
    options = parser.parse_args()
    import onnxruntime  # type: ignore[import-untyped]

    result = head("serving") | {"rounds": options.rounds}
    result["versions"]["onnxruntime"] = onnxruntime.__version__
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_version(folder)
        for threads in (1, 2):
            figures = result[f"threads_{threads}"] = speeds(folder, threads, options.rounds)
            shown = "  ".join(f"{k} {v['median']:.2f}" for k, v in figures.items() if "median" in v)
            print(f"{threads} threads: {shown}  {figures['ms']}", flush=True)
        torch.set_num_threads(1)
        result["swapping"] = []
        for count in (1, 2):
            figures = swapping(folder, count, options.swaps, options.seconds, options.pause)
            result["swapping"].append(figures)
            print(json.dumps(figures), flush=True)
    write(options.json, result, page(result))


if __name__ == "__main__":
    main()
