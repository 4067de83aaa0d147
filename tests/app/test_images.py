"""Images: taken in once, sorted, shown, deleted."""

from __future__ import annotations

import pytest

from seamwise.app import images
from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.annotations import annotate
from seamwise.app.app import App
from seamwise.app.images import ImageAbout, receive, receive_all
from seamwise.app.limits import TooLargeError, WrongTypeError
from seamwise.app.splits import side_of
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.database import reading
from seamwise.storage.faults import DamagedError
from seamwise.storage.object_store import read_whole
from seamwise.storage.tables import Annotation, AuditEvent, Image, Origin, Role, Side, Source, StoredObject
from seamwise.vision.images import read_image
from tests.app.pictures import INSPECTOR, TRAINER, labelled, make_domain, mask, picture, traces


def test_an_image_is_kept_with_all_that_is_told(app: App) -> None:
    make_domain(app)
    about = ImageAbout(source=Source.ONLINE, domain="steel", filename="C:\\x\\film\x07.png", pitch_mm=0.05, weld="w1")
    image = receive(app, INSPECTOR, picture(), about)
    assert (image.width, image.height, image.bits, image.pitch_mm, image.weld) == (8, 6, 8, 0.05, "w1")
    assert (image.filename, image.source, image.received_by) == ("film_.png", Source.ONLINE, "key/2")
    assert image.side is side_of("steel", "w1")
    with reading(app.database) as session:
        event = session.query(AuditEvent).order_by(AuditEvent.id.desc()).first()
        assert event is not None
        assert (event.action, event.subject, event.request_id) == ("image.receive", f"image/{image.id}", "request-1")


def test_the_same_content_again_is_the_known_row(app: App) -> None:
    make_domain(app)
    first = receive(app, INSPECTOR, picture(), ImageAbout(weld="w1"))
    before = traces(app)
    again = receive(app, INSPECTOR, picture(), ImageAbout(weld="w2"))
    assert (again.id, again.weld, again.domain_id, again.side) == (first.id, "w1", None, None)
    assert traces(app) == before
    told = receive(app, INSPECTOR, picture(), ImageAbout(domain="steel"))
    assert (told.id, told.side) == (first.id, side_of("steel", "w1"))


def test_of_several_all_come_in_or_none(app: App) -> None:
    before = traces(app)
    with pytest.raises(BadInputError, match=r"second\.png: it is cut short"):
        receive_all(
            app,
            INSPECTOR,
            [(picture(1), ImageAbout(filename="first.png")), (picture(2)[:-20], ImageAbout(filename="second.png"))],
        )
    assert traces(app) == before
    with pytest.raises(NotFoundError, match="nowhere"):
        receive(app, INSPECTOR, picture(1), ImageAbout(domain="nowhere"))
    assert traces(app) == before
    with pytest.raises(TooLargeError, match="501 files"):
        receive_all(app, INSPECTOR, [(b"", ImageAbout())] * 501)


def test_roles(app: App) -> None:
    image = receive(app, INSPECTOR, picture(), ImageAbout())
    viewer = Actor("key/1", Role.VIEWER)
    with pytest.raises(ForbiddenError):
        receive(app, viewer, picture(), ImageAbout())
    with pytest.raises(ForbiddenError):
        images.assign_image(app, viewer, image.id, "steel")
    with pytest.raises(ForbiddenError):
        images.delete_image(app, TRAINER, image.id)
    assert images.get_image(app, viewer, image.id).id == image.id


def test_lists(app: App) -> None:
    make_domain(app)
    inside = [receive(app, INSPECTOR, picture(seed), ImageAbout(domain="steel", weld=f"w{seed}")) for seed in range(5)]
    outside = receive(app, INSPECTOR, picture(9), ImageAbout())
    assert [image.id for image in images.list_images(app, TRAINER, unassigned=True).items] == [outside.id]
    page = images.list_images(app, TRAINER, domain="steel", limit=3)
    rest = images.list_images(app, TRAINER, domain="steel", limit=3, cursor=page.next)
    assert [image.id for image in (*page.items, *rest.items)] == [image.id for image in reversed(inside)]
    train = images.list_images(app, TRAINER, domain="steel", side=Side.TRAIN).items
    assert [image.id for image in train] == [image.id for image in reversed(inside) if image.side is Side.TRAIN]
    images.delete_image(app, SYSTEM, outside.id)
    assert images.list_images(app, TRAINER, unassigned=True).items == ()


