"""What the page says, against what the service and the guides say."""

import re
from pathlib import Path

from api import app as app_module
from inference.review import ReviewReason

ROOT = Path(__file__).parents[2]
WEB = Path(app_module.__file__).parent / "web"


def test_the_page_explains_every_review_reason_in_the_words_of_the_guide() -> None:
    told = dict(re.findall(r'^  (\w+): "(.+)",$', (WEB / "reasons.js").read_text(), re.MULTILINE))
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/review.md").read_text(), re.MULTILINE)
    assert told == dict(rows)
    assert set(told) == set(ReviewReason)


def test_every_element_that_a_script_asks_for_is_on_its_page() -> None:
    for script, page in (("page.js", "index.html"), ("docs.js", "docs.html")):
        asked = set(re.findall(r'\$\("([\w-]+)"\)', (WEB / script).read_text()))
        assert asked
        assert asked <= set(re.findall(r'\bid="([\w-]+)"', (WEB / page).read_text()))
