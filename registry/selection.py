"""Choose the run whose model is to become the next version: the best finished one by a metric, or one that is named.

Whatever does not count is kept with the reason, so that a choice can be explained. Of runs with the same value the one that
finished first wins: a later one has to be better to take its place.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.catalog import Catalog
from registry.defaults import METRIC
from registry.errors import NoFitRun, UnfitRun
from registry.runs import Run, has_bundle, read_run, read_runs

TIE_RULE = "of equal runs the one that finished first"
_LOWER_IS_BETTER = {"loss", "error", "brier", "ece", "nll", "risk", "strange", "seconds"}
_STATUSES = {"RUNNING": "still running", "SCHEDULED": "not begun"}
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Selection:
    """`ranked` are the runs that count, best first; `left_out` the others, each with the reason why it does not."""

    metric: str
    higher_is_better: bool
    ranked: tuple[Run, ...]
    left_out: tuple[tuple[Run, str], ...]

    @property
    def best(self) -> Run:
        """The run that was selected."""
        return self.ranked[0]

    @property
    def tied(self) -> tuple[Run, ...]:
        """The other runs with the value of the best."""
        return tuple(run for run in self.ranked[1:] if run.metrics[self.metric] == self.best.metrics[self.metric])


def higher_is_better(metric: str) -> bool:
    """Whether more of `metric` is better, by the last part of its name: less is, of a loss, an error, a risk."""
    words = re.split(r"[_\W]+", metric.rsplit(".", 1)[-1].lower())
    return not _LOWER_IS_BETTER & set(words)


def select_best(
    catalog: Catalog,
    metric: str = METRIC,
    *,
    experiments: Sequence[str] = (),
    higher: bool | None = None,
) -> Selection:
    """The best finished run by `metric` in the named experiments, or in all; `higher` overrides `higher_is_better`.

    Raises `NoFitRun`, `NoSuchExperiment` or `RegistryUnavailable`.
    """
    descending = higher_is_better(metric) if higher is None else higher
    ranked, left_out = [], []
    for run in read_runs(catalog, experiments):
        objection = _status_objection(run) or _metric_objection(run, metric) or _bundle_objection(catalog, run)
        if objection:
            left_out.append((run, objection))
        else:
            ranked.append(run)
    if not ranked:
        raise NoFitRun(f"No finished run has both {metric} and a bundle. {summary(left_out)}".strip())
    sign = -1 if descending else 1
    ranked.sort(key=lambda run: (sign * run.metrics[metric], run.ended_at or _NEVER, run.id))
    return Selection(metric, descending, tuple(ranked), tuple(left_out))


def fit_run(catalog: Catalog, run_id: str) -> Run:
    """The run with that id. Raises `UnfitRun` if it is not finished or left no bundle, `NoSuchRun` if there is none."""
    run = read_run(catalog, run_id)
    objection = _status_objection(run) or _bundle_objection(catalog, run)
    if objection:
        raise UnfitRun(f"The run {run_id} cannot become a version: {objection}.")
    return run


def summary(left_out: Sequence[tuple[Run, str]]) -> str:
    """How many runs do not count, for which reasons; nothing if all do."""
    reasons = [reason for _, reason in left_out]
    counts = [f"{reasons.count(reason)} ({reason})" for reason in dict.fromkeys(reasons)]
    return f"Runs that do not count: {', '.join(counts)}." if counts else ""


def _bundle_objection(catalog: Catalog, run: Run) -> str | None:
    return None if has_bundle(catalog, run) else "no bundle"


def _metric_objection(run: Run, metric: str) -> str | None:
    if metric not in run.metrics:
        return f"no {metric}"
    return None if math.isfinite(run.metrics[metric]) else f"{metric} is not a number"


def _status_objection(run: Run) -> str | None:
    return None if run.is_finished else _STATUSES.get(run.status, run.status.lower())
