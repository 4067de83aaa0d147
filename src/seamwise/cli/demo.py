"""`seamwise demo`: the main job on simulated welds, from nothing to a report."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import closing
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Annotated, TextIO

import typer

from seamwise.cli.compare import show_updates
from seamwise.cli.console import Bars, command_line, say, stage, write_json
from seamwise.cli.options import Device, DeviceOption, OtherMachineOption, device_of
from seamwise.cli.plain_options import JsonOption
from seamwise.cli.results import show_results, write_report
from seamwise.errors import BadInputError
from seamwise.experiments.comparison import ResultsFile, common_of, compare, folder_of
from seamwise.experiments.demonstration import DOMAINS, FULL, QUICK, STRATEGIES, simulate_domain
from seamwise.experiments.overlays import overlays_of
from seamwise.experiments.runs import Run
from seamwise.experiments.streams import join_domains
from seamwise.experiments.tables import trade_off, write_markdown
from seamwise.experiments.whole_folder import whole_folder
from seamwise.files import atomic_write
from seamwise.vision.domain import Domain, read_domain


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="A small version, under a minute.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds for each strategy.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = os.cpu_count() or 1,
    out: Annotated[Path | None, typer.Option(help="Folder (default: runs/demo, runs/demo-quick).")] = None,
    keep: Annotated[
        Path | None, typer.Option("--results", help="Results file (default: results.json there); tables go beside it.")
    ] = None,
    device: DeviceOption = Device.auto,
    other_machine: OtherMachineOption = False,
    json_file: JsonOption = None,
) -> None:
    """Simulate four weld domains, learn them in order with five strategies, print the table, write the report.

    Shows what forgetting is and what helps against it: each line is a strategy that has seen the same pictures in the
    same order (joint has seen all at once). Stopped, it goes on where it was when given again.
    """
    started = time.monotonic()
    folder = out or Path("runs/demo-quick" if quick else "runs/demo")
    domains = _domains(folder / "domains", quick, jobs)
    stream = join_domains(domains, name="demo", rule="defect")
    recipe, where = (QUICK if quick else FULL), device_of(device)
    runs = [Run(stream, recipe, name, p, seed, where) for seed in range(seeds) for name, p in STRATEGIES.items()]
    results = ResultsFile(
        keep or folder / "results.json",
        "demo",
        command_line(),
        common_of(runs[0]),
        order=lambda row: (row["seed"], [*STRATEGIES, row["strategy"]].index(row["strategy"])),
    )
    results.open()
    # The longest first, so that no process waits for a late long one.
    order = sorted(runs, key=lambda run: "replay" not in run.strategy)
    with closing(compare(order, results, folder / "runs", jobs, allow_other_machine=other_machine)) as updates:
        show_updates(updates)
    result = results.content()
    write_markdown(results.path.with_suffix(".md"), result)
    atomic_write(results.path.with_suffix(".svg"), trade_off(result).encode())
    overlays = {run.strategy: overlays_of(run, folder / "runs" / folder_of(run)) for run in runs if run.seed == 0}
    show_results(result, json_file)
    page = write_report(folder / "report.html", result, overlays)
    _say_what_it_shows(result["runs"], stage(json_file))
    say(f"report: {page} (中文: {page.with_suffix('.zh.html')})\nresults: {results.path}")
    say(f"{time.monotonic() - started:.0f} s in all")
    write_json(json_file, result | {"strategies": _by_strategy(result["runs"])})


def _domains(folder: Path, quick: bool, jobs: int) -> list[Domain]:
    """Simulates what is not there yet, several domains side by side."""
    missing = [name for name in DOMAINS if not (folder / name / "domain.yaml").exists()]
    for name in missing:
        if (folder / name).exists():
            raise BadInputError(f"{folder / name} was left half-written by a stopped run: delete it and start again")
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with Bars() as bars, _pool(min(jobs, len(missing))) as pool:
            waiting = {name: pool.apply_async(_simulate, (folder / name, name, quick)) for name in missing}
            for place, name in enumerate(waiting):
                bars.show("simulate", place / len(missing), name)
                waiting[name].get()
            bars.done("simulate", f"{len(missing)} domains in {folder}")
    return [read_domain(folder / name) for name in DOMAINS]


def _pool(jobs: int) -> Pool:
    """Processes that leave Ctrl-C to this one and end when it is gone."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return multiprocessing.get_context("spawn").Pool(jobs, _end_with_parent)
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _simulate(folder: Path, name: str, quick: bool) -> None:
    with whole_folder(folder) as part:
        for _ in simulate_domain(part, name, quick=quick):
            pass


def _by_strategy(rows: list[dict[str, object]]) -> dict[str, object]:
    """For each strategy the figures of its first seed."""
    keys = ("R", "average", "forgetting", "seconds")
    return {str(row["strategy"]): {key: row[key] for key in keys} for row in reversed(rows)}


def _say_what_it_shows(rows: list[dict[str, object]], file: TextIO) -> None:
    """The measured result in words, whatever it is."""
    by_name = _by_strategy(rows)
    for name in ("finetuning", "si", "replay", "si+replay"):
        figures = by_name[name]
        assert isinstance(figures, dict)
        R = figures["R"]
        kept = f"forgot {figures['forgetting']:.3f} of what it had; newest domain {R[-1][-1]:.3f}"
        print(f"{name}: {kept}", file=file)
