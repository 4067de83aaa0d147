"""Imports of every format, into rows that do not depend on how often the job was begun."""

from __future__ import annotations

import base64
import io
import json
import shutil
import zipfile
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.annotations import annotate
from seamwise.app.app import App
from seamwise.app.entries import entries
from seamwise.app.exports import NewExport, find_export, start_export
from seamwise.app.files import fetch_bytes, shelf
from seamwise.app.images import ImageAbout, delete_image, receive
from seamwise.app.imports import ImportSpec, start_import
from seamwise.app.snapshots import NewSnapshot, create_snapshot
from seamwise.app.uploads import AboutUpload, add_pieces, create_upload, sweep
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.object_store import read_whole
from seamwise.storage.tables import Annotation, AuditEvent, Image, Job, JobState, Origin, Side, Upload
from seamwise.vision.domain import write_domain_yaml
from seamwise.vision.images import read_mask, write_image
from tests.app.hostile import zipped
from tests.app.jobs import work
from tests.app.pictures import TRAINER, ids, labelled, make_domain, mask, picture


@pytest.fixture
def app(make_app: Any, tmp_path: Path) -> App:
    return make_app(import_folders=(str(tmp_path),))


CLASSES = ("background", "crack", "pore")


def folder_set(root: Path, count: int = 4, classes: tuple[str, ...] = CLASSES) -> Path:
    """A domain's folder with lists, groups and a picture without a mask."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for number in range(count):
        (root / "images" / f"film_{number}.png").write_bytes(picture(number))
        (root / "masks" / f"film_{number}.png").write_bytes(mask(number, len(classes)))
    (root / "images" / "bare.png").write_bytes(picture(99))
    (root / "test.txt").write_text("film_0\n")
    (root / "train.txt").write_text("".join(f"film_{number}\n" for number in range(1, count)))
    (root / "index.csv").write_text("stem,group\n" + "".join(f"film_{n},weld {n}\n" for n in range(count)))
    write_domain_yaml(root, name="mine", modality="x", classes=classes, ignore=255)
    return root


def imported(app: App, path: Path, **spec: Any) -> Job:
    start_import(app, TRAINER, ImportSpec(domain="steel", path=str(path), **spec))
    return work(app)


def masks_of(app: App) -> dict[str, bytes | None]:
    """The last mask of each image by the image's hash."""
    with reading(app.database) as session:
        rows = session.query(Image, Annotation).outerjoin(Annotation, Annotation.image_id == Image.id)
        found = [(image.sha256, said and said.mask_sha256) for image, said in rows.order_by(Annotation.number)]
    return {image: fetch_bytes(app, sha256) if sha256 else None for image, sha256 in found}


