"""A real service for benchmarks: `seamwise serve` as its users start it, and versions that it can serve."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from scipy import ndimage

from seamwise.client import Client
from seamwise.vision.images import read_image, write_image
from seamwise.vision.welds.domains import DOMAINS, write_domain

STARTED = "Seamwise answers at "
QUIET = {"SEAMWISE_RATE_LIMIT": "", "SEAMWISE_LOG_LEVEL": "error"}
DOMAIN, SIZE = "steel", 512
COUNTS = {"train": 6, "val": 1, "test": 2}
FILES = ("model.safetensors", "model.onnx", "serving.safetensors")
VERSIONS = 3  # two are held warm: going to a third one loads it
# so few steps would not leave the default network's first guess, in which there is no defect
RECIPE = {"batch_size": 4, "network_options": {"prior": None}}


@dataclass(frozen=True)
class Service:
    """A running `seamwise serve` over a folder. address: http://host:port. key: its admin's."""

    process: subprocess.Popen[str]
    folder: Path
    address: str
    key: str

    def client(self) -> Client:
        return Client(self.address, self.key)

    def wait_for(self, version: str) -> None:
        """Until that version serves."""
        with self.client() as client:
            self._until(lambda: client.ready().serving == version)

    def resident_mib(self, name: str = "VmRSS") -> float:
        """Resident memory of the process that answers, or with `VmHWM` at its peak since `forget_peak` (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _until(self, there: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not there():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the service ended, or does not do in two minutes what it should")
            time.sleep(0.02)


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Service]:
    """`seamwise serve` over a folder, ended with the block. settings: variables of its surroundings."""
    surroundings = os.environ | QUIET | {"SEAMWISE_DATA": str(folder)} | settings
    words = (sys.executable, "-c", "from seamwise.cli import main; main()", "serve", "--port", "0")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=surroundings, text=True)
    try:
        assert process.stdout is not None
        said = next((line for line in process.stdout if line.startswith(STARTED)), None)
        if said is None:
            raise SystemExit("the service ended before it answered")
        host = urlsplit(said.removeprefix(STARTED).strip()).netloc
        yield Service(process, folder, f"http://{host}", (folder / "admin.key").read_text().strip())
    finally:
        process.terminate()
        process.wait(60)


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
