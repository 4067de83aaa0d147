"""Scrubbing: reading every stored object again, to find what is damaged before it is needed."""

from __future__ import annotations

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.spec import Spec
from seamwise.storage.database import writing
from seamwise.storage.idempotency import Request
from seamwise.storage.tables import Job, Role
from seamwise.tasks.enqueue import NewJob, enqueue


class NewScrub(Spec):
    """A scrub to be run. collect: whether to delete leftovers too, bytes of broken-off work that no record names."""

    collect: bool = False


def start_scrub(app: App, actor: Actor, spec: NewScrub, request: Request | None = None) -> Job:
    """Queues a job that compares every object with its hash."""
    require(actor, Role.ADMIN)
    with writing(app.database) as session:
        new = NewJob("scrub", spec.model_dump(mode="json"), priority=200)
        job = enqueue(session, new, actor=actor.name, request=request)
    app.doorbell.ring(job)
    return job
