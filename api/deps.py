"""What endpoints work with: the services that one API process holds open, and how a function asks for them."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from uuid import UUID

from anyio import CapacityLimiter
from fastapi import Depends, Request
from sqlalchemy.orm import Session

from api.decoding import Decoders
from api.keyring import Keyring
from api.metrics import Metrics
from api.rates import Rates
from api.readiness import Needs, needs_of_service
from api.seats import Seats
from api.usage import Usage
from api.watch import JobWatch
from inference.images import ImageLimits
from registry.catalog import Catalog
from registry.current import CurrentModel
from registry.overview import Overview
from store import quotas
from store.blobs import Blobs
from store.database import Database
from store.queue import LateSender, Queue
from store.settings import Settings
from store.sources import Sources
from store.states import PREDICTED_CLASSES

_THREADPOOL_CONNECTIONS = 20
_REGISTRY_THREADS = 4
_PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that outlives a request."""

    settings: Settings
    database: Database
    watch: JobWatch
    seats: Seats
    needs: Needs
    probed: Database
    """The same database for `needs` alone, so that a probe neither waits for a connection of requests nor holds one."""
    keyring: Keyring
    rates: Rates
    usage: Usage
    blobs: Blobs
    queue: Queue
    sender: LateSender
    models: CurrentModel
    metrics: Metrics
    overview: Overview
    predict_slots: CapacityLimiter
    image_slots: CapacityLimiter
    registry_slots: CapacityLimiter
    writers: ThreadPoolExecutor
    predict_decoders: Decoders
    image_decoders: Decoders

    @classmethod
    def open(cls, settings: Settings) -> "Services":
        """Connect to what the settings name, and begin to follow the model in production."""
        queue = Queue.from_settings(settings)
        models = CurrentModel(
            tracking_uri=settings.mlflow_uri,
            cache_dir=settings.models_dir,
            device=settings.device,
            threads=settings.predict_threads,
            poll_seconds=settings.model_poll_seconds,
            labels=PREDICTED_CLASSES,
        )
        models.start()
        slots = settings.predict_concurrency or os.cpu_count() or 1
        database = Database.from_settings(
            settings, pool_size=_THREADPOOL_CONNECTIONS, patience_seconds=settings.database_seconds
        )
        probed = Database.from_settings(settings, pool_size=1, patience_seconds=_PROBE_SECONDS)
        blobs = Blobs(settings.blobs)
        return cls(
            settings=settings,
            database=database,
            watch=JobWatch(database, seconds=settings.watch_seconds),
            seats=Seats(total=settings.max_waits, per_client=settings.max_client_waits),
            needs=Needs(
                needs_of_service(
                    database=probed, queue=queue, models=models, blobs=blobs, min_free_bytes=settings.min_free_bytes
                )
            ),
            probed=probed,
            keyring=Keyring(database),
            rates=Rates(),
            usage=Usage(partial(_stored_bytes, database)),
            blobs=blobs,
            queue=queue,
            sender=LateSender(queue),
            models=models,
            metrics=Metrics(models, database),
            overview=Overview(Catalog(settings.mlflow_uri), seconds=settings.model_poll_seconds),
            predict_slots=CapacityLimiter(slots),
            image_slots=CapacityLimiter(slots),  # of their own, so that somebody who leafs through images delays no verdict
            registry_slots=CapacityLimiter(_REGISTRY_THREADS),  # so that a registry that hangs holds up nobody else
            writers=ThreadPoolExecutor(_THREADPOOL_CONNECTIONS, thread_name_prefix="writer"),
            predict_decoders=_decoders(settings, slots),
            image_decoders=_decoders(settings, slots),
        )

    def sources(self) -> Sources:
        """Items as they were uploaded; for one request."""
        return Sources(self.blobs, max_items=self.settings.max_items, max_item_bytes=self.settings.max_item_bytes)

    def close(self) -> None:
        """Give everything back."""
        self.models.stop()
        self.sender.close()
        self.writers.shutdown()
        self.predict_decoders.close()
        self.image_decoders.close()
        self.database.close()
        self.probed.close()


def _decoders(settings: Settings, count: int) -> Decoders:
    limits = ImageLimits(**settings.image_limits)
    return Decoders(count, limits, seconds=settings.predict_seconds, memory_bytes=settings.worker_memory_bytes)


def _stored_bytes(database: Database, owner_id: UUID | None) -> int:
    with database.single_statement() as session:
        return quotas.stored_bytes(session, owner_id=owner_id)


async def get_services(request: Request) -> Services:
    """The services of this process. Async, because FastAPI would take a plain function to a thread."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def reading_session(services: ServicesDep) -> Iterator[Session]:
    """A session to read with. It never commits: writes go through `with services.database.transaction()`."""
    with services.database.transaction() as session:
        yield session
        session.rollback()


SessionDep = Annotated[Session, Depends(reading_session, scope="function")]
