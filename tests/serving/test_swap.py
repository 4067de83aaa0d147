"""Swapping: no request fails, no answer is mixed, nothing broken ever serves, and what is dropped is gone."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seamwise.errors import BadInputError
from seamwise.serving import (
    Engine,
    Loaded,
    NotServingError,
    Server,
    SwapError,
    load_package,
    make_probes,
    mask_of,
    torch_engine,
)
from seamwise.vision.segmenter import Reading
from tests.serving.conftest import Packaged
from tests.serving.tiny import CLASSES, Constant, constant, eventually, loaded, picture, segmenter

WEIGHTS = 8  # versions v0 .. v99 share so many sets of weights, so that all expected masks can be made beforehand
PICTURES = [picture(1, 20, 20), picture(1, 70, 40, seed=1)]


@contextmanager
def running(*works: Callable[[], None]) -> Iterator[None]:
    """Threads that repeat their work until the block ends; the first exception of any is raised then."""
    stop, errors = threading.Event(), []

    def repeat(work: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_100_swaps_under_load_fail_no_request_and_mix_no_answer() -> None:
    versions = [loaded("v0", seed=number) for number in range(WEIGHTS)]
    expected = [[mask_of(version.engine.predict(x)) for x in PICTURES] for version in versions]
    assert len({b"".join(mask.tobytes() for mask in masks) for masks in expected}) == WEIGHTS

    def load(version: str) -> Loaded:
        number = int(version[1:]) % WEIGHTS
        return Loaded(torch_engine(segmenter(seed=number), version), versions[number].probes)

    server = Server(load)
    server.swap("v0")
    answered: set[str] = set()
    counts = [0, 0]

    def ask(thread: int) -> None:
        place = counts[thread] % 2
        with server.pin() as engine:
            mask = mask_of(engine.predict(PICTURES[place]))
            again = mask_of(engine.predict(PICTURES[place]))
        wanted = expected[int(engine.version[1:]) % WEIGHTS][place]
        assert np.array_equal(mask, wanted), engine.version
        assert np.array_equal(again, wanted), engine.version  # the same version to the end of the request
        answered.add(engine.version)
        counts[thread] += 1

    with running(*(lambda thread=thread: ask(thread) for thread in range(2))):  # type: ignore[misc]
        for number in range(1, 101):
            done = server.swap(f"v{number}")
            assert (done.version, done.before) == (f"v{number}", f"v{number - 1}")
    assert min(counts) > 10
    assert len(answered) > 30  # the load was there while versions went by
    assert server.status().version == "v100"


def test_a_request_stays_on_its_version_and_new_ones_get_the_new() -> None:
    server = Server(constant)
    server.swap("v1")
    with server.pin() as old:
        server.swap("v2")
        server.swap("v3")  # v1 is neither current nor previous now
        assert server.status().pinned == {"v1": 1}
        assert not server.drain(0.01)
        assert mask_of(old.predict(PICTURES[0])).tolist() == np.full((20, 20), 1).tolist()
        with server.pin() as new:
            assert (old.version, new.version) == ("v1", "v3")
    assert server.drain(0)
    assert server.status().pinned == {}


def test_a_failing_request_ends_its_pin() -> None:
    server = Server(constant)
    server.swap("v1")
    with pytest.raises(BadInputError), server.pin() as engine:
        engine.predict(picture(2, 8, 8))
    assert server.status().pinned == {}


def test_before_the_first_version_there_is_a_clear_answer() -> None:
    server = Server(constant)
    with pytest.raises(NotServingError, match="no version is loaded"), server.pin():
        pass
    with pytest.raises(NotServingError, match="no previous"):
        server.rollback()
    done = server.swap("v1")
    assert (done.before, done.load_s > 0, done.test_s > 0) == (None, True, True)
    with pytest.raises(NotServingError, match="no previous"):
        server.rollback()


def wrong_masks(version: str) -> Loaded:
    engine = constant(version).engine
    return Loaded(engine, constant(f"v{int(version[1:]) + 1}").probes)


def no_probes(version: str) -> Loaded:
    return Loaded(constant(version).engine, ())


def another_version(version: str) -> Loaded:
    return constant("v77")


def no_memory(version: str) -> Loaded:
    raise MemoryError


def no_file(version: str) -> Loaded:
    raise BadInputError(f"{version}.onnx: there is no such file")


class Failing(Constant):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a kernel is missing")


def fails_when_asked(version: str) -> Loaded:
    return Loaded(Engine(version, "torch", Reading(CLASSES, 1, 8), Failing(0)), constant(version).probes)


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (no_file, r"v5\.onnx: there is no such file"),
        (no_memory, "MemoryError"),
        (wrong_masks, "mask pixels differ"),
        (no_probes, "no probe pictures"),
        (another_version, "gave version v77"),
        (fails_when_asked, "a kernel is missing"),
    ],
)
def test_a_version_that_fails_never_serves_and_says_why(load: Callable[[str], Loaded], reason: str) -> None:
    server = Server(lambda version: load(version) if version == "v5" else constant(version))
    with pytest.raises(SwapError, match=f"version v5 does not serve: .*{reason}"):
        server.swap("v5")  # also as the very first
    assert server.status().version is None
    server.swap("v1")
    server.swap("v2")
    seen: set[str] = set()

    def ask() -> None:
        with server.pin() as engine:
            seen.add(engine.version)
            assert (mask_of(engine.predict(PICTURES[0])) == 2).all()

    with running(ask, ask):
        for _ in range(3):
            with pytest.raises(SwapError, match=reason) as error:
                server.swap("v5")
    assert error.value.version == "v5"
    assert seen == {"v2"}
    status = server.status()
    assert (status.version, status.previous, status.failed, status.loading) == ("v2", "v1", "v5", None)
    assert status.reason is not None
    server.swap("v3")
    assert server.status().failed is None


def test_rollback_loads_nothing_and_can_be_undone() -> None:
    asked: list[str] = []

    def load(version: str) -> Loaded:
        asked.append(version)
        return constant(version)

    server = Server(load)
    server.swap("v1")
    server.swap("v2")
    done = server.rollback()
    assert (done.version, done.before, done.load_s) == ("v1", "v2", 0)
    with server.pin() as engine:
        assert (mask_of(engine.predict(PICTURES[0])) == 1).all()
    assert server.swap("v2").load_s == 0  # swapping to the warm one is the same
    assert server.swap("v2").before == "v2"  # and to the one that serves, nothing at all
    assert asked == ["v1", "v2"]


class Gate:
    """A loader that waits until it is told to go on."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.last: weakref.ref[Engine] | None = None

    def __call__(self, version: str) -> Loaded:
        if version == "v9":
            self.begun.set()
            assert self.go.wait(60)
        given = constant(version)
        self.last = weakref.ref(given.engine)
        return given

    def last_is_gone(self) -> bool:
        return self.last is not None and self.last() is None


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def test_requests_and_rollback_do_not_wait_for_a_load_and_the_later_wish_wins() -> None:
    gate = Gate()
    server = Server(gate)
    server.swap("v1")
    server.swap("v2")
    thread, errors = in_background(lambda: server.swap("v9"))
    assert gate.begun.wait(60)
    assert server.status().loading == "v9"
    with server.pin() as engine:
        assert engine.version == "v2"
    assert server.rollback().version == "v1"
    gate.go.set()
    thread.join(60)
    assert isinstance(errors[0], SwapError)
    assert "rollback" in str(errors[0])
    assert gate.last_is_gone()  # although the error is still held here
    assert (server.status().version, server.status().previous) == ("v1", "v2")


