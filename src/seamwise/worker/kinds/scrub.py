"""Job kind `scrub`: compares every stored object with its hash."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seamwise.app.scrubs import NewScrub
from seamwise.storage.database import reading
from seamwise.storage.tables import Job, StoredObject
from seamwise.storage.upkeep import collect, scrub
from seamwise.worker.turn import Turn

NAMED = 100  # damaged objects that the result names; the log names all


def work(turn: Turn) -> None:
    """Reads all objects, says which are damaged, and fails nothing for it: what to restore is in the result."""
    spec = NewScrub.model_validate(turn.job.spec)
    with reading(turn.app.database) as session:
        total = session.scalar(select(func.count()).select_from(StoredObject)) or 0
    checked, damaged = 0, []
    for found in scrub(turn.app.database, turn.app.objects):
        turn.give_up_if_stopping()
        checked += 1
        if found.problem:
            damaged.append(found.stored.sha256)
            turn.say(found.problem, "error")
        if checked % 50 == 0:
            turn.progress(min(checked / total, 1.0) if total else 1.0, checked=checked, damaged=len(damaged))
    result: dict[str, Any] = {"checked": checked, "damaged": len(damaged), "objects": damaged[:NAMED]}
    if spec.collect:
        result["collected"] = collect(turn.app.database, turn.app.objects)

    def write(_session: Session, _job: Job) -> dict[str, Any]:
        return result

    turn.finish(write)
