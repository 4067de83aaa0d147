"""What runs beside the requests of a serving process: it follows an alias, and looks after the data that comes in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import select

from seamwise.app import drift, guessing, newcomers, triggers, waiting
from seamwise.app.aliases import PRODUCTION
from seamwise.app.app import App
from seamwise.app.models import loader
from seamwise.serving import Follower, Server
from seamwise.storage.database import reading
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import Alias, ModelVersion

LOG = logging.getLogger(__name__)
FOLLOW_S = 0.5
LOOK_S = 5.0


def open_server(app: App, cache: Path) -> Server:
    """A server without a version yet. cache: folder of the versions' files, one for each content."""
    cache.mkdir(parents=True, exist_ok=True)
    return Server(loader(app, cache))


class Live:
    """Keeps a server at the version that an alias names, and looks after the data that comes in, until `stop`."""

    def __init__(self, app: App, server: Server, alias: str = PRODUCTION, interval_s: float = FOLLOW_S) -> None:
        self.follower = Follower(server, poll_of(app, alias), interval_s)
        self.keeper = Keeper(app)

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Ends both threads; False when one was still at something after that time."""
        kept, followed = self.keeper.stop(timeout_s), self.follower.stop(timeout_s)
        return kept and followed


def start(app: App, server: Server, alias: str = PRODUCTION, interval_s: float = FOLLOW_S) -> Live:
    """Begins to follow an alias and to look after the data, in threads of their own."""
    live = Live(app, server, alias, interval_s)
    live.follower.start()
    live.keeper.start()
    return live


def poll_of(app: App, alias: str) -> Callable[[], tuple[int, str] | None]:
    """Asks the database for the alias's sequence and version; None where nothing was promoted yet."""
    named = (
        select(Alias.sequence, ModelVersion.line, ModelVersion.number)
        .join(ModelVersion, ModelVersion.id == Alias.model_id)
        .where(Alias.name == alias)
    )

    def poll() -> tuple[int, str] | None:
        with reading(app.database) as session:
            row = session.execute(named).one_or_none()
        return None if row is None else (row.sequence, f"{row.line}/{row.number}")

    return poll


class Keeper:
    """A thread that describes new domains, watches for drift, notices newcomers and asks for rounds that are due.

    Any number of processes may run one: what two do at once, one of them does.
    """

    def __init__(self, app: App, interval_s: float = LOOK_S) -> None:
        self.app, self.interval_s = app, interval_s
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="seamwise-keep", daemon=True)

    def start(self) -> Keeper:
        """Begins, in a thread of its own."""
        self._thread.start()
        return self

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Ends the thread; False when it was still at something after that time."""
        self._stopped.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.wait(self.interval_s):
            look_around(self.app)


def look_around(app: App) -> None:
    """Each duty once; one that fails keeps no other from being done."""
    duties: tuple[Callable[[App], object], ...] = (
        guessing.refresh_references,
        waiting.sort_again,
        drift.watch,
        newcomers.notice,
        triggers.look_at_all,
    )
    for duty in duties:
        try:
            duty(app)
        except UnavailableError as error:
            LOG.info("%s waits: %s", duty.__module__, error)
            return
        except Exception:  # a thread that died would watch nothing any more
            LOG.exception("%s failed", duty.__module__)
