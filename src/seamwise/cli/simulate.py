"""`seamwise simulate`: domain folders of simulated welds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seamwise.cli.console import Bars, stage, write_json
from seamwise.cli.plain_options import JsonOption
from seamwise.errors import UsageError
from seamwise.experiments.whole_folder import whole_folder
from seamwise.vision.welds.domains import DOMAINS, find_domain, write_domain


def simulate(
    domains: Annotated[
        list[str] | None, typer.Argument(help="Ready domains, or A..B@0.3 for a domain between two; none: list them.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder in which each domain gets a folder of its name.")] = Path(
        "runs/welds"
    ),
    train: Annotated[int, typer.Option(min=1, help="Training pictures a domain.")] = 200,
    val: Annotated[int, typer.Option(min=0, help="Validation pictures a domain.")] = 40,
    test: Annotated[int, typer.Option(min=1, help="Test pictures a domain.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
    json_file: JsonOption = None,
) -> None:
    """Simulate weld pictures with exact masks: radiographs of steel, phased-array scans of polyethylene."""
    if not domains:
        for name, domain in DOMAINS.items():
            facts = f"{domain.height} x {domain.width} px, {domain.bits} bit, pitch {domain.pitch_mm} mm"
            print(f"{name:28} {facts}", file=stage(json_file))
        write_json(json_file, {"domains": list(DOMAINS)})
        return
    if len(set(domains)) < len(domains):
        raise UsageError("a domain is named twice; give each once, or another --out and --seed")
    chosen = {name: find_domain(name) for name in domains}
    counts = {"train": train, "val": val, "test": test}
    folders = []
    with Bars() as bars:
        for name, domain in chosen.items():
            folder = out / name.replace("@", "-at-")
            with whole_folder(folder) as part:
                for done, of in write_domain(part, domain, counts, seed, folder.name):
                    bars.show(name, done / of)
            bars.done(name, f"-> {folder}")
            folders.append(str(folder))
    write_json(json_file, {"folders": folders, "seed": seed, **counts})
