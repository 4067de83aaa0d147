"""/images and /domains/{name}/images: pictures, and what is said of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import StreamingResponse

from seamwise.app import images
from seamwise.app.annotations import annotate, list_annotations, read_mask_file
from seamwise.app.app import App
from seamwise.app.limits import WrongTypeError
from seamwise.app.pictures import MEDIA_TYPES
from seamwise.app.spec import Moment, Text
from seamwise.storage.rows import Page
from seamwise.storage.tables import Annotation, Image, Origin, Side, Source
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.ids import Id
from seamwise.web.shapes import Listed, Shape
from seamwise.web.streams import streamed

router = APIRouter(tags=["images"])
# What a sender may call a picture; what it is, its bytes say.
_DECLARED = (None, "", "application/octet-stream", "image/jpg", "image/x-png", *MEDIA_TYPES.values())
_BINARY = {"schema": {"type": "string", "format": "binary"}}


class ImageShape(Shape):
    """A picture. domain: none while it waits to be assigned. side: what it is used for, for good. guessed: fields that
    were not told, each with its confidence. deleted_at: only its hash is left."""

    id: int
    sha256: str
    domain: str | None
    source: Source
    filename: str | None
    width: int
    height: int
    bits: int
    modality: str | None
    pitch_mm: float | None
    weld: str | None
    part: str | None
    side: Side | None
    guessed: dict[str, Any] | None
    captured_at: datetime | None
    received_by: str
    received_at: datetime
    deleted_at: datetime | None


class AnnotationShape(Shape):
    """What somebody said of an image: a mask (its address), or a label. The highest number by a person counts."""

    id: int
    number: int
    origin: Origin
    mask: str | None
    label: str | None
    model_id: int | None
    made_by: str
    made_at: datetime


@router.get("/domains/{name}/images", response_model=Listed[ImageShape])
def of_domain(
    app: AppOf, actor: ActorOf, name: str, side: Side | None = None, cursor: Cursor = None, limit: Limit = 50
) -> Any:
    """A page of a domain's images, newest first."""
    return _listed(app, images.list_images(app, actor, domain=name, side=side, cursor=cursor, limit=limit))


@router.post("/domains/{name}/images", status_code=201, response_model=list[ImageShape])
def upload(
    app: AppOf,
    actor: ActorOf,
    name: str,
    files: Annotated[list[UploadFile], File(description="Pictures: PNG, TIFF or JPEG.")],
    source: Annotated[Source, Form()] = Source.OFFLINE,
    weld: Annotated[Text | None, Form()] = None,
    part: Annotated[Text | None, Form()] = None,
    modality: Annotated[Text | None, Form()] = None,
    pitch_mm: Annotated[float | None, Form(gt=0, le=100, allow_inf_nan=False)] = None,
    captured_at: Annotated[Moment | None, Form()] = None,
) -> Any:
    """Takes pictures into a domain, all or none; a known one gives its known row. The other fields are for all."""
    told: dict[str, Any] = {"source": source, "weld": weld, "part": part, "modality": modality}
    told |= {"pitch_mm": pitch_mm, "captured_at": captured_at, "domain": name}
    with _on_disk(files) as paths:
        sent = [
            (path, images.ImageAbout(**told, filename=(file.filename or "picture")[:1000]))
            for path, file in zip(paths, files, strict=True)
        ]
        return _shapes(app, images.receive_all(app, actor, sent))


