"""Annotations: checked against picture and classes, kept as a history."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from seamwise.app import annotations
from seamwise.app.actor import Actor, ForbiddenError
from seamwise.app.annotations import annotate, list_annotations, newest_trusted, read_mask_file
from seamwise.app.app import App
from seamwise.app.files import fetch_bytes
from seamwise.app.images import ImageAbout, assign_image, receive
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.database import reading
from seamwise.storage.tables import Image, Origin, Role
from seamwise.vision.png import encode_png
from tests.app.pictures import INSPECTOR, ids, make_domain, mask, picture, traces


@pytest.fixture
def image(app: App) -> Image:
    make_domain(app, ignore=255)
    return receive(app, INSPECTOR, picture(), ImageAbout(domain="steel"))


def test_the_last_word_of_a_person_counts(app: App, image: Image) -> None:
    annotate(app, INSPECTOR, image.id, mask(1), None, Origin.ACCEPTED)
    drawn = annotate(app, INSPECTOR, image.id, mask(2), None, Origin.DRAWN)
    annotate(app, INSPECTOR, image.id, mask(3), None, Origin.MODEL)
    said = list_annotations(app, INSPECTOR, image.id).items
    assert [(row.number, row.origin) for row in said] == [(3, Origin.MODEL), (2, Origin.DRAWN), (1, Origin.ACCEPTED)]
    with reading(app.database) as session:
        counts = newest_trusted(session, image.id)
    assert counts is not None
    assert counts.id == drawn.id
    assert read_mask_file(app, INSPECTOR, image.id, 2) == mask(2)


def test_the_same_ids_are_the_same_bytes_however_saved(app: App, image: Image) -> None:
    grey = ids(1)
    palette = Pillow.fromarray(grey).convert("P")
    palette.putpalette([9, 8, 7, 200, 100, 50] + [0] * 762)
    kinds = [Pillow.fromarray(grey), palette, Pillow.fromarray(np.stack([grey] * 3, 2))]
    saved = []
    for kind in kinds:
        buffer = io.BytesIO()
        kind.save(buffer, "PNG" if kind.mode != "L" else "TIFF")
        saved.append(annotate(app, INSPECTOR, image.id, buffer.getvalue(), None, Origin.DRAWN).mask_sha256)
    assert len(set(saved)) == 1
    assert fetch_bytes(app, str(saved[0])) == encode_png(grey[:, :, None])


@pytest.mark.parametrize(
    ("sent", "label", "says"),
    [
        (mask(shape=(8, 6)), None, "the mask is 6 x 8 pixels but its image 8 x 6"),
        (encode_png(np.full((6, 8, 1), 7, np.uint8)), None, "the mask has the values 7"),
        (None, "pore", "has no such class"),
        (None, None, "give a mask or a label"),
        (mask(), "crack", "give a mask or a label"),
        (b"\xff\xd8\xff" + b"x" * 50, None, "the mask: "),
    ],
)
def test_what_does_not_fit_is_refused(app: App, image: Image, sent: bytes | None, label: str | None, says: str) -> None:
    before = traces(app)
    with pytest.raises(BadInputError, match=says) as caught:
        annotate(app, INSPECTOR, image.id, sent, label, Origin.DRAWN)
    assert "seamwise-" not in str(caught.value), "a path of the server"
    assert traces(app) == before


def test_a_picture_without_a_domain_is_assigned_first(app: App) -> None:
    image = receive(app, INSPECTOR, picture(), ImageAbout())
    with pytest.raises(RefusedError, match="assign it first"):
        annotate(app, INSPECTOR, image.id, mask(), None, Origin.DRAWN)


def test_others_may_look_only(app: App, image: Image) -> None:
    viewer = Actor("key/1", Role.VIEWER)
    with pytest.raises(ForbiddenError):
        annotate(app, viewer, image.id, mask(), None, Origin.DRAWN)
    assert list_annotations(app, viewer, image.id).items == ()
    with pytest.raises(NotFoundError):
        read_mask_file(app, viewer, image.id, 1)


def test_a_mask_checked_against_one_domain_is_not_kept_for_another(
    app: App, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody sorts the image elsewhere between the look at the mask and the writing."""
    make_domain(app, "plain", ("background", "defect"))
    look = annotations.claim_in

    def and_then_assigned(*arguments: Any) -> annotations.Claim:
        claim = look(*arguments)
        assign_image(app, INSPECTOR, image.id, "plain")
        return claim

    monkeypatch.setattr(annotations, "claim_in", and_then_assigned)
    keys = sorted(found.key for found in app.objects.listed())
    with pytest.raises(RefusedError, match="into another domain meanwhile"):
        annotate(app, INSPECTOR, image.id, mask(), None, Origin.DRAWN)
    assert list_annotations(app, INSPECTOR, image.id).items == ()
    assert sorted(found.key for found in app.objects.listed()) == keys
