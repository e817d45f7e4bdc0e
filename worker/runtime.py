"""What a worker process holds open: settings, database, blobs, queue and models. Made after the fork, one for each process."""

from dataclasses import dataclass, field

from inference.images import ImageLimits
from registry.current import CurrentModel
from store.blobs import Blobs
from store.database import Database
from store.queue import Queue
from store.settings import Settings
from store.sources import Sources
from store.states import PREDICTED_CLASSES
from worker.marks import Mark


@dataclass(frozen=True, slots=True)
class Runtime:
    """The tools of one worker process."""

    settings: Settings
    database: Database
    queue: Queue
    models: CurrentModel
    sources: Sources
    limits: ImageLimits
    mark: Mark = field(default_factory=Mark)

    @classmethod
    def from_settings(cls, settings: Settings, mark: Mark | None = None) -> "Runtime":
        """Connect to what the settings name; nothing is loaded before it is needed. `mark` tells a parent what is going on."""
        return cls(
            settings=settings,
            database=Database.from_settings(settings, pool_size=2),
            queue=Queue.from_settings(settings),
            models=CurrentModel(
                tracking_uri=settings.mlflow_uri,
                cache_dir=settings.models_dir,
                device=settings.device,
                threads=settings.worker_threads,
                poll_seconds=settings.model_poll_seconds,
                labels=PREDICTED_CLASSES,
            ),
            sources=Sources(Blobs(settings.blobs), max_items=settings.max_items, max_item_bytes=settings.max_item_bytes),
            limits=ImageLimits(**settings.image_limits),
            mark=mark or Mark(),
        )

    def close(self) -> None:
        """Give back connections and open files."""
        self.sources.close()
        self.database.close()
