"""Kills `seamwise learn` at random moments, gives it again, and compares with a run that was never stopped.

    python -m tests.cli.kill_and_resume --times 10

The run has what makes this hard: a channels_last U-Net with dropout, fused Adam, Synaptic Intelligence and replay,
random tiles and augmentation. SIGKILL gives no time to tidy up, and strikes while checkpoints are being written too.
Each try is killed `--kills` times, at steps drawn at random. Equal means bit for bit: weights, moments of Adam,
importances, replay memory, the model after each domain, and every score.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from seamwise.cli import main as seamwise
from seamwise.experiments.checkpoint import load_checkpoint
from seamwise.vision.tensor_file import flatten, read_tensors
from seamwise.vision.welds.domains import find_domain, write_domain

STEPS = 25
SETTINGS = {
    "network_options": "{width: 4, depth: 2, dropout: 0.2}",
    "tile": "32",
    "steps": str(STEPS),
    "batch_size": "4",
    "optimizer": "adam",
}


@dataclass(frozen=True)
class Try:
    """kills: (domain, step) of the checkpoint that each kill left behind; None: it came before the first one."""

    kills: tuple[tuple[int, int] | None, ...]
    differences: tuple[str, ...]


def arguments(domains: list[Path], out: Path) -> list[str]:
    """The command: checkpoints as often as they can be written."""
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    strategy = ["--strategy", "si+replay", "--param", "c=1", "--param", "capacity=12"]
    return ["learn", *map(str, domains), *strategy, *settings, "--checkpoint-every", "0", "--out", str(out)]


def simulate(folder: Path) -> list[Path]:
    """Two domains of a few small radiographs."""
    names = ("panel-160kv-8mm", "film-180kv-10mm")
    for name in names:
        domain = replace(find_domain(name), views=1, height=64, width=96)
        for _ in write_domain(folder / name, domain, {"train": 4, "val": 0, "test": 2}, seed=0, name=name):
            pass
    return [folder / name for name in names]


def tries(times: int, kills: int, seed: int, work: Path) -> Iterator[Try]:
    """Runs once undisturbed, then `times` times with kills."""
    rng = random.Random(seed)
    domains = simulate(work / "domains")
    whole = work / "whole"
    _finish(_start(domains, whole))
    for number in range(times):
        out = work / f"try-{number}"
        struck: list[tuple[int, int] | None] = []
        for _ in range(kills):
            done, last = _steps(struck[-1] if struck else None), len(domains) * STEPS - 1
            process = _start(domains, out)
            _wait_for_step(process, out, rng.randrange(min(done, last), last + 1))
            time.sleep(rng.uniform(0, 0.03))  # anywhere within a step, or a checkpoint
            process.kill()
            process.join()
            struck.append(_place(out))
        _finish(_start(domains, out))
        yield Try(tuple(struck), tuple(differences(_only(whole), _only(out))))


def differences(a: Path, b: Path) -> list[str]:
    """Names of what is not bit for bit the same in two run folders, but times and memory."""
    found = []
    names = sorted({path.name for folder in (a, b) for path in folder.glob("*.safetensors")})
    for name in names:
        if not ((a / name).exists() and (b / name).exists()):
            found.append(name)
            continue
        mine, other = _tensors(a / name), _tensors(b / name)
        keys = sorted(mine.keys() | other.keys())
        found += [f"{name}: {key}" for key in keys if not _equal(mine.get(key), other.get(key))]
    rows = [json.loads((folder / "row.json").read_text(encoding="utf-8")) for folder in (a, b)]
    found += [f"row: {key}" for key in rows[0] if key not in ("seconds", "peak_memory_mb") and _differ(rows, key)]
    return found


def _differ(rows: list[dict[str, Any]], key: str) -> bool:
    return bool(rows[0][key] != rows[1][key])


def _tensors(path: Path) -> dict[str, Any]:
    """Everything a model or checkpoint file holds, but the seconds it took."""
    if path.name != "checkpoint.safetensors":
        return dict(read_tensors(path, "seamwise model")[0])
    state = load_checkpoint(path)
    state["progress"] = {"lines": json.loads(state["progress"])["lines"]}
    tensors, rest = flatten(state)
    return {**tensors, "what is no tensor": rest}


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.dtype == b.dtype and a.shape == b.shape
        return same and a.numpy().tobytes() == b.numpy().tobytes()
    return bool(type(a) is type(b) and a == b)


def _place(out: Path) -> tuple[int, int] | None:
    """Domain and step of the checkpoint in there; None: there is none yet."""
    found = list(out.glob("*/checkpoint.safetensors"))
    if not found:
        return None
    # Read in one go, since the process may be replacing the file: 8 bytes of length, the JSON header, the tensors.
    data = found[0].read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    position = json.loads(header["__metadata__"]["seamwise"])["state"]["learner"]["position"]
    return position["experience"], position["step"]


def _steps(place: tuple[int, int] | None) -> int:
    return 0 if place is None else place[0] * STEPS + place[1]


def _only(out: Path) -> Path:
    """The one run folder in there."""
    (folder,) = out.iterdir()
    return folder


def _start(domains: list[Path], out: Path) -> ForkServerProcess:
    # A server that has everything imported, but computed nothing yet, forks the processes: they start at once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seamwise.cli"])
    process = context.Process(target=_learn, args=(arguments(domains, out), out.parent / "log.txt"))
    process.start()
    return process


def _learn(command: list[str], log: Path) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, sys.stdout.fileno())
    os.dup2(handle, sys.stderr.fileno())
    seamwise(command)


def _wait_for_step(process: ForkServerProcess, out: Path, step: int) -> None:
    while process.is_alive() and _steps(_place(out)) < step:
        time.sleep(0.005)


def _finish(process: ForkServerProcess) -> None:
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"seamwise learn ended with {process.exitcode}; see log.txt")


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cli.kill_and_resume", description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=10, help="tries (default: 10)")
    parser.add_argument("--kills", type=int, default=2, help="kills in each try (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills (default: 0)")
    options = parser.parse_args(words)
    unequal = 0
    with tempfile.TemporaryDirectory() as work:
        for number, tried in enumerate(tries(options.times, options.kills, options.seed, Path(work))):
            places = [f"domain {p[0]}, step {p[1]}" if p else "before the first checkpoint" for p in tried.kills]
            outcome = "equal" if not tried.differences else f"DIFFERS in {', '.join(tried.differences[:5])}"
            print(f"try {number + 1}: killed at {'; '.join(places)}: {outcome}", flush=True)
            unequal += bool(tried.differences)
    print(f"{options.times - unequal} of {options.times} tries equal an uninterrupted run bit for bit")
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
