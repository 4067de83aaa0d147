"""Snapshots: what is in them, that they never change, and the folders written from them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update
from sqlalchemy.exc import DatabaseError

from seamwise.app import images, snapshots
from seamwise.app.actor import SYSTEM
from seamwise.app.annotations import annotate
from seamwise.app.app import App
from seamwise.app.entries import entries
from seamwise.app.images import ImageAbout, receive
from seamwise.app.snapshots import NewSnapshot, create_snapshot, freeze, load_domains, write_domains
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Origin, Side, Snapshot, SnapshotKind
from seamwise.vision.domain import check_domain, read_domain
from seamwise.vision.images import read_image, read_mask
from tests.app.pictures import INSPECTOR, TRAINER, ids, labelled, make_domain, mask, picture

STEEL = NewSnapshot(domains=("steel",))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def frozen(app: App, kind: SnapshotKind = SnapshotKind.TRAINING, since=None, domain_ids=(1,)) -> Snapshot:
    with writing(app.database) as session:
        return freeze(session, kind=kind, domain_ids=domain_ids, actor="key/3", only_new_since=since)


def test_a_snapshot_is_every_image_a_person_labelled(app: App) -> None:
    make_domain(app)
    found = labelled(app, 6)
    bare = receive(app, INSPECTOR, picture(50), ImageAbout(domain="steel"))
    proposed = receive(app, INSPECTOR, picture(51), ImageAbout(domain="steel"))
    annotate(app, INSPECTOR, proposed.id, mask(), None, Origin.MODEL)
    clean = receive(app, INSPECTOR, picture(52), ImageAbout(domain="steel"))
    annotate(app, INSPECTOR, clean.id, None, "background", Origin.DRAWN)
    unclear = receive(app, INSPECTOR, picture(53), ImageAbout(domain="steel"))
    annotate(app, INSPECTOR, unclear.id, None, "crack", Origin.DRAWN)
    deleted = labelled(app, 1, first=54)[0]
    images.delete_image(app, SYSTEM, deleted.id)
    snapshot = create_snapshot(app, TRAINER, STEEL)
    with reading(app.database) as session:
        held = entries(session, snapshot.id)
    assert {entry.image_id for entry in held} == {image.id for image in (*found, clean)}
    assert bare.id not in {entry.image_id for entry in held}
    assert [entry.sha256 for entry in held] == sorted(entry.sha256 for entry in held)
    assert snapshot.size == 7


def test_equal_data_have_equal_digests_whatever_came_first(app: App) -> None:
    make_domain(app)
    make_domain(app, "unused")
    labelled(app, 3)
    first = create_snapshot(app, TRAINER, STEEL)
    assert create_snapshot(app, TRAINER, STEEL).digest == first.digest
    image = labelled(app, 1, first=3)[0]
    assert create_snapshot(app, TRAINER, STEEL).digest != first.digest
    images.delete_image(app, SYSTEM, image.id)
    assert create_snapshot(app, TRAINER, STEEL).digest == first.digest


def test_what_the_digest_is_of(app: App) -> None:
    """The digest is an agreement between databases and versions."""
    make_domain(app)
    found = sorted(labelled(app, 4), key=lambda image: image.sha256)
    masks = {hashlib.sha256(picture(n)).hexdigest(): hashlib.sha256(mask(n)).hexdigest() for n in range(4)}
    text = "".join(f"{image.sha256} {masks[image.sha256]} {image.side} steel\n" for image in found)
    assert create_snapshot(app, TRAINER, STEEL).digest == hashlib.sha256(text.encode()).hexdigest()


def test_a_snapshot_never_changes(app: App) -> None:
    make_domain(app)
    image = labelled(app, 1)[0]
    snapshot = create_snapshot(app, TRAINER, STEEL)
    later = annotate(app, INSPECTOR, image.id, mask(9), None, Origin.DRAWN)
    with reading(app.database) as session:
        assert entries(session, snapshot.id)[0].annotation_id != later.id
    with pytest.raises((RefusedError, DatabaseError)), writing(app.database) as session:
        session.execute(update(Snapshot).values(size=5))


def test_only_what_is_new_since_others(app: App) -> None:
    make_domain(app)
    old = labelled(app, 3)
    first = frozen(app)
    with pytest.raises(RefusedError, match="no image has a new mask"):
        frozen(app, since=first.id)
    new = labelled(app, 2, first=10)
    corrected = annotate(app, INSPECTOR, old[0].id, mask(7), None, Origin.DRAWN)
    second = frozen(app, since=first.id)
    with reading(app.database) as session:
        held = entries(session, second.id)
    assert {entry.image_id for entry in held} == {old[0].id, *(image.id for image in new)}
    assert corrected.id in {entry.annotation_id for entry in held}
    labelled(app, 1, first=20)
    assert frozen(app, since=[second.id, first.id]).size == 1


def test_a_qualification_snapshot_is_the_test_side(app: App) -> None:
    make_domain(app)
    found = labelled(app, 12)
    snapshot = frozen(app, SnapshotKind.QUALIFICATION)
    with reading(app.database) as session:
        held = entries(session, snapshot.id)
    assert {entry.image_id for entry in held} == {image.id for image in found if image.side is Side.TEST}
    assert {entry.side for entry in held} == {Side.TEST}


def test_a_domain_comes_back_as_a_folder(app: App, tmp_path: Path) -> None:
    make_domain(app, ignore=255, pitch_mm=0.05)
    found = labelled(app, 12, weld="weld-{}")
    clean = receive(app, INSPECTOR, picture(52), ImageAbout(domain="steel", weld="weld-0"))
    annotate(app, INSPECTOR, clean.id, None, "background", Origin.DRAWN)
    snapshot = create_snapshot(app, TRAINER, STEEL)
    (root,) = write_domains(app, snapshot.id, tmp_path / "a")
    domain = read_domain(root)
    assert check_domain(domain) == []
    assert (domain.name, domain.classes, domain.ignore, domain.pitch_mm) == (
        "steel",
        ("background", "crack"),
        255,
        0.05,
    )
    assert domain.warnings == ()
    sides = {image.sha256[:16]: image.side for image in (*found, clean)}
    assert {s.stem: side for side, samples in domain.samples.items() for s in samples} == sides
    sample = next(s for samples in domain.samples.values() for s in samples if s.stem == found[3].sha256[:16])
    assert (sample.image.read_bytes(), sample.group) == (picture(3), "weld-3")
    assert np.array_equal(read_mask(sample.mask, 2, 255), ids(3))
    empty = next(s for samples in domain.samples.values() for s in samples if s.stem == clean.sha256[:16])
    assert not read_mask(empty.mask, 2, 255).any()
    (loaded,) = load_domains(app, snapshot.id, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert {side: [s.stem for s in samples] for side, samples in loaded.samples.items()} == {
        side: [s.stem for s in samples] for side, samples in domain.samples.items()
    }
    assert {s.group for samples in loaded.samples.values() for s in samples} == {f"weld-{n}" for n in range(12)}


def test_a_set_without_training_pictures_can_be_loaded(app: App, tmp_path: Path) -> None:
    make_domain(app)
    labelled(app, 12)
    (domain,) = load_domains(app, frozen(app, SnapshotKind.QUALIFICATION).id, tmp_path)
    assert [len(domain.samples[side]) for side in ("train", "val", "test")] == [0, 0, 3]
    assert read_image(domain.samples["test"][0].image).pixels.shape == (6, 8, 1)


def test_deleted_images_are_left_out_of_the_folder(app: App, tmp_path: Path) -> None:
    make_domain(app)
    found = labelled(app, 12)
    snapshot = create_snapshot(app, TRAINER, STEEL)
    images.delete_image(app, SYSTEM, found[0].id)
    told: list[tuple[int, int]] = []
    (root,) = write_domains(app, snapshot.id, tmp_path, lambda done, of: told.append((done, of)))
    assert len(list((root / "images").iterdir())) == 11
    assert told[-1] == (11, 11)
    shutil.rmtree(root)


def test_unknown_snapshots(app: App, tmp_path: Path) -> None:
    for number in (0, 1, 2**63):
        with pytest.raises(NotFoundError):
            snapshots.get_snapshot(app, TRAINER, number)
    with pytest.raises(NotFoundError):
        write_domains(app, 1, tmp_path)
    with pytest.raises(NotFoundError):
        create_snapshot(app, TRAINER, NewSnapshot(domains=("nowhere",)))
