"""What operators and clients ask of the service itself: health, readiness, figures, versions, limits."""

import platform
from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from api.deps import Services, ServicesDep
from api.documented import problems
from api.examples import METRICS
from api.metrics import CONTENT_TYPE
from api.refusals import NotReady
from api.schemas import Health, Info, LimitInfo, Liveness, Readiness
from inference.images import FORMATS
from registry.current import LoadedModel
from registry.errors import NoModel
from store.settings import Settings

router = APIRouter(tags=["system"])

_PACKAGES = ("fastapi", "celery", "onnxruntime", "pillow", "pypdfium2", "sqlalchemy")
_UNITS = {
    "_per_minute": "requests per minute",
    "_per_second": "bytes per second",
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_pixels": "pixels",
    "_pages": "pages",
    "_items": "items",
    "_files": "files",
    "_dpi": "dpi",
    "_jobs": "jobs",
    "_waits": "waiting requests",
}
_MORE_LIMITS = (
    *("pdf_dpi", "min_free_bytes", "min_body_bytes_per_second", "body_grace_seconds", "head_seconds"),
    *("retention_seconds", "idempotency_seconds"),
)
# Everybody may ask, and what failed may name files and hosts.
_MODEL_ERROR = "The model in production could not be loaded; GET /models/prod says why."
_NOT_READY = NotReady(ready=False, checks={"database": "ok", "redis": "does not answer", "model": "ok", "disk": "ok"})


@router.get("/health", summary="Health, as clients of the former service know it")
async def get_health(services: ServicesDep) -> Health:
    """Always 200; `status` and `model_status` say how things are."""
    model = _loaded(services)
    return Health(
        status="healthy" if model else "unhealthy",
        model_status="loaded" if model else "not loaded",
        model_version=model.version if model else None,
        model_info="Alias: prod",
        model_error=_MODEL_ERROR if services.models.last_error else None,
    )


def _loaded(services: Services) -> LoadedModel | None:
    try:
        return services.models.get()
    except NoModel:
        return None


@router.get("/livez", summary="Whether the process answers")
async def get_livez() -> Liveness:
    """200 as long as there is somebody to ask."""
    return Liveness()


@router.get("/readyz", summary="Whether the service can work", responses=problems(_NOT_READY))
async def get_readyz(request: Request, services: ServicesDep) -> Readiness:
    """200 when database, queue, model and room for uploads are all there, else 503 with what is missing.

    What it says is at most two seconds old, and found out once for all who ask; the log has the details. 503 at once, too,
    when the process was asked to stop: what it works at it finishes, more should go elsewhere.
    """
    if request.app.state.is_stopping:
        raise NotReady("The service is stopping.", ready=False, checks={"process": "stopping"})
    checks = dict(await services.needs.check())
    if any(result != "ok" for result in checks.values()):
        raise NotReady(ready=False, checks=checks)
    return Readiness(ready=True, checks=checks)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": METRICS}}}},
)
def get_metrics(services: ServicesDep) -> Response:
    """Of this process: requests by route and status, the model that it serves, swaps and failures to load one, memory and CPU.

    Each replica of the API counts for itself. Workers have no endpoint: what fails in one is in its log and its job's `detail`.
    """
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE)


@router.get("/info", summary="Versions and limits")
def get_info(services: ServicesDep) -> Info:
    """Every limit with the environment variable that sets it."""
    model = _loaded(services)
    return Info(
        name="penpress",
        version=version("penpress"),
        versions={"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}},
        model_version=model.version if model else None,
        formats=[*FORMATS, "PDF", "ZIP"],
        limits=_limits(services.settings),
    )


def _limits(settings: Settings) -> dict[str, LimitInfo]:
    return {
        name: LimitInfo(
            value=getattr(settings, name),
            unit=next(unit for ending, unit in _UNITS.items() if name.endswith(ending)),
            variable=f"PENPRESS_{name.upper()}",
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
        if ((name.startswith("max_") and name != "max_attempts") or name in _MORE_LIMITS)
        and getattr(settings, name) is not None
    }
