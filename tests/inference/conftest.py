"""pytest makes warnings errors for each test anew, in front of the filter that the program sets once when it is imported."""

import pytest

from inference.images import ignore_pillow_warnings


@pytest.fixture(autouse=True)
def pillow_filter() -> None:
    ignore_pillow_warnings()
