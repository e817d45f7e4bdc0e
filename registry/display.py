"""What `penpress registry` shows: tables as wide as the terminal, or as `PIPED_COLUMNS` elsewhere."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

from rich.console import Console
from rich.table import Table

from registry.catalog import CHECKSUM_TAG
from registry.comparison import Comparison
from registry.examination import Findings
from registry.gates import GATES
from registry.overview import Entry
from registry.promotion import AGREEMENT_TAG, MARK_TAGS, OVERRULED_TAG, Mark, promotion_of
from registry.runs import Run
from registry.selection import TIE_RULE, Selection, summary

PIPED_COLUMNS = 160
_SHOWN_RUNS = 10
_SHOWN_DISAGREEMENTS = 50
_LISTED_METRICS = ("test.accuracy", "test.expected_calibration_error")
_TOLD_TAGS = (CHECKSUM_TAG, *MARK_TAGS, OVERRULED_TAG, AGREEMENT_TAG)


def show_selection(selection: Selection) -> None:
    """How the best run came to be it, on standard error: standard output is left to its id."""
    console = _console(stderr=True)
    table = _table("RUN", "NAME", "EXPERIMENT", selection.metric.upper(), "FINISHED", right=(3,))
    for run in selection.ranked[:_SHOWN_RUNS]:
        table.add_row(run.id, run.name, run.experiment, f"{run.metrics[selection.metric]:.6f}", _moment(run.ended_at))
    console.print(table)
    if len(selection.ranked) > _SHOWN_RUNS:
        console.print(f"… and {len(selection.ranked) - _SHOWN_RUNS} more.", style="dim")
    way = "more" if selection.higher_is_better else "less"
    console.print(f"The best of {len(selection.ranked)} runs by {selection.metric}, where {way} is better.")
    if selection.tied:
        console.print(f"{len(selection.tied)} more have the same value; {TIE_RULE} counts.")
    _show_left_out(console, selection)


def _show_left_out(console: Console, selection: Selection) -> None:
    if selection.left_out:
        console.print(summary(selection.left_out))
    for run, reason in selection.left_out[:_SHOWN_RUNS]:
        console.print(f"  {run.id}  {run.name}: {reason}", style="dim")


def show_entries(entries: Sequence[Entry]) -> None:
    """All versions as a table."""
    table = _table("VERSION", "STATE", "NAME", "ACCURACY", "CALIBRATION", "REGISTERED", "RUN", right=(0, 3, 4))
    for entry in entries:
        metrics = [_number(entry.run, name) for name in _LISTED_METRICS]
        name = entry.run.name if entry.run else ""
        table.add_row(
            entry.version.number, state(entry), name, *metrics, _moment(entry.version.created_at), entry.version.run_id or ""
        )
    _console().print(table if entries else "No version is registered yet.")


def show_entry(entry: Entry, others: Iterable[Entry]) -> None:
    """Everything that is known of one version, and which others are archived."""
    console, version, run = _console(), entry.version, entry.run
    facts = {
        "version": version.number,
        "state": state(entry),
        "name": run.name if run else "",
        "run": version.run_id or "",
        "experiment": run.experiment if run else "",
        "registered at": _moment(version.created_at),
        "promoted": _told(promotion_of(version)),
        "overruled gates": version.tags.get(OVERRULED_TAG, ""),
        "agreement": version.tags.get(AGREEMENT_TAG, ""),
        "archived": _told(entry.archived),
        "bundle SHA-256": version.tags.get(CHECKSUM_TAG, ""),
    }
    _show_facts(console, {name: fact for name, fact in facts.items() if fact})
    if run:
        _show_metrics(console, run.metrics)
        _show_group(console, "Parameters", dict(sorted(run.parameters.items())))
        _show_group(console, "Tags of the run", run.tags)
    rest = {key: value for key, value in version.tags.items() if key not in _TOLD_TAGS}
    _show_group(console, "Tags of the version", rest)
    _show_group(console, "Archived versions", {other.version.number: _told(other.archived) for other in others})


def show_findings(findings: Findings) -> None:
    """What each gate says, and what else is worth knowing."""
    console, table = _console(stderr=True), _table("GATE", "", "")
    for gate in GATES:
        table.add_row(gate, *_opinion(findings, gate))
    console.print(table)
    if findings.agreement:
        console.print(f"{findings.agreement_sentence}.")
        _show_unreadable(console, findings.agreement.unreadable)


def _opinion(findings: Findings, gate: str) -> tuple[str, str]:
    if gate in findings.objections:
        return "objects", findings.objections[gate]
    return ("stands aside", findings.aside[gate]) if gate in findings.aside else ("passes", "")


def show_comparison(comparison: Comparison, first: str, second: str) -> None:
    """Accuracy of both, agreement, McNemar's test, and the images that they answer differently."""
    console, n = _console(), comparison.images
    facts = {
        "images": str(n),
        f"accuracy of {first}": f"{comparison.first_right / n:.4f} ({comparison.first_right} right)",
        f"accuracy of {second}": f"{comparison.second_right / n:.4f} ({comparison.second_right} right)",
        "agreement": f"{comparison.agreement:.4f}",
        f"only {first} right": str(comparison.only_first_right),
        f"only {second} right": str(comparison.only_second_right),
        "McNemar's exact test": f"p = {comparison.p_value:.4g}",
    }
    _show_facts(console, facts)
    _show_disagreements(console, comparison, first, second)
    _show_unreadable(console, comparison.unreadable)


