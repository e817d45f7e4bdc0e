"""CATMuS, modern and contemporary: lines of documents of the 16th to the 21st century, handwritten, printed and typewritten."""

from typing import Any

from training.importing.hub import HubRow, HubSource, Place, encoded_image, text
from training.importing.rows import RawRow


def catmus(place: Place, columns: dict[str, str], licence: str) -> HubSource:
    """The rows of CATMuS; `columns` are those of image, label, group (the shelfmark), source, not_before and not_after.

    Rows without a shelfmark may belong to any document of their project: all of them count as one document, so that no split
    tears one apart.
    """

    def row_of(row: HubRow, split: str, name: str) -> RawRow:
        project = text(row, columns["source"])
        return RawRow(
            file=name,
            data=encoded_image(row, columns["image"]),
            label=text(row, columns["label"]).lower(),
            split=split,
            group=text(row, columns["group"]) or f"no shelfmark in {project or 'no project'}",
            source=project or place.dataset,
            century=century(row[columns["not_before"]], row[columns["not_after"]]),
            licence=licence,
        )

    return HubSource(place, columns, licence, row_of)


def century(not_before: Any, not_after: Any) -> str:
    """The century of two years, as in 18, or the first and the last, as in 16-18; empty where neither is a year."""
    years = [year for year in (_year(not_before), _year(not_after)) if year is not None]
    centuries = sorted({(year - 1) // 100 + 1 for year in years})
    return "-".join(str(number) for number in centuries)


def _year(value: Any) -> int | None:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
