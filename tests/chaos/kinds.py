"""Every kind of fault, what it does in words, and the time within which the product has to have recovered from it."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos import points, signals, surroundings
from tests.chaos.arena import Arena, Struck
from tests.chaos.pace import Pace

SERVICE_PROMISE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault. What a worker had is taken over within a lease and a sweep, what a deliverer had within the like for
    webhooks; from all else the product recovers within 30 s.
    """

    name: str
    words: str
    strike: Callable[[Arena], Struck | None]
    is_takeover: bool = False
    is_redelivery: bool = False

    def promise(self, pace: Pace) -> float:
        """Seconds."""
        if self.is_redelivery:
            return pace.redelivery
        return pace.takeover if self.is_takeover else SERVICE_PROMISE_SECONDS


_POINTS = (
    Kind("after_claim", "dies with a chunk claimed and nothing done", points.die_at("after_claim"), True),
    Kind("before_decode", "dies before it decodes an item", points.die_at("before_decode"), True),
    Kind("after_infer", "dies when the model has answered", points.die_at("after_infer"), True),
    Kind("before_commit", "dies with all results unwritten", points.die_at("before_commit"), True),
    Kind(
        "after_commit_before_ack",
        "dies when all is written, its message unacknowledged",
        points.die_at("after_commit_before_ack"),
        True,
    ),
    Kind("before_plan_commit", "dies with a plan unwritten", points.die_at("before_plan_commit"), True),
    Kind(
        "frozen_before_commit",
        "freezes with all results unwritten, longer than its lease",
        points.freeze_at("before_commit"),
        True,
    ),
    Kind("after_blob_before_row", "the API dies with an upload stored and no row", points.die_at("after_blob_before_row")),
)
_WORKER = (
    Kind("worker_killed", "SIGKILL to a worker's parent process", signals.end_worker(signal.SIGKILL), True),
    Kind("worker_ended", "SIGTERM to a worker", signals.end_worker(signal.SIGTERM), True),
    Kind("worker_host_gone", "SIGKILL to a worker's parent and children at once", signals.kill_worker_group, True),
    Kind("worker_frozen", "SIGSTOP to a worker and its children", signals.freeze_worker, True),
    Kind("child_killed", "SIGKILL to a pool process", signals.end_child(signal.SIGKILL), True),
    Kind("child_ended", "SIGTERM to a pool process", signals.end_child(signal.SIGTERM), True),
    Kind("child_frozen", "SIGSTOP to a pool process, longer than its lease", signals.freeze_child, True),
)
_API = (
    Kind("api_killed", "SIGKILL to the API", signals.kill("api")),
    Kind("api_ended", "SIGTERM to the API", signals.kill("api", signal.SIGTERM)),
    Kind("api_frozen", "SIGSTOP to the API", signals.freeze("api")),
)
_SWEEP = (
    Kind("sweep_killed", "SIGKILL to the sweep", signals.kill("sweep")),
    Kind("sweep_frozen", "SIGSTOP to the sweep", signals.freeze("sweep")),
)
_DELIVER = (
    Kind(
        "after_2xx_before_mark",
        "the deliverer dies, its webhook received and not marked",
        points.die_at("after_2xx_before_mark"),
        is_redelivery=True,
    ),
    Kind("deliver_killed", "SIGKILL to the deliverer of webhooks", signals.kill("deliver"), is_redelivery=True),
    Kind("deliver_frozen", "SIGSTOP to the deliverer of webhooks", signals.freeze("deliver"), is_redelivery=True),
)
_REDIS = (
    Kind("redis_killed", "SIGKILL to Redis, which comes back empty", signals.kill("redis")),
    Kind("redis_ended", "SIGTERM to Redis", signals.kill("redis", signal.SIGTERM)),
    Kind("redis_down", "Redis away for a while", signals.keep_down("redis")),
    Kind("redis_frozen", "SIGSTOP to Redis", signals.freeze("redis")),
    Kind("redis_flushed", "FLUSHALL", surroundings.flush_redis),
    Kind("redis_black_hole", "no byte to or from Redis", surroundings.black_hole("redis")),
    Kind("redis_cut", "every connection to Redis reset", surroundings.cut("redis")),
    Kind("redis_slow", "Redis 0.4 s away", surroundings.slow("redis")),
)
_POSTGRES = (
    Kind("postgres_killed", "SIGKILL to Postgres", signals.kill("postgres")),
    Kind("postgres_ended", "SIGTERM to Postgres, and later SIGKILL", signals.end_at_last("postgres")),
    Kind("postgres_restarted", "Postgres stopped in mid-work and started again", signals.kill("postgres", signal.SIGINT)),
    Kind("postgres_down", "Postgres away for a while", signals.keep_down("postgres")),
    Kind("postgres_frozen", "SIGSTOP to Postgres and its backends", signals.freeze("postgres")),
    Kind("postgres_black_hole", "no byte to or from Postgres", surroundings.black_hole("postgres")),
    Kind("postgres_cut", "every connection to Postgres reset", surroundings.cut("postgres")),
    Kind("postgres_slow", "Postgres 0.4 s away", surroundings.slow("postgres")),
    Kind("backend_terminated", "pg_terminate_backend", surroundings.terminate_backend),
)
_DISK = (Kind("disk_full", "not a byte free for uploads", surroundings.fill_disk),)

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (*_POINTS, *_WORKER, *_API, *_SWEEP, *_DELIVER, *_REDIS, *_POSTGRES, *_DISK)
}
