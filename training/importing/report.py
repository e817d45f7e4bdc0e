"""Say what an import made: a table of its images by split and label, and what deserves attention."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.importing.publish import Report


def show(report: Report, out: Path, console: Console) -> None:
    """The tables and sentences of one import."""
    console.print(counts_table(report))
    if report.bad_rows:
        console.print(bad_rows_table(report))
        console.print(f"The bad rows are listed in {out / 'bad_rows.csv'}.", markup=False, soft_wrap=True)
    for sentence in remarks(report, out):
        console.print(sentence, markup=False, soft_wrap=True)


def counts_table(report: Report) -> Table:
    """Images by split and label, with sums."""
    labels = list(next(iter(report.images.values())))
    table = Table(title="Images", show_footer=True)
    table.add_column("split", footer="all")
    for label in labels:
        table.add_column(label, justify="right", footer=str(sum(counts[label] for counts in report.images.values())))
    table.add_column("all", justify="right", footer=str(sum(sum(counts.values()) for counts in report.images.values())))
    for split, counts in report.images.items():
        table.add_row(split, *(str(counts[label]) for label in labels), str(sum(counts.values())))
    return table


def bad_rows_table(report: Report) -> Table:
    """Bad rows by reason."""
    table = Table("reason", title="Bad rows")
    table.add_column("rows", justify="right")
    for reason, number in report.bad_rows.items():
        table.add_row(reason, str(number))
    return table


def remarks(report: Report, out: Path) -> list[str]:
    """What is no error but should be known."""
    found = []
    if report.duplicates:
        found.append(f"Images that repeat a picture: {report.duplicates}, listed in {out / 'duplicates.csv'}.")
    if report.left_out:
        found.append(f"Left out of them, because the picture is in another split: {report.left_out}.")
    if report.lone:
        found.append(
            f"Images that name no document: {report.lone}. Each counts as one, and lines of one writer may be in two splits."
        )
    empty = [split for split, counts in report.images.items() if not any(counts.values())]
    if empty:
        found.append(f"There are no images in {' and '.join(empty)}: nothing can be trained before there are.")
    return found
