"""The versions of the model, as the registry knows them, and the one in production, as this process serves it."""

from anyio import fail_after
from anyio.to_thread import run_sync
from fastapi import APIRouter

from api.deps import Services, ServicesDep
from api.documented import problems
from api.model_schemas import ArchivedView, MarkView, ModelList, ModelView, ProductionView, ServedView
from registry.errors import NoModel, RegistryUnavailable
from registry.overview import Entry, in_production

router = APIRouter(tags=["models"])

_PATIENCE_SECONDS = 5


@router.get("/models", summary="All versions", responses=problems(RegistryUnavailable))
async def get_models(services: ServicesDep) -> ModelList:
    """Every version of the model, newest first, with its aliases, metrics and parameters."""
    return ModelList(models=[ModelView.of(entry) for entry in await _entries(services)])


@router.get("/models/prod", summary="The model in production", responses=problems(NoModel))
async def get_production_model(services: ServicesDep) -> ProductionView:
    """What `penpress registry show` shows, and how this process serves it. While the registry is down, only the latter."""
    registry = "ok"
    try:
        entries = await _entries(services)
    except RegistryUnavailable as error:
        entries, registry = [], str(error)
    served, registered = _served(services), in_production(entries)
    if served is None and registered is None:
        raise NoModel
    return ProductionView(
        registered=ModelView.of(registered) if registered else None,
        served=served,
        archived=_archived(entries),
        model_error=services.models.last_error,
        registry=registry,
    )


async def _entries(services: Services) -> list[Entry]:
    """What the registry knows. Raises `RegistryUnavailable`, too, where it takes longer than anybody wants to wait."""
    try:
        with fail_after(_PATIENCE_SECONDS):
            return await run_sync(services.overview.entries, abandon_on_cancel=True, limiter=services.registry_slots)
    except TimeoutError:
        raise RegistryUnavailable(f"{RegistryUnavailable.__doc__} It was given {_PATIENCE_SECONDS} s.") from None


def _served(services: Services) -> ServedView | None:
    try:
        return ServedView.of(services.models.get(), services.models.status())
    except NoModel:
        return None


def _archived(entries: list[Entry]) -> list[ArchivedView]:
    marks = [(entry.version.number, MarkView.of(entry.archived)) for entry in entries]
    return [ArchivedView(version=number, archived=mark) for number, mark in marks if mark]