def _show_disagreements(console: Console, comparison: Comparison, first: str, second: str) -> None:
    if not comparison.disagreements:
        return
    table = _table("FILE", "TRUTH", first, "", second, "", right=(3, 5))
    for found in islice(comparison.disagreements, _SHOWN_DISAGREEMENTS):
        cells = [(verdict.predicted_class, f"{verdict.confidence:.3f}") for verdict in (found.first, found.second)]
        table.add_row(found.name, found.truth, *cells[0], *cells[1])
    console.print()
    console.print(table)
    more = len(comparison.disagreements) - _SHOWN_DISAGREEMENTS
    if more > 0:
        console.print(f"… and {more} more; --out disagreements.csv keeps them all.", style="dim")


def state(entry: Entry) -> str:
    """The aliases of a version, and whether it is archived."""
    return ", ".join([*entry.aliases, *(["archived"] if entry.archived else [])])


def _told(mark: Mark | None) -> str:
    if mark is None:
        return ""
    by, why = f" by {mark.by}" if mark.by else "", f": {mark.why}" if mark.why else ""
    return f"{_moment(mark.at)}{by}{why}"


def _show_unreadable(console: Console, names: Sequence[str]) -> None:
    if names:
        shown = ", ".join(names[:_SHOWN_RUNS]) + (", …" if len(names) > _SHOWN_RUNS else "")
        console.print(f"Could not be read and do not count: {len(names)} ({shown}).")


def _show_metrics(console: Console, metrics: Mapping[str, float]) -> None:
    """One column for each split, which is the first part of a metric's name."""
    named = {name: tuple(name.split(".", 1)) if "." in name else ("", name) for name in metrics}
    splits = list(dict.fromkeys(split for split, _ in named.values()))
    table = _table("METRIC", *(split.upper() for split in splits), right=range(1, len(splits) + 1))
    for name in sorted({name for _, name in named.values()}, key=lambda name: ("." in name, name)):
        found = [metrics.get(f"{split}.{name}" if split else name) for split in splits]
        table.add_row(name, *("" if value is None else f"{value:.6g}" for value in found))
    if metrics:
        console.print()
        console.print(table)


def _show_group(console: Console, title: str, facts: Mapping[str, str]) -> None:
    if facts:
        console.print(f"\n{title}", style="bold")
        _show_facts(console, facts)


def _show_facts(console: Console, facts: Mapping[str, str]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, fact in facts.items():
        grid.add_row(name, fact)
    console.print(grid)


def _table(*columns: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place in right else "left", overflow="fold")
    return table


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPED_COLUMNS, highlight=False, markup=False)


def _number(run: Run | None, name: str) -> str:
    return f"{run.metrics[name]:.4f}" if run and name in run.metrics else ""


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