def test_a_guessed_domain_can_be_corrected(app: App) -> None:
    make_domain(app)
    make_domain(app, "other", ("background", "pore"))
    guessed = ImageAbout(domain="steel", guessed={"domain": 0.9, "pitch_mm": 0.8})
    image = receive(app, INSPECTOR, picture(), guessed)
    moved = images.assign_image(app, INSPECTOR, image.id, "other")
    assert moved.guessed == {"pitch_mm": 0.8}
    assert moved.side is side_of("other", image.sha256)
    annotate(app, INSPECTOR, image.id, mask(), None, Origin.DRAWN)
    with pytest.raises(RefusedError, match="the classes of other, and steel has others"):
        images.assign_image(app, INSPECTOR, image.id, "steel")


def test_a_deleted_image_leaves_a_tombstone_and_no_bytes(app: App) -> None:
    make_domain(app)
    kept = labelled(app, 1)[0]
    image = receive(app, INSPECTOR, picture(5), ImageAbout(domain="steel"))
    annotate(app, INSPECTOR, image.id, mask(5), None, Origin.DRAWN)
    annotate(app, INSPECTOR, image.id, mask(0), None, Origin.DRAWN)  # the mask of the other picture too
    annotate(app, INSPECTOR, image.id, None, "crack", Origin.DRAWN)
    images.delete_image(app, SYSTEM, image.id, "not ours")
    with reading(app.database) as session:
        tombstone = session.get_one(Image, image.id)
        assert (tombstone.sha256, tombstone.object_sha256, tombstone.deleted_by) == (image.sha256, None, "system")
        said = session.query(Annotation).filter_by(image_id=image.id)
        assert [(row.mask_sha256, row.label) for row in said] == [(None, None)] * 3
        rows = {row.key for row in session.query(StoredObject)}
    assert {found.key for found in app.objects.listed()} == rows
    assert len(rows) == 2
    with pytest.raises(NotFoundError, match="it was deleted"):
        images.find_content(app, SYSTEM, image.id)
    with pytest.raises(NotFoundError):
        images.delete_image(app, SYSTEM, image.id)
    with pytest.raises(RefusedError, match="was deleted, and is not taken in again"):
        receive(app, INSPECTOR, picture(5), ImageAbout())
    assert read_whole(app.objects, images.find_content(app, SYSTEM, kept.id).stored) == picture(0)


def test_content_is_what_came_or_an_error(app: App, tmp_path) -> None:
    image = receive(app, INSPECTOR, picture(), ImageAbout(filename="x.jpg"))
    content = images.find_content(app, TRAINER, image.id)
    assert (content.format, read_whole(app.objects, content.stored)) == ("png", picture())
    path = images.image_path(app, image.id, tmp_path)
    assert path.name == f"{image.sha256}.png"
    assert read_image(path).pixels.shape == (6, 8, 1)
    (stored,) = (tmp_path / "objects").glob("??/*")
    stored.write_bytes(picture()[:-1] + b"x")
    with pytest.raises(DamagedError):
        images.image_path(app, image.id, tmp_path)


def test_numbers_that_name_no_image(app: App) -> None:
    for number in (0, -1, 1, 2**63):
        with pytest.raises(NotFoundError):
            images.get_image(app, TRAINER, number)


@pytest.mark.parametrize(("content", "error"), [(b"", BadInputError), (b"GIF89a" + b"x" * 99, WrongTypeError)])
def test_what_is_no_picture_leaves_no_trace(app: App, content: bytes, error: type[Exception]) -> None:
    before = traces(app)
    with pytest.raises(error):
        receive(app, INSPECTOR, content, ImageAbout())
    assert traces(app) == before
