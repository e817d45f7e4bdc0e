"""One image, one verdict, at once. The middle is the same code that workers run; the answer is a row like theirs."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, UploadFile

from api.deps import Services, ServicesDep
from api.errors import Limit, UploadTooLarge, problems
from api.schemas import PredictAnswer
from api.uploads import clean_name
from inference import cam
from inference.classifier import Verdict
from inference.images import open_document
from inference.preprocess import prepare
from registry.current import LoadedModel
from store import predictions
from store.blobs import new_key
from store.models import GradcamPolicy, Upload, new_id
from store.predictions import Item, NewPrediction

router = APIRouter(tags=["predict"])


@router.post(
    "/predict/",
    summary="Classify one image",
    responses=problems(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
def predict(file: Annotated[UploadFile, File(description="JPEG, PNG, TIFF, …")], services: ServicesDep) -> PredictAnswer:
    """Of a document with several pages the first one is answered; send documents to `/jobs` for all of them."""
    model = services.models.get()
    data = _read(file, services.settings.max_predict_bytes)
    name = clean_name(file.filename or "unnamed")
    upload = Upload(id=new_id(), position=0, name=name, is_archive=False, blob_key=new_key(), size_bytes=len(data))
    with services.predict_slots:
        verdict, pages = _classify(services, model, upload, data)
    row = _make_row(services, model, upload, verdict)
    prediction_id = _write(services, model, upload, row)
    return PredictAnswer(
        image_name=upload.name,
        predicted_class=verdict.predicted_class,
        confidence=verdict.confidence,
        model_version=model.version,
        model_info="Alias: prod",
        id=prediction_id,
        probabilities=verdict.probabilities,
        needs_review=row.needs_review,
        pages=pages,
        links=_links(prediction_id, row),
    )


def _read(file: UploadFile, max_bytes: int) -> bytes:
    data = file.file.read(max_bytes + 1)
    if len(data) > max_bytes:
        limit = Limit(key="max_predict_bytes", value=max_bytes, observed=file.size, unit="bytes")
        raise UploadTooLarge(f"The image has more than the {max_bytes} bytes allowed.", limit)
    return data


def _classify(services: Services, model: LoadedModel, upload: Upload, data: bytes) -> tuple[Verdict, int]:
    """The verdict on the first page, and how many there are; the disk syncs the image while the model runs."""
    spec = model.classifier.spec
    with open_document(data, services.limits) as document:
        pixels = prepare(document.page(1, at_least=(spec.width, spec.height)), spec)
        page_count = document.page_count
    stored = services.writers.submit(services.blobs.write, upload.blob_key, data)
    verdict = model.classifier.classify([pixels])[0]
    stored.result()
    return verdict, page_count


def _make_row(services: Services, model: LoadedModel, upload: Upload, verdict: Verdict) -> NewPrediction:
    threshold = services.settings.review_threshold
    return predictions.succeeded(
        Item(ordinal=0, upload_id=upload.id, member_index=None, file=upload.name),
        page=1,
        predicted_class=verdict.predicted_class,
        confidence=verdict.confidence,
        probabilities=verdict.probabilities,
        review_threshold=model.classifier.bundle.manifest.review_threshold if threshold is None else threshold,
        cam=cam.pack(verdict.cam),
        gradcam=GradcamPolicy.REVIEW,
    )


def _write(services: Services, model: LoadedModel, upload: Upload, row: NewPrediction) -> UUID:
    with services.database.transaction() as session:
        return predictions.insert_single(session, upload, row, model_version=model.version)


def _links(prediction_id: UUID, row: NewPrediction) -> dict[str, str]:
    here = f"/predictions/{prediction_id}"
    links = {"self": here, "image": f"{here}/image"}
    return links | {"gradcam": f"{here}/gradcam.png"} if row.cam else links
