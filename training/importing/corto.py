"""Corto: handwritten lines in grey, without a word on the documents they are from."""

from training.importing.hub import HubRow, HubSource, Place, encoded_image
from training.importing.rows import RawRow


def corto(place: Place, columns: dict[str, str], licence: str) -> HubSource:
    """The rows of Corto in its own splits. It names no documents: each picture counts as one."""

    def row_of(row: HubRow, split: str, name: str) -> RawRow:
        data = encoded_image(row, columns["image"])
        return RawRow(name, data, label="handwritten", split=split, source=place.dataset, licence=licence)

    return HubSource(place, columns, licence, row_of)
