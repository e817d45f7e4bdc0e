"""The ASGI application; `python -m api` serves it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from api import control, events, jobs, models, predict, predictions, results, system, webhooks
from api.deps import Services
from api.documented import openapi_document
from api.errors import install_error_handlers
from api.headers import SecureHeaders
from api.identity import authorise
from api.locality import OnlyThisMachineWithoutKeys
from api.metrics import CountRequests
from api.pace import PaceBodies
from store.redaction import redact_logs
from store.settings import Settings

_WEB = Path(__file__).parent / "web"
_PAGES = {"/": "index.html", "/docs": "docs.html"}
_DESCRIPTION = """Penpress tells handwriting from print, at archive scale.

Send one image to `/predict/` for an answer at once, or a batch to `/jobs` and poll it. Every refusal is an
`application/problem+json` document with a stable `reason`."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service over what `settings` name, by default the environment. Services are opened when it starts."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        redact_logs()
        app.state.services = await run_in_threadpool(Services.open, chosen)
        yield
        await app.state.services.watch.close()
        await app.state.services.needs.close()
        await run_in_threadpool(app.state.services.close)

    app = FastAPI(
        title="Penpress",
        description=_DESCRIPTION,
        version=version("penpress"),
        lifespan=lifespan,
        dependencies=[Depends(authorise)],
        docs_url=None,
        redoc_url=None,
    )
    app.state.is_stopping = False
    for module in (predict, jobs, control, events, results, predictions, webhooks, models, system):
        app.include_router(module.router)
    for path, page in _PAGES.items():
        app.add_api_route(path, _page(page), include_in_schema=False)
    app.mount("/web", StaticFiles(directory=_WEB))
    install_error_handlers(app)
    events.install(app)
    app.add_middleware(
        PaceBodies, min_bytes_per_second=chosen.min_body_bytes_per_second, grace_seconds=chosen.body_grace_seconds
    )
    app.add_middleware(OnlyThisMachineWithoutKeys)
    app.add_middleware(SecureHeaders)
    app.add_middleware(CountRequests)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]  # FastAPI documents this as the way
    return app


def _page(name: str) -> Callable[[], FileResponse]:
    def page() -> FileResponse:
        return FileResponse(_WEB / name)

    return page
