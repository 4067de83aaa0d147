"""/uploads: large files in resumable pieces, after TUS 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from seamwise.app import uploads
from seamwise.app.pieces import CHECKSUMS, PIECE, Checksum, ChecksumError, Stretch, UnknownChecksumError
from seamwise.app.uploads import AboutUpload, GoneError
from seamwise.errors import BadInputError, SeamwiseError
from seamwise.storage.rows import LARGEST_ID
from seamwise.storage.tables import Upload
from seamwise.web.asking import ActorOf, AppOf
from seamwise.web.problems import MEDIA_TYPE, ProblemResponse, request_id_of

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,checksum,termination"
OF_PIECES = "application/offset+octet-stream"
_KNOWN = ("filename", "domain", "format")  # of the metadata
_STATUS = ((ChecksumError, 460), (UnknownChecksumError, 400), (GoneError, 410))


class TusRoute(APIRoute):
    """A route whose every answer, errors too, says which version of the protocol it speaks."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if request.method != "OPTIONS" and request.headers.get("tus-resumable") != VERSION:
                told = f"this speaks TUS {VERSION}: send the header Tus-Resumable: {VERSION}"
                response: Response = ProblemResponse(412, told, {"Tus-Version": VERSION}, request_id_of(request))
            else:
                try:
                    response = await handle(request)
                except (SeamwiseError, RequestValidationError) as error:
                    response = _problem(request, error)
            response.headers["Tus-Resumable"] = VERSION
            return response

        return handler


def _problem(request: Request, error: Exception) -> Response:
    """TUS has three statuses of its own; all others are answered as everywhere."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return ProblemResponse(status, str(error), request_id=request_id_of(request))
    handlers = request.app.exception_handlers
    answer: Response = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)(request, error)
    return answer


router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=TusRoute)
UploadId = Annotated[str, Path(max_length=64)]
TusResumable = Annotated[str, Header(description=f"The protocol's version, {VERSION}.")]
PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such upload.", **PROBLEM},
    410: {"description": "It was given up, or its time is over.", **PROBLEM},
    412: {"description": "Another version of the protocol.", **PROBLEM},
}


@router.options("", status_code=204)
def capabilities(app: AppOf, actor: ActorOf) -> Response:
    """What of TUS is spoken here."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(uploads.most_bytes(app)),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return Response(status_code=204, headers=headers)


@router.post("", status_code=201, responses={412: RESPONSES[412]})
def create(
    app: AppOf,
    actor: ActorOf,
    upload_length: Annotated[int, Header(ge=0, le=LARGEST_ID, description="Bytes of the whole file.")],
    upload_metadata: Annotated[
        str | None,
        Header(
            max_length=8000,
            description="`key base64,...`: `filename`; `domain`, to import the set into it when it is whole; `format`.",
        ),
    ] = None,
    tus_resumable: TusResumable = VERSION,
) -> Response:
    """Begins an upload; `Location` is where its pieces go."""
    upload = uploads.create_upload(app, actor, upload_length, _about(upload_metadata or "")).upload
    return Response(status_code=201, headers={"Location": f"/api/v1/uploads/{upload.id}", **_state(upload)})


@router.head("/{upload_id}", status_code=204, responses=RESPONSES)
def state(app: AppOf, actor: ActorOf, upload_id: UploadId, tus_resumable: TusResumable = VERSION) -> Response:
    """How many bytes are there: where the next piece begins."""
    upload = uploads.get_upload(app, actor, upload_id)
    headers = {"Upload-Length": str(upload.length), "Cache-Control": "no-store", **_state(upload)}
    if (metadata := AboutUpload.model_validate(upload.about).metadata) is not None:
        headers["Upload-Metadata"] = metadata
    return Response(status_code=204, headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    responses=RESPONSES
    | {
        400: {"description": "The checksum is of a kind that is not computed here.", **PROBLEM},
        409: {"description": "The piece does not follow on the bytes that are there.", **PROBLEM},
        415: {"description": f"The content type is not {OF_PIECES}.", **PROBLEM},
        460: {"description": "The bytes are not those of the checksum.", **PROBLEM},
    },
    openapi_extra={"requestBody": {"content": {OF_PIECES: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def append(
    request: Request,
    app: AppOf,
    actor: ActorOf,
    upload_id: UploadId,
    upload_offset: Annotated[int, Header(ge=0, le=LARGEST_ID, description="Bytes that are there already.")],
    upload_checksum: Annotated[
        str | None, Header(max_length=200, description=f"`name base64` with {' or '.join(CHECKSUMS)}.")
    ] = None,
    tus_resumable: TusResumable = VERSION,
) -> Response:
    """Takes the next piece, of any length; what has come counts even when the line breaks."""
    if request.headers.get("content-type") != OF_PIECES:
        return ProblemResponse(415, f"a piece has the content type {OF_PIECES}", request_id=request_id_of(request))
    checksum = None if upload_checksum is None else Checksum.read(upload_checksum)
    stretch = Stretch(app, actor, upload_id, upload_offset, checksum)
    try:
        announced = request.headers.get("content-length")
        await run_in_threadpool(stretch.begin, int(announced) if announced else None)
        await _receive(request, stretch)
        upload = await run_in_threadpool(_ended, stretch, app, actor, upload_id)
    except BaseException as error:
        await run_in_threadpool(stretch.close, error)
        raise
    return Response(status_code=204, headers=_state(upload))


async def _receive(request: Request, stretch: Stretch) -> None:
    held = bytearray()
    try:
        async for chunk in request.stream():
            held += chunk
            while len(held) >= PIECE:
                await run_in_threadpool(stretch.write, bytes(held[:PIECE]))
                del held[:PIECE]
    except ClientDisconnect:
        if held:
            await run_in_threadpool(stretch.write, bytes(held))
        raise
    if held:
        await run_in_threadpool(stretch.write, bytes(held))


def _ended(stretch: Stretch, app: AppOf, actor: ActorOf, upload_id: str) -> Upload:
    stretch.end()
    stretch.close()
    return uploads.get_upload(app, actor, upload_id)


@router.delete("/{upload_id}", status_code=204, responses=RESPONSES)
def end(app: AppOf, actor: ActorOf, upload_id: UploadId, tus_resumable: TusResumable = VERSION) -> Response:
    """Gives an upload up; its bytes go."""
    uploads.end_upload(app, actor, upload_id)
    return Response(status_code=204)


def _state(upload: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.received)}
    if (until := uploads.expiry(upload)) is not None:
        headers["Upload-Expires"] = format_datetime(until, usegmt=True)
    if upload.job_id is not None:
        headers["Upload-Job"] = f"/api/v1/jobs/{upload.job_id}"  # ours: the job that puts it together
    return headers


def _about(metadata: str) -> AboutUpload:
    """The fields that we know; clients send others of their own."""
    told: dict[str, str] = {"metadata": metadata} if metadata else {}
    for pair in filter(None, metadata.split(",")):
        key, _, encoded = pair.strip().partition(" ")
        if key in _KNOWN:
            try:
                told[key] = base64.b64decode(encoded, validate=True).decode("utf-8")
            except (binascii.Error, ValueError) as error:
                raise BadInputError(f"Upload-Metadata: the value of `{key}` is not UTF-8 text in base64") from error
    try:
        return AboutUpload.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise BadInputError(f"Upload-Metadata: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
