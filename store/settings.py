"""Every setting of Penpress, on one page. Each is read from the environment variable `PENPRESS_` + its name in capitals.

Units stand in the names. `docs/settings.md` lists them by subject; a test holds its tables equal to this page. A variable that
begins with `PENPRESS_` and is none of them is refused.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from store.addresses import Network, parse_networks
from store.unknown_settings import unknown_settings
from store.webhook_secrets import is_webhook_secret

LONGEST_SECONDS = 3_155_760_000
"""A hundred years, the longest time that anything is kept or waited for: Postgres ends at dates that Python cannot read."""


class Settings(BaseSettings):
    """Settings with their defaults for one machine; `penpress up` fills in the addresses of what it starts itself."""

    model_config = SettingsConfigDict(
        env_prefix="PENPRESS_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_parse_none_str="none",
        hide_input_in_errors=True,
    )

    home: Path = Field(Path("~/.penpress"), description="Folder for the embedded services, uploads and cached models.")
    database_url: str | None = Field(None, description="Postgres, as postgresql+psycopg://…; unset: embedded by `penpress up`.")
    redis_url: str | None = Field(None, description="Redis or Valkey, as redis://…; unset: embedded by `penpress up`.")
    blobs_url: str | None = Field(None, description="Where uploads are kept, an fsspec URL; unset: a folder in the home.")
    tracking_uri: str | None = Field(
        None, validation_alias="MLFLOW_TRACKING_URI", description="MLflow's registry; unset: SQLite in the home."
    )

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on; 0 picks a free one.")
    trusted_hosts: str | None = Field(
        None, description="Host names, separated by commas, besides localhost under which a service without keys answers."
    )
    shutdown_grace_seconds: float = Field(
        0.5, ge=0, description="How long, after SIGTERM, the API says on `/readyz` that it stops before it does."
    )
    # Only uploads take so long; with none in flight the API ends at once.
    shutdown_seconds: float = Field(
        300, gt=0, description="How long the API, when it stops, lets requests in flight finish; under `penpress up` 5."
    )
    database_seconds: float = Field(
        10, gt=0, description="A request gives up a statement that Postgres takes longer over, with a 503."
    )
    predict_threads: int = Field(2, ge=1, description="onnxruntime threads for one `/predict/` request.")
    predict_concurrency: int | None = Field(
        None, ge=1, description="`/predict/` requests that run at once; unset: one per core."
    )

    predict_seconds: float = Field(
        30, gt=0, description="An image sent to `/predict/`, or shown, whose decoding takes longer is refused."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run; `cuda` refuses to start without a GPU."
    )
    batch_images: int | None = Field(None, ge=1, description="Images per run of the model; unset: 1 on a CPU, 16 on a GPU.")
    review_threshold: float | None = Field(
        None, ge=0, le=1, description="Confidence below which a person should look; unset: as the model's bundle says."
    )
    # Those who read the leader's note learn of a promotion after two polls at most, and must serve it within five seconds.
    model_poll_seconds: float = Field(1, gt=0, description="How often the registry is asked which version is `prod`.")

    worker_processes: int | None = Field(None, ge=1, description="Processes of one worker; unset: one per core.")
    worker_threads: int = Field(1, ge=1, description="onnxruntime threads in each worker process.")
    worker_memory_bytes: int = Field(
        4 * 1024**3,
        ge=256 * 1024**2,
        description="Memory of one worker process, or of one that decodes for the API; an item that needs more fails alone.",
    )
    chunk_items: int = Field(32, ge=1, le=1000, description="Items that a worker takes at once.")
    page_seconds: float = Field(
        120,
        gt=0,
        description="A page, or an archive's directory, that takes longer has hung its worker process, which is then replaced.",
    )
    lease_seconds: float = Field(
        60, gt=0, le=LONGEST_SECONDS, description="A chunk whose worker is silent for so long is given to another."
    )
    heartbeat_seconds: float = Field(15, gt=0, description="How often a worker renews its lease.")
    cancel_check_seconds: float = Field(0.1, gt=0, description="How often a worker asks whether its job is still wanted.")
    warm_stop_seconds: float = Field(
        10, ge=0, description="A worker that is to stop gives back what it has not finished by then."
    )
    max_attempts: int = Field(3, ge=1, description="Times that one item may take its worker down before it is given up.")
    broken_worker_crashes: int = Field(
        5,
        ge=2,
        description="Different items, or jobs to be planned, in a row that crash a worker which finishes none: it stops, and "
        "blames none of them.",
    )
    broken_worker_pause_seconds: float = Field(
        30, ge=0, description="How long such a worker stays away before it ends, to be started again."
    )

    sweep_seconds: float = Field(10, gt=0, description="How often the sweep looks for what was lost.")
    hint_seconds: float = Field(
        20, gt=0, le=LONGEST_SECONDS, description="Work that nobody took for so long is announced again."
    )
    orphan_seconds: float = Field(
        24 * 3600,
        gt=0,
        le=LONGEST_SECONDS,
        description="A stored file that no upload names is removed when it has lain there for so long.",
    )

    max_upload_bytes: int = Field(64 * 1024**3, ge=1, description="Bytes of one upload to `/jobs`.")
    max_predict_bytes: int = Field(64 * 1024**2, ge=1, description="Bytes of one image sent to `/predict/`.")
    max_form_files: int = Field(500, ge=1, le=1000, description="Files in one multipart form; a zip may hold more.")
    max_items: int = Field(200_000, ge=1, description="Items of one job.")
    max_item_bytes: int = Field(256 * 1024**2, ge=1, description="Bytes of one item in a batch, unpacked.")
    max_item_pixels: int = Field(100_000_000, ge=1, description="Pixels of one page.")
    max_pages: int = Field(500, ge=1, description="Pages of one TIFF or PDF.")
    pdf_dpi: int = Field(300, ge=36, le=1200, description="Resolution at which PDF pages are drawn.")
    min_free_bytes: int = Field(
        512 * 1024**2, ge=0, description="Bytes that uploads leave free on the disk; where they would not, they are refused."
    )
    min_body_bytes_per_second: int = Field(
        1000, ge=1, description="A client that sends its request's body more slowly, in the mean, is refused."
    )
    body_grace_seconds: float = Field(
        30, gt=0, description="How far a body may fall behind that rate: the longest pause that a client may make."
    )
    max_head_bytes: int = Field(
        64 * 1024, ge=8192, description="Bytes of a request's address and headers; what is longer is refused."
    )
    head_seconds: float = Field(30, gt=0, description="A connection whose request's head is not whole by then is closed.")

    max_requests_per_minute: int = Field(6000, ge=1, description="Requests of one key in a minute, unless the key says.")
    max_open_jobs: int = Field(1000, ge=1, description="Jobs of one client that have not ended; a key may have its own limit.")
    max_stored_bytes: int = Field(
        1024**4, ge=1, description="Bytes of uploads that are kept for one client; a key may have its own limit."
    )
    max_queued_items: int = Field(2_000_000, ge=1, description="Items that wait, of all clients, before jobs are refused.")
    max_unplanned_jobs: int = Field(2000, ge=1, description="Jobs that wait to be planned, before more are refused.")

    max_wait_seconds: int = Field(60, ge=0, description="How long a request may wait for its job (`Prefer: wait`).")
    max_stream_seconds: int = Field(3600, ge=0, description="How long a stream of events lasts; then its reader comes again.")
    # A seat costs a file descriptor, of which a process often has 1,024.
    max_client_waits: int = Field(100, ge=1, description="Requests and streams of one client that wait for a job at once.")
    max_waits: int = Field(500, ge=1, description="Requests and streams of all clients that wait for a job at once.")
    # All who wait share one query; a shorter interval makes answers fresher and Postgres busier.
    watch_seconds: float = Field(0.25, gt=0, description="How often the API looks at jobs that somebody waits for.")

    retention_seconds: int | None = Field(
        30 * 24 * 3600,
        ge=1,
        le=LONGEST_SECONDS,
        description="How long ended jobs, and images sent to `/predict/`, are kept with their results, "
        "a hundred years at most; `none`: for ever.",
    )
    idempotency_seconds: int = Field(
        24 * 3600,
        ge=1,
        le=LONGEST_SECONDS,
        description="How long the answer to a request with an `Idempotency-Key` is remembered.",
    )

    webhook_secret: str | None = Field(
        None,
        repr=False,
        description="Signs webhooks where there are no keys: `whsec_` and base64; during a rotation the new and the old one, "
        "separated by a space.",
    )
    webhook_http_allowed: bool = Field(False, description="Whether webhooks may go to http:// addresses.")
    webhook_networks: str | None = Field(
        None, description="Networks that are not public and that webhooks may reach, such as `10.1.0.0/16, fd12::/16`."
    )
    webhook_timeout_seconds: float = Field(
        15, gt=0, le=30, description="What one attempt to deliver a webhook may take in all."
    )
    webhook_failing_days: float = Field(
        5, gt=0, le=36525, description="An endpoint that has only failed for so long is switched off."
    )
    webhook_poll_seconds: float = Field(1, gt=0, description="How often a deliverer looks for webhooks that are due.")
    webhook_slots: int = Field(16, ge=1, le=256, description="Webhooks that one deliverer has under way at once.")
    webhook_slots_per_host: int = Field(2, ge=1, description="Webhooks of one client that are under way to one host at once.")
    webhook_slots_per_key: int = Field(
        8, ge=1, description="Webhooks of one key that are under way at once, to whatever hosts, from all deliverers."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        known = [str(field.validation_alias or f"PENPRESS_{name.upper()}") for name, field in cls.model_fields.items()]
        if unknown := unknown_settings(known, {**DotEnvSettingsSource(cls).env_vars, **os.environ}):
            raise PydanticCustomError("unknown_settings", "{sentences}", {"sentences": " ".join(unknown)})
        return values

    @field_validator("webhook_secret")
    @classmethod
    def _require_secrets(cls, text: str | None) -> str | None:
        for secret in (text or "").split():
            if not is_webhook_secret(secret):
                raise ValueError("each secret is whsec_ and base64 of 24 to 64 bytes")
        return text

    @field_validator("webhook_networks")
    @classmethod
    def _require_networks(cls, text: str | None) -> str | None:
        parse_networks(text)
        return text

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets that sign where there are no keys, the newest first."""
        return tuple((self.webhook_secret or "").split())

    @cached_property
    def trusted_names(self) -> frozenset[str]:
        """The names under which this service may be asked, in small letters."""
        return frozenset(filter(None, (name.strip().lower() for name in (self.trusted_hosts or "").split(","))))

    @cached_property
    def webhook_allowed(self) -> tuple[Network, ...]:
        """The networks that webhooks may reach although they are not public."""
        return parse_networks(self.webhook_networks)

    @property
    def image_limits(self) -> dict[str, int]:
        """The limits for one item, by the names that `inference.images.ImageLimits` gives them."""
        return {
            "max_bytes": self.max_item_bytes,
            "max_pixels": self.max_item_pixels,
            "max_pages": self.max_pages,
            "pdf_dpi": self.pdf_dpi,
        }

    @cached_property
    def home_dir(self) -> Path:
        """`home` with `~` resolved, absolute."""
        return self.home.expanduser().absolute()

    @property
    def blobs(self) -> str:
        """The fsspec URL under which uploads are kept."""
        return self.blobs_url or (self.home_dir / "blobs").as_uri()

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking and registry URI."""
        return self.tracking_uri or f"sqlite:///{self.home_dir / 'mlflow.db'}"

    @property
    def models_dir(self) -> Path:
        """Where downloaded bundles are cached, one folder per version."""
        return self.home_dir / "models"
