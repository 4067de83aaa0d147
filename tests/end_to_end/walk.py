"""The README's walk through the platform, as it is written and by the Python client.

    python -m tests.end_to_end.walk                        # the README's own lines, then by the client
    python -m tests.end_to_end.walk FOLDER FOLDER [...]    # by the client, on domains of one's own

It trains for real and takes minutes. A line of the README must end with 0; only a promotion without `--force` may be
refused by the gate.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seamwise.client import Client
from seamwise.errors import RefusedError
from seamwise.vision.domain import read_domain
from tests.end_to_end.running import SEAMWISE, Platform, embedded
from tests.end_to_end.scenario import followed

README = Path(__file__).parents[2] / "README.md"
REFUSED = 5
LINE = "welds"
TRAINING = {"strategy": "si+replay", "parameters": {"c": 0.1}, "rule": "defect", "recipe": {"tile": 96, "lr": 0.005}}
SIMULATED = ("panel-160kv-8mm", "film-180kv-10mm")


def lines() -> list[str]:
    """The commands of the README's walk, without what is said of them."""
    text = README.read_text(encoding="utf-8")
    (block,) = re.findall(r"A walk through it.*?\n\n((?: {4}.*\n)+)", text)
    return [line.strip() for line in block.splitlines()]


def as_written(platform: Platform, folder: Path) -> None:
    """Every line, in the order of the README, from a folder of its own."""
    about = os.environ | {
        "SEAMWISE_ADDRESS": address(platform),
        "SEAMWISE_DATA": str(platform.folder),
        "COLUMNS": "120",
    }
    for line in lines():
        words = shlex.split(line, comments=True)
        assert words[0] == "seamwise", line
        print(f"$ {line}", flush=True)
        begun = time.monotonic()
        code = subprocess.run([*SEAMWISE, *words[1:]], cwd=folder, env=about).returncode
        print(f"  -> {code} after {time.monotonic() - begun:.1f} s", flush=True)
        may_be_refused = "promote" in words and "--force" not in words
        if code and not (may_be_refused and code == REFUSED):
            raise SystemExit(f"the README's line ended with {code}: {line}")


def by_client(client: Client, folders: Sequence[Path], scratch: Path, steps: int) -> None:
    """The same for any domains: each learned after the one before, promoted, asked, reviewed; then one step back."""
    versions: list[str] = []
    for folder in folders:
        domain = read_domain(folder, folder.name)
        name = folder.name.lower().replace("_", "-")
        client.domains.create(
            name, modality=domain.modality, classes=domain.classes, ignore=domain.ignore, pitch_mm=domain.pitch_mm
        )
        archive = Path(shutil.make_archive(str(scratch / name), "zip", folder))
        sent = client.uploads.send(archive, domain=name)
        assert sent.job is not None
        print(f"{name}: {followed(client, sent.job).result}", flush=True)
        wished: dict[str, Any] = {} if versions else TRAINING  # later rounds are as the first
        begun = time.monotonic()
        job = followed(client, client.trainings.start(LINE, name, steps=steps, **wished).id)
        assert job.result is not None
        version = str(job.result["version"])
        model = client.models.get(version)
        print(f"{version} after {time.monotonic() - begun:.0f} s: {model.r_row}", flush=True)
        try:
            client.aliases.promote(version, "the walk")
            print(f"{version} was promoted by its gate", flush=True)
        except RefusedError as error:
            print(f"refused: {error}", flush=True)
            client.aliases.promote(version, "the walk goes on", force=True)
        versions.append(version)
        sample = domain.samples["test"][0]
        answer = client.predictions.make(sample.image, domain=name)
        print(f"{sample.image.name}: {answer.version}, {len(answer.defects)} defects", flush=True)
        assert answer.id is not None
        client.predictions.review(answer.id, mask=sample.mask)
    print(client.models.forgetting(LINE), flush=True)
    back = client.aliases.rollback("the walk ends")
    assert back.version == versions[-2], back
    for change in client.aliases.history():
        print(change.action, change.before, "->", change.after, f"({change.reason})", flush=True)


def address(platform: Platform) -> str:
    (port,) = platform.ports.values()
    return f"http://127.0.0.1:{port}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="two domains or more (default: those of the README)")
    parser.add_argument("--steps", type=int, default=300, help="of each training by the client (default 300)")
    options = parser.parse_args()
    if len(options.folders) == 1:
        parser.error("give two folders or more")
    with TemporaryDirectory(prefix="seamwise-walk-") as name:
        folder = Path(name)
        folders = options.folders
        if not folders:
            with embedded(folder / "written") as platform:
                as_written(platform, folder)
            folders = [folder / "runs" / "welds" / domain for domain in SIMULATED]
        with embedded(folder / "client") as platform, platform.client() as client:
            by_client(client, folders, folder, options.steps)


if __name__ == "__main__":
    main()
