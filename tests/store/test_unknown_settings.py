import pytest

from store.unknown_settings import unknown_settings

KNOWN = ("PENPRESS_PORT", "PENPRESS_MAX_PAGES", "MLFLOW_TRACKING_URI")


@pytest.mark.parametrize(
    "name", ["PENPRESS_PORT", "penpress_port", "PENPRESS_KEY", "PENPRESS_FAULTS", "PENPRESS_TEST_DATA", "PENPRES_PORT"]
)
def test_what_is_known_or_not_ours_is_passed_over(name: str) -> None:
    assert unknown_settings(KNOWN, {name: "1"}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PENPRESS_API_SERVICE_HOST", "10.0.0.1"),
        ("PENPRESS_API_SERVICE_PORT", "8000"),
        ("PENPRESS_API_SERVICE_PORT_HTTP", "8000"),
        ("PENPRESS_API_PORT", "tcp://10.0.0.1:8000"),
        ("PENPRESS_API_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("PENPRESS_API_PORT_8000_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_what_kubernetes_says_of_its_services_is_passed_over(name: str, value: str) -> None:
    assert unknown_settings(KNOWN, {name: value}) == []


def test_the_nearest_name_is_named() -> None:
    assert unknown_settings(KNOWN, {"penpress_max_page": "1", "PENPRESS_API_PORT": "8000"}) == [
        "PENPRESS_API_PORT is no setting; was PENPRESS_PORT meant?",
        "PENPRESS_MAX_PAGE is no setting; was PENPRESS_MAX_PAGES meant?",
    ]


@pytest.mark.parametrize("name", ["PENPRESS_COLOUR", "PENPRESS_FOO"])
def test_where_no_name_is_near_the_list_is_named(name: str) -> None:
    assert unknown_settings(KNOWN, {name: None}) == [f"{name} is no setting; docs/settings.md lists those that there are."]
