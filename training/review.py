"""The review list of a label audit: a CSV, a page with the pictures that needs nothing else, and a table for the terminal."""

import base64
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from rich.table import Table

from inference.bundle import InputSpec
from training.audit import Audit, Suspect
from training.data import decoded

_THUMBNAIL_PIXELS = (960, 160)
_THUMBNAIL_QUALITY = 80
_DOCUMENTS = 10


def write_list(audit: Audit, labels: Sequence[str], path: Path) -> None:
    """All suspects as CSV, in the order given."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "split", "label", "suggested", *(f"p_{label}" for label in labels), "group", "source"))
        for suspect in audit.suspects:
            sample = suspect.image.sample
            shares = [f"{suspect.probabilities[label]:.4f}" for label in labels]
            place = (sample.name, suspect.image.split, suspect.label, suspect.suggested)
            writer.writerow((*place, *shares, sample.group, sample.source))


def write_page(audit: Audit, spec: InputSpec, path: Path, *, at_most: int) -> None:
    """The first `at_most` suspects as one HTML file that loads nothing and runs nothing."""
    style = files("training").joinpath("review.css").read_text(encoding="utf-8")
    shown = audit.suspects[:at_most]
    page = Template(files("training").joinpath("review.html").read_text(encoding="utf-8")).substitute(
        title="Labels to review",
        style=style,
        style_sha256=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        summary=escape(_summary(audit, len(shown))),
        items="\n".join(_item(suspect, spec) for suspect in shown),
    )
    path.write_text(page, encoding="utf-8")


def suspects_table(audit: Audit, labels: Sequence[str]) -> Table:
    """How many labels are suspected, by split and label."""
    everything = Counter((image.split, labels[image.sample.target]) for image in audit.images)
    suspected = Counter((suspect.image.split, suspect.label) for suspect in audit.suspects)
    table = Table("split", "label", title="Suspected labels")
    for name in ("images", "suspected", "share"):
        table.add_column(name, justify="right")
    for (split, label), number in everything.items():
        found = suspected[split, label]
        table.add_row(split, label, str(number), str(found), f"{found / number:.2%}")
    return table


def documents_table(audit: Audit) -> Table:
    """The documents with the most suspected labels."""
    everything = Counter(image.sample.group for image in audit.images)
    suspected = Counter(suspect.image.sample.group for suspect in audit.suspects)
    table = Table("document", title="Documents with the most suspected labels")
    table.add_column("images", justify="right")
    table.add_column("suspected", justify="right")
    for group, found in suspected.most_common(_DOCUMENTS):
        table.add_row(group, str(everything[group]), str(found))
    return table


def _summary(audit: Audit, shown: int) -> str:
    found = len(audit.suspects)
    more = f" Here are the first {shown}; the CSV has all." if shown < found else ""
    return (
        f"{found} of {len(audit.images)} labels are suspect; the least probable comes first.{more} "
        f"The model that was asked agrees with {audit.agreement:.1%} of the labels."
    )


def _item(suspect: Suspect, spec: InputSpec) -> str:
    sample, share = suspect.image.sample, suspect.probabilities[suspect.suggested]
    known = [sample.name, suspect.image.split, sample.group]
    known += [] if sample.source in sample.group else [sample.source]
    known += [f"century {sample.century}"] if sample.century else []
    return (
        f"<li><p><span>labelled <b>{escape(suspect.label)}</b>, looks <strong>{escape(suspect.suggested)}</strong></span>"
        f'<progress value="{share:.4f}"></progress><span class="share">{share:.1%}</span></p>'
        f'<img src="{_thumbnail(sample.read(), spec)}" alt="{escape(sample.name)}">'
        f"<small>{escape(' · '.join(known))}</small></li>"
    )


def _thumbnail(data: bytes, spec: InputSpec) -> str:
    picture = decoded(data, spec)
    picture.thumbnail(_THUMBNAIL_PIXELS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_THUMBNAIL_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
