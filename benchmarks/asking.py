"""Clients that ask a service without a pause, and the bare engine beside them."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import torch

from seamwise.app.annotations import mask_file
from seamwise.serving import load_package, mask_of
from seamwise.vision.prepare import prepare_image
from served import DOMAIN, Service

PNG, JSON = "image/png", "application/json"


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
    x = prepare_image(picture, reading.channels, reading.scales.get(DOMAIN, 1.0), reading.window).whole()
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
