from tests.chaos.report import PAGE, filled


def test_the_page_says_what_the_runs_found() -> None:
    page = PAGE.read_text()
    assert filled(page) == page
