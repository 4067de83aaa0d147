"""Our Synaptic Intelligence beside other libraries': python benchmarks/peers.py [--json FILE] [--rounds N] [--quick]

What a training step costs with each, relative to a bare PyTorch loop with torch's default Adam, and what each library's
SI does. Libraries that are not installed are named and left out. They pin other versions than we do: give them an
environment of their own and put `src` on its PYTHONPATH.

Every round runs a few steps of all of them in turn, each library's beside the bare loop's, so that both meet the same
noise; a ratio is the median of the rounds' ratios with the interval that holds the middle 90 % of its bootstrap. All
train the second of two tasks, so that the pull is on. With one thread the processor's time is counted instead of the
clock's, so that other work on the machine matters less.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from effect import effect
from libraries import ROWS, Row
from results import head, told, write
from seamwise.experiments.tables import markdown_table, renew_page
from steps import Loop, cell, measure, mlp, ratio
from trainers import METHODS, Method, Plain, Setup, Trainer

# name -> (hidden units, batch size, steps a round)
CASES = {"small": (256, 64, 40), "big": (2000, 256, 2)}
COLUMNS = {"finetuning": "finetuning", "si": "SI", "ewc": "EWC"}


def build(row: Row, method: Method, case: str) -> Trainer:
    """A trainer at the start of its second task."""
    width, size, steps = CASES[case]
    torch.manual_seed(0)
    model = mlp(width)
    optimizer = torch.optim.Adam(model.parameters(), fused=row.fused)
    batches = tuple((torch.rand(size, 784), torch.randint(10, (size,))) for _ in range(2))
    trainer = row.build(Setup(method, model, optimizer, batches, steps))
    trainer.next_task()
    trainer.run(steps)
    trainer.next_task()
    trainer.run(steps)
    return trainer


def attempt(made: dict[str, Any], action: Callable[[], Any]) -> Any:
    """The action's result; None where it failed, with its error noted: one library must not end the comparison."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations within the libraries
            return action()
    except Exception as error:
        made.setdefault("error", f"{type(error).__name__}: {error}".splitlines()[0])
        return None


def installed(rows: dict[str, Row]) -> dict[str, dict[str, Any]]:
    """What is known of each row before anything is run: its version, or how to install it."""
    made: dict[str, dict[str, Any]] = {}
    for name, row in rows.items():
        try:
            made[name] = {"version": version(row.package)} if row.package else {}
        except PackageNotFoundError:
            made[name] = {"missing": f"pip install {row.package}"}
    return made


def time_steps(rows: dict[str, Row], made: dict[str, dict[str, Any]], case: str, rounds: int, threads: int) -> float:
    """Adds each row's ratios under `case`; returns the milliseconds of a bare step."""
    plain = build(Row(Plain), "finetuning", case)
    groups: dict[str, dict[str, Loop]] = {}
    for name, row in rows.items():
        loops: dict[str, Loop] = {}
        for method in row.methods:
            if not made[name].keys() & {"missing", "error"}:
                loops[method] = attempt(made[name], partial(build, row, method, case))
        if not made[name].keys() & {"missing", "error"}:
            groups[name] = {"plain": plain, **loops}
    torch.set_num_threads(threads)  # some libraries set it when they are imported
    clock = time.process_time if threads == 1 else time.perf_counter
    times = measure(list(groups.values()), rounds, clock)
    for name, seconds in zip(groups, times, strict=True):
        bare = seconds.pop("plain")
        made[name][case] = {method: ratio(own, bare) for method, own in seconds.items()}
    return 1000 * statistics.median(bare)


def compare(rows: dict[str, Row], cases: Sequence[str], rounds: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    made = installed(rows)
    result = head("peers") | {
        "rounds": rounds,
        "threads": threads,
        "plain_ms": {},
        "libraries": made,
    }
    for name, row in rows.items():
        if row.judged and "missing" not in made[name]:
            found = attempt(made[name], partial(effect, row.build))
            made[name] |= {"effect": asdict(found)} if found else {}
    for case in cases:
        print(f"{case}: {rounds} rounds", flush=True)
        result["plain_ms"][case] = round(time_steps(rows, made, case, rounds, threads), 3)
    return result


def tables(result: dict[str, Any]) -> list[str]:
    """The result as parts of a Markdown page."""
    made: dict[str, dict[str, Any]] = result["libraries"]
    cases = list(result["plain_ms"])

    def label(name: str) -> str:
        library, comma, rest = name.partition(",")
        return " ".join([library, *filter(None, [made[name].get("version")])]) + comma + rest

    timed = {name: row for name, row in made.items() if any(case in row for case in cases)}
    judged = {name: row["effect"] for name, row in made.items() if "effect" in row}
    absent = [f"* {label(name)}: not installed: `{row['missing']}`" for name, row in made.items() if "missing" in row]
    failed = [f"* {label(name)}: failed: {row['error']}" for name, row in made.items() if "error" in row]
    costs = [
        [label(name)]
        + [cell(row[case][method]) if method in row.get(case, {}) else "-" for method in METHODS for case in cases]
        for name, row in timed.items()
    ]
    bare = ", ".join(f"{case} {result['plain_ms'][case]:.1f} ms" for case in cases)
    return [
        f"{told(result)} {result['rounds']} rounds, threads: {result['threads']}. "
        f"A step of the bare loop with default Adam: {bare}.",
        markdown_table(["", *(f"{COLUMNS[method]}, {case}" for method in METHODS for case in cases)], costs),
        "What their SI does on a CPU, watched in two small tasks:",
        markdown_table(
            ["", "importances after one task", "negative ones", "pull in the second task", "gradient in the path"],
            [[label(name), *words.values()] for name, words in judged.items()],
        ),
        "\n".join(absent + failed) or "All were installed and ran.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--json", type=Path, help="write the numbers to this file, and the tables into the .md beside it"
    )
    parser.add_argument("--rounds", type=int, default=20, help="rounds of each comparison (default 20)")
    parser.add_argument("--threads", type=int, default=1, help="threads torch computes with (default 1)")
    parser.add_argument("--quick", action="store_true", help="three rounds of the small network alone")
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    cases, rounds = (["small"], 3) if options.quick else (list(CASES), options.rounds)
    result = compare(ROWS, cases, rounds, options.threads)
    parts = tables(result)
    print("\n" + "\n\n".join(parts))
    write(options.json, result)
    if options.json:
        renew_page(options.json.with_suffix(".md"), "Other libraries", parts)


if __name__ == "__main__":
    main()
