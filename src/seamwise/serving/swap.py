"""One version at a time behind one reference, exchanged while requests are answered."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Lock

from seamwise.errors import SeamwiseError
from seamwise.serving.engine import Engine
from seamwise.serving.memory import give_back
from seamwise.serving.package import Loaded
from seamwise.serving.probes import SelfTestError, self_test

LOG = logging.getLogger(__name__)

# Gives the named version, from wherever versions are kept; may raise whatever it likes and take as long.
Loader = Callable[[str], Loaded]


class NotServingError(SeamwiseError):
    """There is no version to answer with: none was loaded yet, or the server is closed."""


class SwapError(SeamwiseError):
    """A version that does not serve, and why; what served before still does. version: its name."""

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(f"version {version} does not serve: {reason}")
        self.version, self.reason = version, reason


@dataclass(frozen=True)
class Swap:
    """What a swap did. before: the version that served until then. load_s, test_s: 0 where it was still warm."""

    version: str
    before: str | None
    load_s: float = 0.0
    test_s: float = 0.0


@dataclass(frozen=True)
class Status:
    """What a server holds at one moment.

    version: answers now. previous: kept warm. loading: being loaded or tested. pinned: requests under way by version;
    a version that is neither current nor previous is gone when they end. failed, reason: the last swap, if it failed.
    """

    version: str | None
    previous: str | None
    loading: str | None
    pinned: Mapping[str, int]
    failed: str | None
    reason: str | None
    closed: bool


@dataclass(eq=False)
class _Held:
    """An engine and how many requests are under way on it."""

    engine: Engine
    pins: int = 0


class Server:
    """Answers with one version and swaps it for another without a gap.

    Safe to use from any number of threads. `pin` never waits for a swap. Versions are immutable: a name that is asked
    for again means the same weights.
    """

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._swapping = Lock()  # one swap at a time, however long it takes
        self._changed = Condition()  # guards all below, only ever for a moment
        self._current: _Held | None = None
        self._previous: _Held | None = None
        self._draining: list[_Held] = []
        self._exchanges = 0
        self._loading: str | None = None
        self._failure: tuple[str, str] | None = None
        self._closed = False

    @contextmanager
    def pin(self) -> Iterator[Engine]:
        """The current version for one request, which keeps it to its end whatever is swapped meanwhile.

        Raises NotServingError where there is none.
        """
        with self._changed:
            self._check_open()
            held = self._current
            if held is None:
                raise NotServingError("no version is loaded yet")
            held.pins += 1
        try:
            yield held.engine
        finally:
            with self._changed:
                held.pins -= 1
                self._let_go()

    def swap(self, version: str) -> Swap:
        """Load beside, warm up, self-test, and only then answer with that version; the one before stays warm.

        The version that serves already, or the warm one, is not loaded again. Raises SwapError where anything fails:
        nothing has changed then. Concurrent calls wait for each other. Raises NotServingError when closed meanwhile.
        """
        with self._swapping:
            try:
                return self._swap(version)
            except SwapError as error:
                with self._changed:
                    self._failure = (version, error.reason)
                raise
            finally:
                with self._changed:
                    self._loading = None

    def rollback(self) -> Swap:
        """Answer with the previous version again, at once: it is still loaded. A swap that is loading gives way to it.

        Raises NotServingError where there is none.
        """
        with self._changed:
            self._check_open()
            if self._previous is None:
                raise NotServingError("no previous version is loaded to go back to")
            done = self._exchange()
        LOG.info("version %s serves again, before: %s", done.version, done.before)
        return done

    def status(self) -> Status:
        """What is held, pinned and loading now, and how the last swap failed."""
        with self._changed:
            kept = [held for held in (self._current, self._previous) if held]
            pinned: Counter[str] = Counter()
            for held in (*kept, *self._draining):
                pinned[held.engine.version] += held.pins
            return Status(
                version=self._current.engine.version if self._current else None,
                previous=self._previous.engine.version if self._previous else None,
                loading=self._loading,
                pinned={name: count for name, count in pinned.items() if count},
                failed=self._failure[0] if self._failure else None,
                reason=self._failure[1] if self._failure else None,
                closed=self._closed,
            )

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request is under way on another version than the current one; False when time ran out."""

        def drained() -> bool:
            return not self._draining and not (self._previous and self._previous.pins)

        with self._changed:
            return self._changed.wait_for(drained, timeout_s)

    def close(self, timeout_s: float = 30.0) -> bool:
        """Take no more requests, let those under way finish, and let go of all versions.

        False when requests were still under way after the time; they finish on what they pinned. A version that is
        still loading is dropped when it has loaded.
        """
        with self._changed:
            self._closed = True
            self._draining += [held for held in (self._current, self._previous) if held]
            self._current = self._previous = None
            self._let_go()
            drained = self._changed.wait_for(lambda: not self._draining, timeout_s)
        give_back()
        return drained

    def _swap(self, version: str) -> Swap:
        with self._changed:
            self._check_open()
            if self._current and self._current.engine.version == version:
                self._failure = None
                return Swap(version, version)
            if self._previous and self._previous.engine.version == version:
                return self._exchange()
            exchanges, self._loading = self._exchanges, version
        held, load_s, test_s = self._prepared(version)
        with self._changed:
            before = self._current.engine.version if self._current else None
            superseded = self._exchanges != exchanges
            if not (superseded or self._closed):
                if self._previous:
                    self._draining.append(self._previous)
                self._previous, self._current, self._failure = self._current, held, None
                self._let_go()
        del held  # the traceback of what is raised next would keep it alive
        give_back()
        self._check_open()
        if superseded:
            raise SwapError(version, "a rollback came while it was loading, and it is the later wish")
        LOG.info("version %s serves, before: %s (loaded in %.2f s, tested in %.2f s)", version, before, load_s, test_s)
        return Swap(version, before, load_s, test_s)

    def _prepared(self, version: str) -> tuple[_Held, float, float]:
        try:
            return self._tested(version)
        except Exception as error:  # a loader may fail in any way; nothing of it may reach the requests
            reason = str(error) or type(error).__name__
            LOG.warning("version %s does not serve: %s", version, reason, exc_info=not isinstance(error, SeamwiseError))
        # outside of `except`: the first error's traceback holds the engine, and would for as long as anyone keeps it
        give_back()
        raise SwapError(version, reason)

    def _tested(self, version: str) -> tuple[_Held, float, float]:
        """The version loaded, warm and tested, and the seconds of loading and of testing."""
        start = time.monotonic()
        loaded = self._load(version)
        middle = time.monotonic()
        if loaded.engine.version != version:
            raise SelfTestError(f"the loader gave version {loaded.engine.version} instead")
        loaded.engine.warm_up()  # before the test, so that the test meets what requests will meet
        self_test(loaded.engine, loaded.probes)
        return _Held(loaded.engine), middle - start, time.monotonic() - middle

    def _exchange(self) -> Swap:
        """Current and previous change places; under `_changed`."""
        assert self._current is not None
        assert self._previous is not None
        self._current, self._previous = self._previous, self._current
        self._exchanges += 1
        self._failure = None
        return Swap(self._current.engine.version, self._previous.engine.version)

    def _let_go(self) -> None:
        """Forget versions whose last request has ended; under `_changed`."""
        self._draining = [held for held in self._draining if held.pins]
        self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise NotServingError("the service is closing")