@router.get("/images", response_model=Listed[ImageShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    unassigned: Annotated[bool, Query(description="Only those that wait for a domain.")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of images, newest first."""
    return _listed(app, images.list_images(app, actor, unassigned=unassigned, cursor=cursor, limit=limit))


@router.get("/images/{image_id}", response_model=ImageShape)
def one(app: AppOf, actor: ActorOf, image_id: Id) -> Any:
    """One image; of a deleted one, what is left."""
    return _shapes(app, [images.get_image(app, actor, image_id)])[0]


@router.patch("/images/{image_id}", response_model=ImageShape)
def assign(app: AppOf, actor: ActorOf, image_id: Id, spec: images.Assignment) -> Any:
    """Sorts an image into a domain."""
    return _shapes(app, [images.assign_image(app, actor, image_id, spec.domain)])[0]


@router.delete("/images/{image_id}", status_code=204)
def delete(
    app: AppOf, actor: ActorOf, image_id: Id, reason: Annotated[str | None, Query(max_length=500)] = None
) -> None:
    """Deletes a picture and what was said of it, for good; its hash stays, so that memories forget it too."""
    images.delete_image(app, actor, image_id, reason)


@router.get(
    "/images/{image_id}/content",
    response_class=StreamingResponse,
    responses={200: {"content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY)}},
)
def content(app: AppOf, actor: ActorOf, image_id: Id) -> Response:
    """The picture's file as it came."""
    found = images.find_content(app, actor, image_id)
    return streamed(app, found.stored, MEDIA_TYPES[found.format])


@router.get("/images/{image_id}/annotations", response_model=Listed[AnnotationShape])
def history(app: AppOf, actor: ActorOf, image_id: Id, cursor: Cursor = None, limit: Limit = 50) -> Any:
    """A page of what was said of an image, newest first."""
    page = list_annotations(app, actor, image_id, cursor, limit)
    return {"items": [_annotation(row) for row in page.items], "next": page.next}


@router.post("/images/{image_id}/annotations", status_code=201, response_model=AnnotationShape)
def say(
    app: AppOf,
    actor: ActorOf,
    image_id: Id,
    mask: Annotated[UploadFile | None, File(description="A PNG or TIFF of class ids.")] = None,
    label: Annotated[Text | None, Form(description="One class for the whole image.")] = None,
) -> Any:
    """Says what an image shows: a mask, or a label for all of it."""
    data = None
    if mask is not None:
        with _on_disk([mask]) as paths:
            data = paths[0].read_bytes()
    return _annotation(annotate(app, actor, image_id, data, label, Origin.DRAWN))


@router.get(
    "/images/{image_id}/annotations/{number}/mask",
    response_class=Response,
    responses={200: {"content": {"image/png": _BINARY}}},
)
def mask(app: AppOf, actor: ActorOf, image_id: Id, number: Id) -> Response:
    """The mask of an annotation: a grey PNG of class ids."""
    return Response(read_mask_file(app, actor, image_id, number), media_type="image/png")


@contextmanager
def _on_disk(files: list[UploadFile]) -> Iterator[list[Path]]:
    """What was sent as files under names of ours, for as long as they are looked at."""
    with tempfile.TemporaryDirectory(prefix="seamwise-") as folder:
        paths = []
        for number, sent in enumerate(files):
            if (sent.content_type or "").partition(";")[0].strip().lower() not in _DECLARED:
                raise WrongTypeError(f"{(sent.filename or '')[:100]!r} is sent as {sent.content_type}: send pictures")
            path = Path(folder) / str(number)
            with path.open("wb") as file:
                shutil.copyfileobj(sent.file, file)
            paths.append(path)
        yield paths


def _listed(app: App, page: Page[Image]) -> dict[str, Any]:
    return {"items": _shapes(app, page.items), "next": page.next}


def _shapes(app: App, rows: Iterable[Image]) -> list[ImageShape]:
    names = images.domain_names(app)
    return [
        ImageShape.model_validate(
            {field: getattr(row, field) for field in ImageShape.model_fields if field != "domain"}
            | {"domain": None if row.domain_id is None else names[row.domain_id]}
        )
        for row in rows
    ]


def _annotation(row: Annotation) -> dict[str, Any]:
    address = f"/api/v1/images/{row.image_id}/annotations/{row.number}/mask"
    fields = {field: getattr(row, field) for field in AnnotationShape.model_fields if field != "mask"}
    return fields | {"mask": None if row.mask_sha256 is None else address}