def test_closing_while_loading_ends_cleanly_and_drops_what_comes_late() -> None:
    gate = Gate()
    server = Server(gate)
    server.swap("v1")
    thread, errors = in_background(lambda: server.swap("v9"))
    assert gate.begun.wait(60)
    assert server.close(0)  # does not wait for the load
    with pytest.raises(NotServingError, match="closing"), server.pin():
        pass
    gate.go.set()
    thread.join(60)
    assert isinstance(errors[0], NotServingError)
    assert gate.last_is_gone()
    status = server.status()
    assert (status.version, status.previous, status.loading, status.closed) == (None, None, None, True)
    with pytest.raises(NotServingError):
        server.swap("v2")
    with pytest.raises(NotServingError):
        server.rollback()


def test_closing_lets_requests_under_way_finish() -> None:
    server = Server(constant)
    server.swap("v1")
    begun, go = threading.Event(), threading.Event()
    masks: list[NDArray[np.uint8]] = []

    def ask() -> None:
        with server.pin() as engine:
            begun.set()
            assert go.wait(60)
            masks.append(mask_of(engine.predict(PICTURES[0])))

    thread, errors = in_background(ask)
    assert begun.wait(60)
    assert not server.close(0.01)
    go.set()
    assert server.close(60)
    thread.join(60)
    assert not errors
    assert (masks[0] == 1).all()


