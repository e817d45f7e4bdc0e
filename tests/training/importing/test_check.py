from tests.training.importing.sources import drawn, given_row
from training.importing.check import BadRow, GoodRow, examine


def good(**changes: object) -> GoodRow:
    row = examine(given_row(0, **changes))
    assert isinstance(row, GoodRow)
    return row


def test_a_good_row_keeps_its_bytes() -> None:
    columns = good(file="train/a.png", licence="CC0-1.0").columns()
    assert columns["image"] == {"bytes": drawn(0), "path": "a.png"}
    assert (columns["file"], columns["label"], columns["licence"]) == ("train/a.png", "handwritten", "CC0-1.0")


def test_a_lossless_copy_in_another_format_is_the_same_picture() -> None:
    others = [good(data=drawn(0, image_format)) for image_format in ("BMP", "TIFF")]
    assert {row.pixels for row in others} == {good().pixels}
    assert len({row.sha256 for row in [*others, good()]}) == 3
    assert good(data=drawn(1)).pixels != good().pixels


def test_without_a_document_copies_are_of_one() -> None:
    assert good(group="").columns()["group"] == good(group="", data=drawn(0, "BMP")).columns()["group"]
    assert good(group="").columns()["group"] != good(group="", data=drawn(1)).columns()["group"]


def test_a_bad_row_says_why() -> None:
    row = examine(given_row(0, label="painted"))
    assert row == BadRow("0.png", "unknown_label", "The label is 'painted'; known are handwritten, printed, typewritten.")
