"""/predictions: pictures answered at once, their masks, and what inspectors say about them."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, File, Form, Header, Query, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError

from seamwise.app import predictions, reviews
from seamwise.app.predictions import Answer, PredictionAbout, Predictor
from seamwise.app.spec import Moment
from seamwise.errors import BadInputError
from seamwise.storage.rows import LARGEST_ID
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.ids import Id
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/predictions", tags=["predictions"])
PNG = "image/png"
_BESIDE = 2  # requests that may read and store pictures while others compute
_making = Lock()


class DefectShape(Shape):
    """A region of one class. box: left, top, width and height in pixels. probability: the largest in it."""

    class_name: str = Field(alias="class")
    area_px: int
    area_mm2: float | None
    box: tuple[int, int, int, int]
    probability: float


class DomainWordShape(Shape):
    """The picture's domain and who says so. likely: the nearest, where it was guessed or is unassigned."""

    name: str | None
    how: Literal["told", "known", "guessed", "unassigned"]
    likely: str | None
    confidence: float


class PredictionShape(Shape):
    """An answer. version: what answered, as LINE/NUMBER. mask: its address; both are null where nothing was stored.

    image: the number of the kept picture. confidence: how clearly the answer says yes or no, from 0.5 to 1.
    defects: the largest; `defects_left_out` counts the others.
    """

    id: int | None
    version: str
    mask: str | None
    image: int | None
    batch: int | None
    width: int
    height: int
    pitch_mm: float | None
    weld: str | None
    domain: DomainWordShape
    confidence: float
    defects: list[DefectShape]
    defects_left_out: int
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, answer: Answer) -> PredictionShape:
        return cls(
            id=answer.id,
            version=answer.version,
            mask=None if answer.id is None else f"/api/v1/predictions/{answer.id}/mask",
            image=answer.image,
            batch=answer.batch,
            created_by=answer.created_by,
            created_at=answer.created_at,
            **{name: value for name, value in answer.summary.items() if name != "features"},
        )


class ReviewShape(Shape):
    """A review, and the number of the annotation that came of it."""

    id: int
    prediction_id: int
    annotation_id: int
    comment: str | None
    created_by: str
    created_at: datetime


class Desk:
    """What this process predicts with. room: requests that are worked on at a time; others wait without a thread."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.room = CapacityLimiter(predictor.app.settings.predict_threads + _BESIDE)


def _desk(request: Request) -> Desk:
    state = request.app.state
    with _making:
        if not hasattr(state, "desk"):
            state.desk = Desk(Predictor(state.app, state.server))
    desk: Desk = state.desk
    return desk


DeskOf = Annotated[Desk, Depends(_desk)]


def _about(
    domain: Annotated[str | None, Form(max_length=63)] = None,
    modality: Annotated[str | None, Form(max_length=500)] = None,
    pitch_mm: Annotated[float | None, Form(gt=0, le=100, allow_inf_nan=False)] = None,
    weld: Annotated[str | None, Form(max_length=500)] = None,
    captured_at: Annotated[Moment | None, Form()] = None,
) -> dict[str, Any]:
    return {
        "domain": domain,
        "modality": modality,
        "pitch_mm": pitch_mm,
        "weld": weld,
        "captured_at": captured_at,
    }


@router.post(
    "",
    response_model=PredictionShape,
    responses={200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def predict(
    desk: DeskOf,
    actor: ActorOf,
    image: Annotated[UploadFile, File(description="The picture: PNG, TIFF or JPEG, of any size within the limits.")],
    about: Annotated[dict[str, Any], Depends(_about)],
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Answers a picture with the version that serves: JSON, or the mask alone for `Accept: image/png`.

    Give what is known of the picture; what is missing is read from the file or guessed. The headers `Seamwise-Version`
    and `Seamwise-Prediction` name version and number of either answer.
    """
    told = _told({**about, "filename": (image.filename or "")[:1000] or None})
    work = partial(_predict, desk.predictor, actor, image, told)
    # Not a thread of the common pool: those who wait for a processor must not keep all other requests waiting.
    answer, mask = await to_thread.run_sync(work, limiter=desk.room)
    headers = {"Seamwise-Version": answer.version}
    if answer.id is not None:
        headers |= {"Seamwise-Prediction": str(answer.id), "Location": f"/api/v1/predictions/{answer.id}"}
    if PNG in accept and "application/json" not in accept:
        return Response(mask, media_type=PNG, headers=headers)
    return JSONResponse(PredictionShape.of(answer).model_dump(mode="json", by_alias=True), headers=headers)


def _told(values: dict[str, Any]) -> PredictionAbout:
    try:
        return PredictionAbout(**values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise BadInputError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _predict(predictor: Predictor, actor: Any, image: UploadFile, about: PredictionAbout) -> tuple[Answer, bytes]:
    with tempfile.TemporaryDirectory(prefix="seamwise-") as folder:
        path = Path(folder) / "picture"
        with path.open("wb") as file:
            shutil.copyfileobj(image.file, file)
        return predictor.predict(actor, path, about)


@router.get("", response_model=Listed[PredictionShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    domain: Annotated[str | None, Query(max_length=63)] = None,
    batch: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of predictions, newest first."""
    found = predictions.list_predictions(app, actor, domain=domain, batch=batch, cursor=cursor, limit=limit)
    return {"items": [PredictionShape.of(answer) for answer in found.items], "next": found.next}


@router.get("/{prediction_id}", response_model=PredictionShape)
def one(app: AppOf, actor: ActorOf, prediction_id: Id) -> Any:
    """One prediction."""
    return PredictionShape.of(predictions.get_prediction(app, actor, prediction_id))


@router.get(
    "/{prediction_id}/mask",
    response_class=Response,
    responses={200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}}},
)
def mask(app: AppOf, actor: ActorOf, prediction_id: Id) -> Response:
    """The predicted mask: class ids of the version that answered."""
    return Response(predictions.read_mask_file(app, actor, prediction_id), media_type=PNG)


@router.post("/{prediction_id}/review", status_code=201, response_model=ReviewShape)
def review(
    app: AppOf,
    actor: ActorOf,
    prediction_id: Id,
    mask: Annotated[UploadFile | None, File(description="The right mask: class ids of the picture's domain.")] = None,
    accept: Annotated[bool, Form(description="The predicted mask is right.")] = False,
    label: Annotated[str | None, Form(max_length=500, description="One class name for all of the picture.")] = None,
    domain: Annotated[str | None, Form(max_length=63, description="Where an unassigned picture belongs.")] = None,
    comment: Annotated[str | None, Form(max_length=500)] = None,
) -> Any:
    """Says whether a prediction is right, or what is: just one of `mask`, `accept` and `label`."""
    try:
        spec = reviews.NewReview(accept=accept, label=label, domain=domain, comment=comment)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise BadInputError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    return reviews.review_prediction(app, actor, prediction_id, spec, mask.file.read() if mask else None)


@router.get("/{prediction_id}/reviews", response_model=Listed[ReviewShape])
def said(app: AppOf, actor: ActorOf, prediction_id: Id, cursor: Cursor = None, limit: Limit = 50) -> Any:
    """A page of a prediction's reviews, newest first."""
    return reviews.list_reviews(app, actor, prediction_id, cursor, limit)
