"""One image, one verdict, at once. The middle is the same code that workers run; the answer is a row like theirs."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData, UploadFile

from api.backpressure import check_quota, quota_exceeded
from api.bodies import (
    FORM_OVERHEAD_BYTES,
    FORM_TYPE,
    BodyLimit,
    announced_bytes,
    media_type,
    read_form,
    too_large,
    too_many_files,
)
from api.deps import Services, ServicesDep
from api.documented import family, problems
from api.identity import Caller, CallerDep
from api.refusals import BodyTooSlow, DecoderUnavailable, InvalidRequest, NoFiles, UploadAborted
from api.room import disk_full, require_room
from api.schemas import PredictAnswer
from api.slots import held_slot
from api.uploads import check_disk, check_spool, clean_name, discard
from inference import cam
from inference.classifier import Verdict
from inference.decoder import Wanted
from inference.errors import ImageError
from inference.review import ReviewReason, review_reason
from registry.current import LoadedModel
from registry.errors import NoModel
from store import predictions
from store.base import new_id
from store.blobs import new_key
from store.models import Upload
from store.predictions import Item, NewPrediction
from store.states import GradcamPolicy

router = APIRouter(tags=["predict"])

_MEMORY_BYTES = 1024 * 1024
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "JPEG, PNG, TIFF, JPEG 2000, WebP, GIF, BMP or PDF.",
                        }
                    },
                },
                "encoding": {"file": {"contentType": "image/*, application/pdf"}},
            }
        },
    }
}


@router.post(
    "/predict/",
    response_model=PredictAnswer,
    summary="Classify one image",
    openapi_extra=_BODY,
    responses=problems(
        too_large("max_predict_bytes", 67_108_864, 70_000_000),
        too_many_files(500),
        InvalidRequest,
        NoFiles,
        *family(ImageError),
        *(UploadAborted, BodyTooSlow, disk_full(536_870_912, 1_048_576), quota_exceeded(1024**4, 1_100_000_000_000)),
        NoModel,
        DecoderUnavailable,
    ),
)
async def predict(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Of a document with several pages the first one is answered; send documents to `/jobs` for all of them."""
    model = services.models.get()
    form = await _read_form(request, services, caller)
    try:
        file = _the_file(form, services.settings.max_predict_bytes)
        async with held_slot(services.predict_slots) as give_back:  # who waits holds no thread, nor the image in memory
            return await run_sync(_answer, services, caller, model, file, give_back)
    finally:
        await form.close()


async def _read_form(request: Request, services: Services, caller: Caller) -> FormData:
    if media_type(request) != FORM_TYPE:
        return FormData()
    settings = services.settings
    if not 0 < announced_bytes(request) <= _MEMORY_BYTES:  # else it is kept in memory, and room is looked for with the image
        await run_in_threadpool(_check_room, request, services, caller)
    return await read_form(
        request,
        BodyLimit("max_predict_bytes", settings.max_predict_bytes, FORM_OVERHEAD_BYTES),
        max_files=settings.max_form_files,
        memory_bytes=_MEMORY_BYTES,
        check_room=partial(check_spool, services),
    )


def _check_room(request: Request, services: Services, caller: Caller) -> None:
    """Before the body is read. Raises `DiskFull` or `QuotaExceeded`."""
    check_disk(request, services)
    check_quota(services, caller, more_bytes=announced_bytes(request))


def _the_file(form: FormData, max_bytes: int) -> UploadFile:
    files = form.getlist("file")
    if len(files) != 1 or not isinstance(file := files[0], UploadFile):
        fault = "exactly one field of this name is needed, and it must be a file; send more than one image to /jobs"
        raise RequestValidationError([{"loc": ("body", "file"), "msg": fault, "type": "missing"}])
    size = file.size or 0
    if size > max_bytes:
        raise too_large("max_predict_bytes", max_bytes, size)
    return file


