"""One prediction: the row, the page that it was made from, and the class activation map drawn over that page.

Pages are decoded and encoded anew: bytes that a stranger sent are never given to a browser as they are.
"""

import io
from typing import Any
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Response
from PIL import Image
from sqlalchemy.orm import Session

from api.deps import Services, ServicesDep, SessionDep
from api.documented import family, problems
from api.identity import Caller, CallerDep
from api.refusals import DecoderUnavailable, InvalidRequest, NoGradcam, NoPage, NotFound
from api.schemas import PredictionView
from inference import cam
from inference.cam import PackedCamError
from inference.decoder import Wanted
from inference.errors import ImageError
from store import predictions
from store.archives import ArchiveError
from store.blobs import BlobMissing, BlobsUnavailable
from store.models import Prediction, Upload
from store.states import ItemStatus

router = APIRouter(tags=["predictions"])

_LONGEST_SIDE = 2000
_JPEG_QUALITY = 90
_CACHE = {"Cache-Control": "private, max-age=86400, immutable"}

_PAGE_ERRORS = (
    *(NotFound, InvalidRequest, NoPage, DecoderUnavailable, BlobMissing, BlobsUnavailable),
    *(*family(ImageError), *family(ArchiveError)),
)


def _image_response(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/predictions/{prediction_id}", summary="One prediction", responses=problems(NotFound, InvalidRequest))
def get_prediction(prediction_id: UUID, session: SessionDep, caller: CallerDep) -> PredictionView:
    """A page's answer, as it was written."""
    return PredictionView.of(_found(session, prediction_id, caller)[0])


@router.get(
    "/predictions/{prediction_id}/image",
    summary="The page",
    response_class=Response,
    responses=_image_response("image/jpeg") | problems(*_PAGE_ERRORS),
)
async def get_image(prediction_id: UUID, services: ServicesDep, caller: CallerDep) -> Response:
    """The page upright, as JPEG, its longer side at most 2,000 pixels."""
    return await run_sync(_draw_page, services, prediction_id, caller, limiter=services.image_slots)


def _draw_page(services: Services, prediction_id: UUID, caller: Caller) -> Response:
    _, image = _read_page(services, prediction_id, caller)
    return _encoded(image, "JPEG", "image/jpeg")


@router.get(
    "/predictions/{prediction_id}/gradcam.png",
    summary="Grad-CAM over the page",
    response_class=Response,
    responses=_image_response("image/png") | problems(*_PAGE_ERRORS, NoGradcam, PackedCamError),
)
async def get_gradcam(prediction_id: UUID, services: ServicesDep, caller: CallerDep) -> Response:
    """Bright is what spoke for the predicted class. There is one where the job kept it: by default where review is needed."""
    return await run_sync(_draw_gradcam, services, prediction_id, caller, limiter=services.image_slots)


def _draw_gradcam(services: Services, prediction_id: UUID, caller: Caller) -> Response:
    prediction, image = _read_page(services, prediction_id, caller, with_cam=True)
    assert prediction.cam is not None  # _read_page refuses otherwise
    return _encoded(cam.overlay(image, cam.unpack(prediction.cam)), "PNG", "image/png")


_NO_CAM_AT_ONCE = (
    "No Grad-CAM was kept for this prediction: /predict/ keeps one where a person should look. "
    "Send the image to /jobs with gradcam=always to get one."
)


def _found(session: Session, prediction_id: UUID, caller: Caller) -> tuple[Prediction, Upload]:
    found = predictions.get_prediction(session, prediction_id, owner_id=caller.owner_id)
    if found is None:
        raise NotFound(f"There is no prediction {prediction_id}, or it has expired.")
    return found


def _read_page(
    services: Services, prediction_id: UUID, caller: Caller, *, with_cam: bool = False
) -> tuple[Prediction, Image.Image]:
    """Read the row, then let the connection go: decoding takes long."""
    with services.database.transaction() as session:
        prediction, upload = _found(session, prediction_id, caller)
    if prediction.status != ItemStatus.SUCCEEDED:  # what killed a worker would kill this process, too
        raise NoPage(prediction.detail, reason=prediction.reason)
    if with_cam and prediction.cam is None:
        raise NoGradcam(_NO_CAM_AT_ONCE if upload.job_id is None else None)
    sources = services.sources()
    try:
        data = sources.read(upload, prediction.member_index)
    finally:
        sources.close()
    wanted = Wanted(page=prediction.page, width=_LONGEST_SIDE, height=_LONGEST_SIDE, stretched=False)
    with services.image_decoders.decoded(data, wanted) as page:
        return prediction, Image.fromarray(page.pixels.copy())


def _encoded(image: Image.Image, image_format: str, media_type: str) -> Response:
    file = io.BytesIO()
    image.save(file, image_format, quality=_JPEG_QUALITY)
    return Response(file.getvalue(), media_type=media_type, headers=_CACHE)
