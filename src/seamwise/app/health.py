"""Whether the service can do its work, and what tells one that works from one that only runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.errors import NotFoundError, SeamwiseError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading
from seamwise.storage.object_store import new_key
from seamwise.storage.tables import Job, JobState, Role
from seamwise.tasks.lists import SignsOfLife, signs_of_life

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gauges:
    """What the jobs table shows. jobs: how many by state. The ages are seconds; None: no such job."""

    jobs: dict[str, int]
    oldest_queued_s: float | None
    heartbeat_age_s: float | None


@dataclass(frozen=True)
class Readiness:
    """database, objects: "ok", or what is wrong. status: ready; late: jobs wait too long; away: a store is.

    A service that is late still answers all requests: only one that is away should get none.
    """

    status: str
    database: str
    objects: str
    oldest_queued_s: float | None
    heartbeat_age_s: float | None


def look_ready(app: App) -> Readiness:
    """Asks the database and the object store; names no secret, as everyone may ask."""
    database, signs = "ok", SignsOfLife(None, None)
    try:
        with reading(app.database) as session:
            signs = signs_of_life(session)
    except SeamwiseError:
        database = "does not answer"
    objects = _look_at_objects(app)
    waited, age = _age(signs.oldest_queued_at), _age(signs.last_heartbeat_at)
    if (database, objects) != ("ok", "ok"):
        return Readiness("away", database, objects, waited, age)
    late = waited is not None and waited > app.settings.patience_s
    return Readiness("late" if late else "ready", database, objects, waited, age)


def read_gauges(app: App, actor: Actor) -> Gauges:
    """What the jobs table shows now."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        counted = session.execute(select(Job.state, func.count()).group_by(Job.state)).all()
        signs = signs_of_life(session)
    jobs = {state.value: 0 for state in JobState} | {state.value: count for state, count in counted}
    return Gauges(jobs, _age(signs.oldest_queued_at), _age(signs.last_heartbeat_at))


def _look_at_objects(app: App) -> str:
    try:
        app.objects.read_range(new_key(), 0, 1)
    except NotFoundError:  # it looked, and there is nothing of this name
        return "ok"
    except SeamwiseError as error:
        LOG.warning("the object store: %s", error)  # who may ask for readiness is not told where things are
        return "does not answer"
    return "ok"


def _age(time: datetime | None) -> float | None:
    return None if time is None else max(0.0, round((utc_now() - time).total_seconds(), 3))
