"""Runs the application under uvicorn, and says when it answers."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import uvicorn
from fastapi import FastAPI

from seamwise.errors import SeamwiseError

LAST_ANSWERS_S = 10  # how long requests under way may take once the service is to stop


def run(api: FastAPI, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until a signal asks for the end. ready: called with the address once requests are answered.

    Raises SeamwiseError when the address is taken or not of this machine.
    """
    with closing(listen(host, port)) as taken, _signals_ignored():
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{taken.getsockname()[1]}/api/v1"
        config = uvicorn.Config(
            api,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_ANSWERS_S,
            h11_max_incomplete_event_size=64 << 10,
        )
        _Server(config, lambda: ready(address), api).run(sockets=[taken])


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """uvicorn catches signals, and raises them again when it has ended; what follows the service must still happen."""
    before = {name: signal.signal(name, lambda *_: None) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], api: FastAPI) -> None:
        super().__init__(config)
        self._ready, self._api = ready, api

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._api.state.closing.set()  # streams of events would go on for ever
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; SeamwiseError when the address is taken or not of this machine."""
    taken = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With its protocol: asyncio sends small parts at once (TCP_NODELAY) only where it is told that this is TCP;
        # otherwise each answer waits 40 ms for the other side's acknowledgement.
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        if taken:
            taken.close()
        raise SeamwiseError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another with --port or --host"
        ) from error
    return taken
