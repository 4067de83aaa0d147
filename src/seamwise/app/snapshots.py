"""Snapshots: lists of labelled images that never change, and their way back to folders on disk.

A training snapshot holds the labelled images of all three sides, so that it is a whole set; who trains takes its train
and val. A qualification snapshot holds the test side alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.annotations import mask_file
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.entries import Entry, digest_of, entries, labelled
from seamwise.app.files import fetch
from seamwise.app.images import fetch_picture
from seamwise.app.spec import Name, Spec
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.database import reading, writing
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Domain, Role, Side, Snapshot, SnapshotItem, SnapshotKind
from seamwise.vision import domain as vision
from seamwise.vision.domain_yaml import write_domain_yaml

_BATCH = 1000


class NewSnapshot(Spec):
    """A snapshot to be made of what is labelled in these domains now."""

    domains: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]


def create_snapshot(app: App, actor: Actor, spec: NewSnapshot) -> Snapshot:
    """Freezes what is labelled in these domains now, for training or for export."""
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        numbers = [find_domain(session, name).id for name in spec.domains]
        return freeze(session, kind=SnapshotKind.TRAINING, domain_ids=numbers, actor=actor.name)


def freeze(
    session: Session,
    *,
    kind: SnapshotKind,
    domain_ids: Sequence[int],
    actor: str,
    only_new_since: Sequence[int] | int | None = None,
) -> Snapshot:
    """Makes a snapshot of the domains' images with their last trusted annotation, within a transaction.

    only_new_since: snapshots whose annotations are left out: give those of all ancestors of a model, and what is left
    is what was reviewed since. Raises RefusedError when nothing is left.
    """
    if not domain_ids:
        raise BadInputError("a snapshot needs at least one domain")
    since = [only_new_since] if isinstance(only_new_since, int) else sorted(only_new_since or ())
    domains = {number: session.get_one(Domain, number) for number in sorted(set(domain_ids))}
    names = sorted(domain.name for domain in domains.values())
    side = Side.TEST if kind is SnapshotKind.QUALIFICATION else None
    found = list(labelled(session, domains, side, since))
    if not found:
        where = " on the test side" if side else ""
        raise RefusedError(f"{', '.join(names)}: no image{where} has a{' new' if since else ''} mask; annotate some")
    snapshot = Snapshot(
        kind=kind,
        digest=digest_of(found, domains),
        size=len(found),
        spec={"domains": names, "since": since},
        created_by=actor,
    )
    session.add(snapshot)
    session.flush()
    _add_items(session, snapshot.id, found)
    record(session, actor, "snapshot.create", f"snapshot/{snapshot.id}", {"kind": kind, "size": len(found)})
    return snapshot


def _add_items(session: Session, snapshot_id: int, found: Sequence[Entry]) -> None:
    rows = [
        {
            "snapshot_id": snapshot_id,
            "position": position,
            "image_id": entry.image_id,
            "annotation_id": entry.annotation_id,
            "side": entry.side,
        }
        for position, entry in enumerate(found)
    ]
    for start in range(0, len(rows), _BATCH):
        session.execute(insert(SnapshotItem), rows[start : start + _BATCH])


def find_snapshot(session: Session, snapshot_id: int) -> Snapshot:
    """The snapshot of a number, within a transaction; NotFoundError when there is none."""
    snapshot = session.get(Snapshot, snapshot_id) if 0 < snapshot_id <= LARGEST_ID else None
    if snapshot is None:
        raise NotFoundError(f"snapshot {snapshot_id}: there is none of this number")
    return snapshot


def get_snapshot(app: App, actor: Actor, snapshot_id: int) -> Snapshot:
    """One snapshot."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return find_snapshot(session, snapshot_id)


def list_snapshots(
    app: App, actor: Actor, *, kind: SnapshotKind | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Snapshot]:
    """A page of snapshots, newest first."""
    require(actor, Role.VIEWER)
    rows = select(Snapshot) if kind is None else select(Snapshot).where(Snapshot.kind == kind)
    with reading(app.database) as session:
        return page(session, rows, Snapshot.id, cursor=cursor, limit=limit)


def write_domains(
    app: App, snapshot_id: int, folder: Path, written: Callable[[int, int], None] = lambda done, of: None
) -> list[Path]:
    """Writes each domain of a snapshot as a folder that `vision.domain.read_domain` reads; their paths, by name.

    Files are named by the images' hashes; images deleted since are left out. The same snapshot gives the same files.
    written: told after each image how many are there. `read_domain` refuses a set without pictures for training or
    for test, as a qualification's is: `load_domains` does not.
    """
    return [domain.root for domain in load_domains(app, snapshot_id, folder, written)]


def load_domains(
    app: App, snapshot_id: int, folder: Path, written: Callable[[int, int], None] = lambda done, of: None
) -> list[vision.Domain]:
    """Writes the folders of `write_domains` and gives the domains in them; any side may be empty."""
    with reading(app.database) as session:
        find_snapshot(session, snapshot_id)
        found = entries(session, snapshot_id)
        rows = {number: session.get_one(Domain, number) for number in {entry.domain_id for entry in found}}
    loaded = []
    done = 0
    for row in sorted(rows.values(), key=lambda row: row.name):
        samples: dict[str, list[vision.Sample]] = {side: [] for side in vision.SPLITS}
        root = folder / row.name
        for part in ("images", "masks"):
            (root / part).mkdir(parents=True, exist_ok=True)
        for entry in (entry for entry in found if entry.domain_id == row.id):
            image = fetch_picture(app, entry.sha256, root / "images", entry.stem)
            mask = _write_mask(app, entry, root / "masks" / f"{entry.stem}.png")
            samples[entry.side].append(vision.Sample(entry.stem, image, mask, entry.group))
            done += 1
            written(done, len(found))
        loaded.append(_described(row, root, samples))
    return loaded


def _write_mask(app: App, entry: Entry, path: Path) -> Path:
    if entry.mask_sha256 is None:
        path.write_bytes(mask_file(np.zeros((entry.height, entry.width), np.uint8)))
    else:
        fetch(app, entry.mask_sha256, path)
    return path


def _described(row: Domain, root: Path, samples: dict[str, list[vision.Sample]]) -> vision.Domain:
    table = io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(("stem", "group"))
    for side, of_side in samples.items():
        (root / f"{side}.txt").write_text("".join(f"{sample.stem}\n" for sample in of_side))
        lines.writerows((sample.stem, sample.group) for sample in of_side)
    (root / "index.csv").write_text(table.getvalue(), "utf-8")
    write_domain_yaml(
        root, name=row.name, modality=row.modality, classes=row.classes, ignore=row.ignore, pitch_mm=row.pitch_mm
    )
    return vision.Domain(
        name=row.name,
        root=root,
        modality=row.modality,
        classes=tuple(row.classes),
        ignore=row.ignore,
        pitch_mm=row.pitch_mm,
        samples={side: tuple(of_side) for side, of_side in samples.items()},
    )