def test_a_folder(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    job = imported(app, root)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result == {"images": 5, "known": 0, "elsewhere": 0, "repeated": 0, "masks": 4, "moved": 0}
    with reading(app.database) as session:
        films = {image.filename: image for image in session.query(Image)}
        drawn = session.query(Annotation).all()
        actors = {event.actor for event in session.query(AuditEvent)}
    assert {name: films[name].side for name in ("film_0.png", "film_1.png")} == {
        "film_0.png": Side.TEST,
        "film_1.png": Side.TRAIN,
    }
    assert (films["film_2.png"].weld, films["bare.png"].weld, films["film_2.png"].modality) == (
        "weld 2",
        None,
        "radiography",
    )
    assert {(said.origin, said.made_by, said.number) for said in drawn} == {(Origin.DRAWN, TRAINER.name, 1)}
    assert masks_of(app)[films["film_3.png"].sha256] == mask(3, 3)
    assert TRAINER.name in actors
    assert (root / "images" / "film_0.png").exists(), "the set itself is left as it is"


def test_classes_are_matched_by_name(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=("ground", "pore", "slag", "crack"), ignore=200)
    job = imported(app, folder_set(tmp_path / "set"))
    assert job.state is JobState.SUCCEEDED, job.error
    table = np.zeros(256, np.uint8)
    table[[0, 1, 2]] = [0, 3, 1]
    with reading(app.database) as session:
        film = session.query(Image).filter_by(filename="film_1.png").one()
    path = tmp_path / "mask.png"
    path.write_bytes(masks_of(app)[film.sha256] or b"")
    assert np.array_equal(read_mask(path, 4, 200), table[ids(1, 3)])


def test_an_import_done_again_adds_nothing_and_overrules_nobody(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    imported(app, root)
    with reading(app.database) as session:
        film = session.query(Image).filter_by(filename="film_1.png").one()
    annotate(app, TRAINER, film.id, mask(50, 3), None, Origin.DRAWN)
    job = imported(app, root)
    assert job.result == {"images": 0, "known": 5, "elsewhere": 0, "repeated": 0, "masks": 0, "moved": 0}
    assert masks_of(app)[film.sha256] == mask(50, 3)


def test_pictures_of_other_domains_are_left_alone(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    make_domain(app, "copper")
    labelled(app, 1, "copper")
    job = imported(app, folder_set(tmp_path / "set"))
    assert job.result == {"images": 4, "known": 1, "elsewhere": 1, "repeated": 0, "masks": 3, "moved": 0}


def test_a_weld_keeps_its_side_whatever_the_lists_say(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    imported(app, root)
    other = folder_set(tmp_path / "more")
    for number in range(4):
        (other / "images" / f"film_{number}.png").write_bytes(picture(number + 100))
    (other / "test.txt").write_text("film_1\n")
    (other / "train.txt").write_text("film_0\nfilm_2\nfilm_3\n")
    job = imported(app, other)
    assert job.result is not None
    assert job.result["moved"] == 2
    with reading(app.database) as session:
        sides = {(image.weld, image.side) for image in session.query(Image).filter(Image.weld.is_not(None))}
    assert sides == {("weld 0", Side.TEST), *((f"weld {n}", Side.TRAIN) for n in (1, 2, 3))}


def test_a_picture_twice_in_a_set_counts_once(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    shutil.copy(root / "images" / "film_1.png", root / "images" / "film_9.png")
    job = imported(app, root)
    assert job.result is not None
    assert (job.result["images"], job.result["repeated"]) == (5, 1)


def test_bare_pictures(app: App, tmp_path: Path) -> None:
    make_domain(app)
    (tmp_path / "set" / "monday").mkdir(parents=True)
    (tmp_path / "set" / "a.png").write_bytes(picture(1))
    (tmp_path / "set" / "monday" / "a.png").write_bytes(picture(2))
    (tmp_path / "set" / "notes.txt").write_text("x")
    job = imported(app, tmp_path / "set")
    assert job.result is not None, job.error
    assert (job.result["images"], job.result["masks"]) == (2, 0)


def test_links_in_a_folder_of_the_server(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    (tmp_path / "secret.png").write_bytes(picture(77))
    (root / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    job = imported(app, root)
    assert job.state is JobState.FAILED
    assert "images/link.png" in str(job.error)


def test_a_stop_comes_before_anything_is_kept(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    start_import(app, TRAINER, ImportSpec(domain="steel", path=str(folder_set(tmp_path / "set"))))
    stop = Event()
    stop.set()
    assert "left for another worker" in str(work(app, stop=stop).error)
    with reading(app.database) as session:
        assert session.query(Image).count() == 0


def test_a_picture_that_was_deleted_ends_an_import_before_anything_is_kept(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seamwise.app.intake._BATCH", 1)
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    image = receive(app, TRAINER, root / "images" / "film_2.png", ImageAbout(domain="steel"))
    delete_image(app, SYSTEM, image.id)
    job = imported(app, root)
    assert job.state is JobState.FAILED
    assert f"images/film_2.png (image {image.id}): deleted here" in str(job.error)
    with reading(app.database) as session:
        assert session.query(Image).count() == 1
    (root / "images" / "film_2.png").unlink()
    (root / "masks" / "film_2.png").unlink()
    (root / "train.txt").unlink()
    assert imported(app, root).state is JobState.SUCCEEDED


@pytest.mark.parametrize("group", ["w" * 501, "w\0"])
def test_a_group_that_no_picture_can_have(app: App, tmp_path: Path, group: str) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    (root / "index.csv").write_text(f"stem,group\nfilm_3,{group}\n")
    job = imported(app, root)
    assert job.state is JobState.FAILED
    assert "images/film_3.png: " in str(job.error)
    assert "group" in str(job.error)
    with reading(app.database) as session:
        assert session.query(Image).count() == 0


def test_the_set_tells_the_size_of_a_pixel(app: App, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set")
    write_domain_yaml(root, name="mine", modality="x", classes=CLASSES, ignore=255, pitch_mm=0.05)
    imported(app, root)
    with reading(app.database) as session:
        assert {image.pitch_mm for image in session.query(Image)} == {0.05}


# --- there and back


@pytest.mark.parametrize("layout", ["folder", "coco", "labelme"])
def test_an_export_comes_back_as_the_same_set(app: App, layout: str, make_app: Any, tmp_path: Path) -> None:
    make_domain(app, classes=CLASSES, ignore=255)
    root = folder_set(tmp_path / "set", 6)
    with_ignored = ids(3, 3)
    with_ignored[0, :3] = 255
    write_image(root / "masks" / "film_3.png", with_ignored)
    imported(app, root)
    snapshot = create_snapshot(app, TRAINER, NewSnapshot(domains=("steel",)))
    archives = []
    for _ in range(2):
        start = start_export(app, TRAINER, snapshot.id, NewExport(format=layout))
        assert work(app).state is JobState.SUCCEEDED
        archives.append(read_whole(app.objects, find_export(app, TRAINER, snapshot.id, start.id)))
    assert archives[0] == archives[1], "the same snapshot gives the same archive"
    data = archives[0]
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    if layout != "folder":  # what is read is the other tool's file, not ours beside it
        members = zipfile.ZipFile(io.BytesIO(data))
        data = zipped(
            {name: members.read(name) for name in names if "masks/" not in name and "domain.yaml" not in name}
        )
    other = make_app(import_folders=(str(tmp_path),))
    make_domain(other, classes=("background", "pore", "crack"), ignore=255)
    set_path = other.settings.data / "set"
    zipfile.ZipFile(io.BytesIO(data)).extractall(set_path)
    start_import(other, TRAINER, ImportSpec(domain="steel", path=str(set_path)))
    job = work(other)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result is not None
    assert job.result["masks"] == 6
    swap = np.arange(256, dtype=np.uint8)
    swap[[1, 2]] = [2, 1]
    here, there = masks_of(app), masks_of(other)
    assert there.keys() == {sha256 for sha256, said in here.items() if said}
    for sha256, said in there.items():
        (tmp_path / "a.png").write_bytes(here[sha256] or b"")
        (tmp_path / "b.png").write_bytes(said or b"")
        assert np.array_equal(swap[read_mask(tmp_path / "a.png", 3, 255)], read_mask(tmp_path / "b.png", 3, 255))
    if layout != "labelme":  # which has no place for lists
        again = create_snapshot(other, TRAINER, NewSnapshot(domains=("steel",)))
        sides = [_sides(one, number) for one, number in ((app, snapshot.id), (other, again.id))]
        assert sides[0] == sides[1]


def _sides(app: App, snapshot_id: int) -> list[tuple[str, Side, str]]:
    with reading(app.database) as session:
        return [(entry.sha256, entry.side, entry.group) for entry in entries(session, snapshot_id)]


def test_exports_that_are_none(app: App) -> None:
    make_domain(app)
    labelled(app, 2)
    snapshot = create_snapshot(app, TRAINER, NewSnapshot(domains=("steel",)))
    job = start_export(app, TRAINER, snapshot.id, NewExport())
    with pytest.raises(RefusedError, match="is queued"):
        find_export(app, TRAINER, snapshot.id, job.id)
    for numbers in ((snapshot.id + 1, job.id), (snapshot.id, job.id + 1)):
        with pytest.raises(NotFoundError):
            find_export(app, TRAINER, *numbers)
    with pytest.raises(NotFoundError):
        start_export(app, TRAINER, 99, NewExport())


def packed(app: App) -> tuple[int, Job]:
    """A snapshot's number, and the job that exported it."""
    make_domain(app)
    labelled(app, 2)
    snapshot = create_snapshot(app, TRAINER, NewSnapshot(domains=("steel",)))
    start_export(app, TRAINER, snapshot.id, NewExport())
    return snapshot.id, work(app)


def past_its_time(app: App, job: Job) -> None:
    with writing(app.database) as session:
        session.query(Upload).filter_by(job_id=job.id).update({"expires_at": utc_now() - timedelta(seconds=1)})


def test_an_archive_is_kept_for_a_week(app: App) -> None:
    number, job = packed(app)
    before = {found.key for found in app.objects.listed()}
    stored = find_export(app, TRAINER, number, job.id)
    with reading(app.database) as session:
        kept = session.query(Upload).one().expires_at - utc_now()
    assert timedelta(days=6.9) < kept <= timedelta(days=7)
    past_its_time(app, job)
    with pytest.raises(NotFoundError, match=rf"after 7 days; export snapshot {number} again"):
        find_export(app, TRAINER, number, job.id)
    again = start_export(app, TRAINER, number, NewExport())  # sweeps
    assert {found.key for found in app.objects.listed()} == before - {stored.key}
    assert work(app).state is JobState.SUCCEEDED
    assert find_export(app, TRAINER, number, again.id).sha256 == stored.sha256
    with pytest.raises(NotFoundError, match="export snapshot"):
        find_export(app, TRAINER, number, job.id)


def test_equal_archives_are_kept_each_for_its_own_time(app: App) -> None:
    number, first = packed(app)
    start_export(app, TRAINER, number, NewExport())
    second = work(app)
    past_its_time(app, first)
    assert sweep(app) == 1
    assert read_whole(app.objects, find_export(app, TRAINER, number, second.id))


def test_a_long_table_of_contents_is_left_to_the_job(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    make_domain(app)
    data = zipped({"../evil.png": picture()})
    upload = create_upload(app, TRAINER, len(data), AboutUpload()).upload
    with shelf(app) as objects:
        add_pieces(app, TRAINER, objects, upload.id, 0, [objects.put([data])])
    work(app)
    spec = ImportSpec(domain="steel", upload=upload.id)
    with pytest.raises(BadInputError, match="leads elsewhere"):
        start_import(app, TRAINER, spec)
    monkeypatch.setattr("seamwise.app.imports._SHORT", 10)
    start_import(app, TRAINER, spec)
    assert "leads elsewhere" in str(work(app).error)


def test_an_archive_outlives_its_own_import(app: App) -> None:
    """Sent back to where it was made, it shares its bytes with the upload, which the import uses up."""
    number, job = packed(app)
    data = read_whole(app.objects, find_export(app, TRAINER, number, job.id))
    upload = create_upload(app, TRAINER, len(data), AboutUpload(domain="steel")).upload
    with shelf(app) as objects:
        add_pieces(app, TRAINER, objects, upload.id, 0, [objects.put([data])])
    for _ in ("put together", "imported"):
        done = work(app)
        assert done.state is JobState.SUCCEEDED, done.error
    assert read_whole(app.objects, find_export(app, TRAINER, number, job.id)) == data


# --- what other tools write


def test_coco_of_other_tools(app: App, tmp_path: Path) -> None:
    make_domain(app)
    root = tmp_path / "set"
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    for number in (1, 2, 3):
        (root / "images" / f"{number}.png").write_bytes(picture(number))
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 8, "height": 6} for n in (1, 2, 3)],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 7,
                "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3], [6, 4, 8, 4, 8, 6, 6, 6]],
            },
            {
                "id": 2,
                "image_id": 2,
                "category_id": 7,
                "segmentation": {"size": [6, 8], "counts": "`02n0"},
                "iscrowd": 1,
            },
        ],
        "categories": [{"id": 7, "name": "crack", "supercategory": "flaw"}],
    }
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    job = imported(app, root)
    assert job.state is JobState.SUCCEEDED, job.error
    with reading(app.database) as session:
        films = {image.filename: image for image in session.query(Image)}
    assert {image.side for image in films.values()} == {Side.VAL}
    expected = {name: np.zeros((6, 8), np.uint8) for name in films}
    expected["1.png"][1:3, 1:4] = 1
    expected["1.png"][4:6, 6:8] = 1
    expected["2.png"][4:6, 2] = 1  # 16 pixels down the columns, then 2
    for name, image in films.items():
        path = tmp_path / "mask.png"
        path.write_bytes(masks_of(app)[image.sha256] or b"")
        assert np.array_equal(read_mask(path, 2), expected[name]), name


def test_labelme_of_the_tool_itself(app: App, tmp_path: Path) -> None:
    make_domain(app)
    root = tmp_path / "set"
    root.mkdir()
    shapes = [
        {"label": "crack", "points": [[1, 1], [4, 3]], "shape_type": "rectangle", "group_id": None, "flags": {}},
        {"label": "crack", "points": [[6.5, 4.5], [6.5, 5.2]], "shape_type": "circle"},
    ]
    within = base64.b64encode(picture(5)).decode()
    content = {"version": "5.2.1", "flags": {}, "shapes": shapes, "imageHeight": 6, "imageWidth": 8}
    (root / "one.json").write_text(json.dumps(content | {"imagePath": "..\\films\\one.png", "imageData": within}))
    (root / "two.png").write_bytes(picture(6))
    (root / "two.json").write_text(json.dumps(content | {"imagePath": "two.png", "imageData": None}))
    job = imported(app, root)
    assert job.state is JobState.SUCCEEDED, job.error
    expected = np.zeros((6, 8), np.uint8)
    expected[1:3, 1:4] = 1
    expected[4, 6] = 1
    found = masks_of(app)
    assert len(found) == 2
    for said in found.values():
        (tmp_path / "mask.png").write_bytes(said or b"")
        assert np.array_equal(read_mask(tmp_path / "mask.png", 2), expected)
    assert sorted(path.name for path in root.iterdir()) == ["one.json", "two.json", "two.png"]
