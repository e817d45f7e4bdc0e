"""`python -m tests.chaos.report`: write what the runs found into docs/reliability.md, between its marks."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.chaos.killers import KILLERS
from tests.chaos.kinds import KINDS

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_NEVER = float("inf")
BEGIN, END = "<!-- measured: python -m tests.chaos.report -->", "<!-- end of what was measured -->"

_COLUMNS = {
    "as-it-is": "as it is",
    "default-leases": "as it is, default leases",
    "no-sweep": "sweep off",
    "no-job-lock": "job lock removed",
    "no-token": "fencing token ignored",
}
_COUNTED = {
    "jobs": "jobs accepted",
    "items": "items accepted",
    "lost": "items without a result",
    "doubled": "results too many",
    "wrong": "results that differ from the fault-free run",
    "unended_jobs": "jobs that did not end well",
    "doubled_jobs": "submissions that made two jobs",
    "miscounted_jobs": "jobs whose counts differ from their rows",
    "retries": "jobs whose failed items were tried again",
    "cancelled": "jobs that their client cancelled",
    "expired": "jobs that expired, as they should",
    "unexpired": "jobs that should have expired",
    "ungranted": "cancellations, retries and expiries that never came",
    "lost_events": "jobs whose end no webhook told",
    "doubled_events": "ends that two webhooks told",
    "forged_events": "webhooks whose signature was wrong",
    "improper_refusals": "submissions answered 500, or 503 without `Retry-After`",
}


def rendered(results: Path = RESULTS) -> str:
    """Everything that stands between the marks; runs that were not made have no column."""
    files = {words: results / f"{name}.json" for name, words in _COLUMNS.items()}
    found = {words: json.loads(file.read_text()) for words, file in files.items() if file.exists()}
    parts = [_verdicts(found)]
    parts += [_recoveries(run) for run in found.values() if run["sabotage"] is None]
    parts.append(_answers(found["as it is"]["answers"]))
    if (file := results / "killers.json").exists():
        parts.append(_killers(json.loads(file.read_text())))
    return "\n\n".join(parts)


def _verdicts(found: dict[str, Any]) -> str:
    lines = ["| | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    for name, words in _COUNTED.items():
        lines.append(f"| {words} | " + " | ".join(f"{run['verdict'][name]:,}" for run in found.values()) + " |")
    for name, words in (("faults", "faults"), ("late", "recoveries later than promised, or never")):
        lines.append(f"| {words} | " + " | ".join(f"{len(run[name]):,}" for run in found.values()) + " |")
    lines.append("| verdict | " + " | ".join(map(_verdict, found.values())) + " |")
    return "\n".join(lines)


def _verdict(run: dict[str, Any]) -> str:
    if not run["verdict"]["is_good"]:
        return "**failed**"
    late = ", but late" if run["late"] else ""
    short = "" if _is_complete(run) else ", but fewer faults or items than were asked for"
    return f"held{late}{short}"


def _is_complete(run: dict[str, Any]) -> bool:
    return run["verdict"]["items"] >= run["wanted"]["items"] and len(run["faults"]) >= run["wanted"]["faults"]


def _recoveries(run: dict[str, Any]) -> str:
    pace = run["pace"]
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for fault in run["faults"]:
        kinds[fault["kind"]].append(fault)
    head = (
        f"Lease {pace['lease']:g} s, sweep every {pace['sweep']:g} s, freezes of {pace['freeze']:g} s: {len(run['faults'])} "
        f"faults ({run['wanted']['faults']} were asked for) of {len(kinds)} kinds on {run['verdict']['items']:,} items "
        f"({run['wanted']['items']:,}) in {run['seconds'] / 60:.0f} min, seed {run['seed']}.\n"
    )
    lines = [head, "| fault | what happens | times | p50 | p95 | max | promise |", "|---|---|---:|---:|---:|---:|---:|"]
    for name in (name for name in KINDS if name in kinds):
        figures = " | ".join("never" if seconds == _NEVER else f"{seconds:.1f} s" for seconds in _spread(kinds[name]))
        promise = kinds[name][0]["promise"]
        lines.append(f"| `{name}` | {KINDS[name].words} | {len(kinds[name])} | {figures} | {promise:g} s |")
    return "\n".join(lines)


def _spread(faults: list[dict[str, Any]]) -> tuple[float, float, float]:
    ordered = sorted(_NEVER if fault["recovered"] is None else fault["recovered"] for fault in faults)
    return ordered[(len(ordered) - 1) // 2], ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)], ordered[-1]


def _answers(answers: dict[str, Any]) -> str:
    lines = ["| submissions accepted | how many | p50 | p95 | p99 |", "|---|---:|---:|---:|---:|"]
    for name, words in (("quiet", "with no fault about"), ("redis", "while Redis was at fault")):
        spread = answers[name]
        figures = " | ".join(f"{spread[key] * 1000:.0f} ms" for key in ("p50", "p95", "p99") if key in spread)
        lines.append(f"| {words} | {spread['n']} | {figures or ' | | '} |")
    refused = ", ".join(f"{count} times {name}" for name, count in sorted(answers["refused"].items()))
    lines.append(
        f"\nOf other answers to submissions there were: {refused or 'none'}. All were sent again until they were accepted."
    )
    return "\n".join(lines)


def _killers(found: dict[str, Any]) -> str:
    verdict, killers = found["verdict"], found["killers"]
    head = (
        f"One job of {verdict['items']:,} items with {len(killers)} that kill whoever decodes them, default leases, in "
        f"{found['seconds']} s, seed {found['seed']}: {found['failed_innocents']} innocent items failed, "
        f"{verdict['lost']} were lost, {verdict['doubled']} doubled, {verdict['wrong']} had another answer than was expected.\n"
    )
    lines = [head, "| an item that | what its result says |", "|---|---|"]
    lines += [f"| {KILLERS[killer['kind']]} | {killer['told']} |" for killer in killers]
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with what was measured in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{rendered()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