@dataclass(frozen=True, slots=True)
class _Classified:
    """A verdict whose image is still being stored and whose row is to be written."""

    upload: Upload
    model: LoadedModel
    verdict: Verdict
    review: ReviewReason | None
    pages: int
    stored: Future[None]


def _answer(
    services: Services, caller: Caller, model: LoadedModel, file: UploadFile, give_back: Callable[[], object]
) -> Response:
    """Made into JSON here: FastAPI would check it once more."""
    work = _classify(services, caller, model, file)
    give_back()  # writing the row takes no processor of ours
    return Response(_finish(services, work).model_dump_json(), media_type="application/json")


def _classify(services: Services, caller: Caller, model: LoadedModel, file: UploadFile) -> _Classified:
    """The verdict on the first page, and how many there are; the disk syncs the image meanwhile."""
    data = file.file.read()
    require_room(services.blobs, min_free_bytes=services.settings.min_free_bytes, to_store=len(data))
    check_quota(services, caller, more_bytes=len(data))  # its size need not have been announced
    name = clean_name(file.filename or "unnamed")
    upload = Upload(
        id=new_id(),
        owner_id=caller.owner_id,
        position=0,
        name=name,
        is_archive=False,
        blob_key=new_key(),
        size_bytes=len(data),
    )
    spec = model.classifier.spec
    stored = services.writers.submit(services.blobs.write, upload.blob_key, data)
    wanted = Wanted(page=1, width=spec.width, height=spec.height, stretched=True)
    with _discarded_on_failure(services, upload, stored), services.predict_decoders.decoded(data, wanted) as page:
        verdict = model.classifier.classify([page.pixels])[0]
        manifest, threshold = model.classifier.bundle.manifest, services.settings.review_threshold
        review = review_reason(page.look(), verdict, manifest, threshold=threshold)
    return _Classified(upload, model, verdict, review, page.pages, stored)


def _finish(services: Services, work: _Classified) -> PredictAnswer:
    """Write the row once the image is durable."""
    with _discarded_on_failure(services, work.upload, work.stored):
        row = _make_row(work)
        work.stored.result()
        prediction_id = _write(services, work, row)
    services.usage.add(work.upload.owner_id, work.upload.size_bytes)
    return PredictAnswer(
        image_name=work.upload.name,
        predicted_class=work.verdict.predicted_class,
        confidence=work.verdict.confidence,
        model_version=work.model.version,
        model_info="Alias: prod",
        id=prediction_id,
        probabilities=work.verdict.probabilities,
        needs_review=row.needs_review,
        reason=row.reason,
        pages=work.pages,
        links=_links(prediction_id, row),
    )


@contextmanager
def _discarded_on_failure(services: Services, upload: Upload, stored: Future[None]) -> Iterator[None]:
    """What the block leaves without a row is removed when its writing has ended, and nobody waits for that."""
    try:
        yield
    except BaseException as error:
        cause = error  # `error` is gone when the block is left
        stored.add_done_callback(lambda _: discard(services.blobs, [upload.blob_key], cause))
        raise


def _make_row(work: _Classified) -> NewPrediction:
    return predictions.succeeded(
        Item(ordinal=0, upload_id=work.upload.id, member_index=None, file=work.upload.name),
        page=1,
        predicted_class=work.verdict.predicted_class,
        confidence=work.verdict.confidence,
        probabilities=work.verdict.probabilities,
        review=work.review,
        cam=cam.pack(work.verdict.cam),
        gradcam=GradcamPolicy.REVIEW,
    )


def _write(services: Services, work: _Classified, row: NewPrediction) -> UUID:
    with services.database.statement() as connection:
        return predictions.insert_single(connection, work.upload, row, model_version=work.model.version)


def _links(prediction_id: UUID, row: NewPrediction) -> dict[str, str]:
    here = f"/predictions/{prediction_id}"
    links = {"self": here, "image": f"{here}/image"}
    return links | {"gradcam": f"{here}/gradcam.png"} if row.cam else links
