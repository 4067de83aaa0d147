"""Packs a snapshot into a zip archive."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from seamwise.app.exports import keep_archive, lay_out, pack
from seamwise.app.files import shelf
from seamwise.app.snapshots import load_domains
from seamwise.storage.tables import Job
from seamwise.worker.turn import Turn


def work(turn: Turn) -> None:
    """spec: {"snapshot": id, "format": folder|coco|labelme}. result: {"object": sha256, "bytes": n, "images": n}."""
    folder, archive = turn.folder / "set", turn.folder / "set.zip"

    def written(done: int, of: int) -> None:
        turn.give_up_if_stopping()
        if done % max(1, of // 50) == 0:
            turn.progress(0.9 * done / of, images=done)

    domains = load_domains(turn.app, turn.job.spec["snapshot"], folder, written)
    lay_out(domains, turn.job.spec["format"])
    pack(folder, archive)
    turn.progress(0.95)
    images = sum(len(samples) for domain in domains for samples in domain.samples.values())
    with shelf(turn.app) as objects:
        stored = objects.put_file(archive)

        def write(session: Session, job: Job) -> dict[str, Any]:
            objects.commit(session, stored)
            keep_archive(session, job, stored)
            return {"object": stored.sha256, "bytes": stored.size, "images": images}

        turn.finish(write)