def test_loading_and_unloading_from_many_threads_stays_consistent() -> None:
    """Swaps, rollbacks, failing loads and requests all at once; every answer is right for its version."""
    under_way, most = [0], [0]

    def load(version: str) -> Loaded:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.0005)
        under_way[0] -= 1
        return wrong_masks(version) if int(version[1:]) % 5 == 0 else constant(version)

    server = Server(load)
    server.swap("v1")
    draws = [np.random.default_rng(seed) for seed in range(4)]
    counts = [0] * 4
    done = [0, 0, 0]

    def ask(thread: int) -> None:
        with ExitStack() as stack:
            engines = [stack.enter_context(server.pin()) for _ in range(int(draws[thread].integers(1, 4)))]
            for engine in engines:
                number = int(engine.version[1:])
                assert number % 5
                assert (mask_of(engine.predict(picture(1, 4, 4))) == number % 3).all()
        counts[thread] += 1

    def change(thread: int) -> None:
        number = int(draws[thread].integers(1, 40))
        try:
            if number < 8:
                server.rollback()
                done[2] += 1
            else:
                server.swap(f"v{number}")
                done[0] += 1
        except SwapError:
            done[1] += 1
        except NotServingError:
            assert server.status().previous is None

    with running(lambda: ask(0), lambda: ask(1), lambda: change(2), lambda: change(3)):
        eventually(lambda: min(done) > 20 and min(counts[:2]) > 20)
    assert most[0] == 1  # one load at a time
    assert server.drain(10)
    status = server.status()
    assert status.pinned == {}
    assert status.version != status.previous


def test_dropped_versions_are_gone_at_once() -> None:
    alive: list[weakref.ref[Engine]] = []

    def load(version: str) -> Loaded:
        given = wrong_masks(version) if version == "v50" else constant(version)
        alive.append(weakref.ref(given.engine))
        return given

    def living() -> int:
        return sum(ref() is not None for ref in alive)

    server = Server(load)
    gc.disable()  # nothing may depend on the collector
    try:
        for number in range(100):
            if number == 50:
                with pytest.raises(SwapError):
                    server.swap("v50")
            else:
                server.swap(f"v{number}")
            assert living() <= 2, number
        with server.pin():
            server.swap("v101")
            server.swap("v102")
            assert living() == 3
        assert living() == 2
        server.close()
        assert living() == 0
    finally:
        gc.enable()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Heavy(Constant):
    """2 MB of weights, all written to."""

    def __init__(self, kind: int) -> None:
        super().__init__(kind)
        self.weight = torch.nn.Parameter(torch.ones(500_000), requires_grad=False)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident memory from /proc")
def test_memory_after_100_swaps_is_what_it_was() -> None:
    def load(version: str) -> Loaded:
        engine = Engine(version, "torch", Reading(CLASSES, 1, 8), Heavy(int(version[1:]) % 3))
        return Loaded(engine, make_probes(engine, [PICTURES[0]]))

    server = Server(load)

    def ask() -> None:
        with server.pin() as engine:
            engine.predict(PICTURES[0])

    server.swap("v1000")
    with running(ask):
        for number in range(10):
            server.swap(f"v{number}")
        before = resident_bytes()
        for number in range(10, 110):
            server.swap(f"v{number}")
        after = resident_bytes()
    assert after - before < 25e6  # all hundred would be 200 MB


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident memory from /proc")
def test_onnxruntime_gives_its_memory_back(packaged: Packaged) -> None:
    server = Server(lambda version: load_package(packaged[0], version))
    for number in range(5):
        server.swap(f"v{number}")
    with server.pin() as engine:
        session = weakref.ref(engine.network.session)
    del engine
    before = resident_bytes()
    for number in range(5, 45):
        server.swap(f"v{number}")
    assert session() is None
    assert resident_bytes() - before < 20e6
