"""What the service answers of models, with examples for the OpenAPI document."""

import math
from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from api.examples import MODEL, SERVED_MODEL
from inference.bundle import InputSpec
from registry.catalog import flat_metrics
from registry.current import LoadedModel, ServingStatus
from registry.overview import Entry
from registry.promotion import OVERRULED_TAG, Mark, promotion_of


class MarkView(BaseModel):
    """When something was done to a version, by whom and why, as far as it was recorded."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    by: str | None
    why: str | None

    @classmethod
    def of(cls, mark: Mark | None) -> "MarkView | None":
        """The view of a mark, if there is one."""
        return cls.model_validate(mark) if mark else None


class ModelView(BaseModel):
    """A version of the model, as the registry knows it."""

    model_config = ConfigDict(json_schema_extra={"example": MODEL})

    version: str
    aliases: list[str] = Field(description="`prod` is the version in production, `previous` the one before.")
    name: str | None = Field(description="The name of the run that made it.")
    run_id: str | None
    experiment: str | None
    registered_at: datetime
    promoted: MarkView | None = Field(description="When it was last put into production, if it ever was.")
    overruled_gates: str | None = Field(description="What the gates had against it when it was promoted by force.")
    archived: MarkView | None = Field(description="When it was put aside, if it is.")
    metrics: dict[str, float]
    parameters: dict[str, str]
    tags: dict[str, str]

    @classmethod
    def of(cls, entry: Entry) -> "ModelView":
        """The view of an entry."""
        version, run = entry.version, entry.run
        return cls(
            version=version.number,
            aliases=list(entry.aliases),
            name=run.name if run else None,
            run_id=version.run_id,
            experiment=run.experiment if run else None,
            registered_at=version.created_at,
            promoted=MarkView.of(promotion_of(version)),
            overruled_gates=version.tags.get(OVERRULED_TAG),
            archived=MarkView.of(entry.archived),
            metrics=_finite(run.metrics) if run else {},
            parameters=dict(run.parameters) if run else {},
            tags=dict(version.tags),
        )


class ModelList(BaseModel):
    """All versions, newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"models": [MODEL]}})

    models: list[ModelView]


class ServedView(BaseModel):
    """The model that the process which answers has in memory, and how following the alias `prod` goes there."""

    version: str
    name: str
    labels: list[str]
    input: InputSpec
    graph: str = Field(description="The graph that is served on a CPU.")
    on_gpu: bool
    temperature: float
    review_threshold: float
    made_at: str
    metrics: dict[str, float] = Field(description="As the bundle itself states them.")
    loaded_at: datetime | None
    last_error: str | None = Field(description="Why the newest version could not be swapped in, if it could not.")
    last_error_at: datetime | None
    swaps: int = Field(description="Since the process started, as `failures`.")
    failures: int

    @classmethod
    def of(cls, model: LoadedModel, status: ServingStatus) -> "ServedView":
        """The view of a loaded model."""
        manifest = model.classifier.bundle.manifest
        return cls(
            version=model.version,
            name=manifest.name,
            labels=list(manifest.labels),
            input=manifest.input,
            graph=manifest.serve,
            on_gpu=model.classifier.on_gpu,
            temperature=manifest.temperature,
            review_threshold=manifest.review_threshold,
            made_at=manifest.created_at,
            metrics=_finite(flat_metrics(manifest)),
            loaded_at=status.loaded_at,
            last_error=status.last_error,
            last_error_at=status.last_error_at,
            swaps=status.swaps,
            failures=status.failures,
        )


class ArchivedView(BaseModel):
    """A version that was put aside."""

    version: str
    archived: MarkView


class ProductionView(BaseModel):
    """The model in production: what the registry says of it, what this process serves, and which versions are archived.

    The two differ for the seconds after a promotion, and as long as a new version cannot be loaded.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "registered": MODEL,
                "served": SERVED_MODEL,
                "archived": [{"version": "2", "archived": MODEL["promoted"] | {"why": "replaced by version 3"}}],
                "model_error": None,
                "registry": "ok",
            }
        }
    )

    registered: ModelView | None = Field(description="Null where the registry does not answer, or calls none `prod`.")
    served: ServedView | None = Field(description="Null until the first model is loaded.")
    archived: list[ArchivedView]
    model_error: str | None = Field(description="Why the model in production could not be loaded, if it could not.")
    registry: str = Field(description="`ok`, or why the registry could not be asked.")


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """JSON has no other numbers."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
