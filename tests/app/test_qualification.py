"""Qualification sets: numbered per domain, the last one counts."""

from __future__ import annotations

import pytest

from seamwise.app.actor import ForbiddenError
from seamwise.app.app import App
from seamwise.app.qualification import current_sets, freeze_set, list_current
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.database import reading
from seamwise.storage.tables import Snapshot, SnapshotKind
from tests.app.pictures import INSPECTOR, TRAINER, labelled, make_domain


def test_the_last_set_of_each_domain_counts(app: App) -> None:
    for domain, first in (("steel", 0), ("copper", 100)):
        make_domain(app, domain)
        labelled(app, 12, domain, first)
    old = freeze_set(app, TRAINER, "steel", "first")
    copper = freeze_set(app, TRAINER, "copper", "first")
    labelled(app, 12, "steel", 50)
    new = freeze_set(app, TRAINER, "steel", "more welds")
    assert (old.number, copper.number, new.number) == (1, 1, 2)
    with reading(app.database) as session:
        assert [row.id for row in current_sets(session)] == [copper.id, new.id]
        sizes = [session.get_one(Snapshot, row.snapshot_id) for row in (old, new)]
    assert sizes[0].size < sizes[1].size
    assert sizes[0].kind is SnapshotKind.QUALIFICATION
    assert [(row.domain, row.number, row.size) for row in list_current(app, TRAINER)] == [
        ("copper", 1, 3),
        ("steel", 2, sizes[1].size),
    ]


def test_refusals(app: App) -> None:
    make_domain(app)
    with pytest.raises(RefusedError, match="no image on the test side has a mask"):
        freeze_set(app, TRAINER, "steel", "first")
    with pytest.raises(NotFoundError):
        freeze_set(app, TRAINER, "nowhere", "first")
    with pytest.raises(ForbiddenError):
        freeze_set(app, INSPECTOR, "steel", "first")
    with reading(app.database) as session:
        assert session.query(Snapshot).count() == 0
