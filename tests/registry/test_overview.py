"""What there is, as the command line and the API see it."""

from collections.abc import Callable

import pytest

from registry import overview
from registry.catalog import Catalog
from registry.errors import NoSuchAlias, NoSuchVersion, RegistryUnavailable
from registry.overview import Overview, archived, in_production, read_entries, read_entry
from registry.promotion import promote
from tests.registry.conftest import MakeBundle


@pytest.fixture
def catalog(tracking_uri: str) -> Catalog:
    return Catalog(tracking_uri)


@pytest.fixture
def two(catalog: Catalog, make_bundle: MakeBundle) -> list[str]:
    """Two versions that were promoted one after the other."""
    numbers = [catalog.register_bundle(make_bundle(name), parameters={"seed": "1"}, tags={}).number for name in ("a", "b")]
    for number in numbers:
        promote(catalog, number)
    return numbers


def test_an_empty_registry_is_empty(catalog: Catalog) -> None:
    assert read_entries(catalog) == []
    with pytest.raises(NoSuchAlias):
        read_entry(catalog)


@pytest.mark.usefixtures("two")
def test_every_version_has_its_aliases_run_and_marks(catalog: Catalog) -> None:
    newest, oldest = entries = read_entries(catalog)
    assert (newest.version.number, newest.aliases, newest.archived) == ("2", ("prod",), None)
    assert (oldest.version.number, oldest.aliases) == ("1", ("previous",))
    assert oldest.archived is not None
    assert newest.run is not None
    assert (newest.run.name, newest.run.parameters, newest.run.metrics["test.accuracy"]) == ("b", {"seed": "1"}, 0.5)
    assert in_production(entries) == newest
    assert archived(entries) == [oldest]


@pytest.mark.usefixtures("two")
def test_a_version_is_found_by_number_and_alias(catalog: Catalog) -> None:
    assert read_entry(catalog, "1") == read_entry(catalog, "previous")
    assert read_entry(catalog) == read_entry(catalog, "2")
    with pytest.raises(NoSuchVersion):
        read_entry(catalog, "3")
    with pytest.raises(NoSuchAlias):
        read_entry(catalog, "nowhere")


def test_what_is_in_production_is_not_archived_whatever_its_tags_say(catalog: Catalog, two: list[str]) -> None:
    catalog.set_tag(two[1], "archived_at", "2026-11-23T10:00:00+00:00")  # as a promotion leaves it that was cut short
    assert read_entry(catalog).archived is None


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_service_asks_no_more_often_than_it_should(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    asked: list[Catalog] = []
    monkeypatch.setattr(overview, "read_entries", lambda catalog: asked.append(catalog) or [])
    service = Overview(catalog, seconds=seconds)
    assert [service.entries() for _ in range(3)] == [[], [], []]
    assert len(asked) == (1 if seconds else 3)


def test_a_failure_is_remembered_too(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([RegistryUnavailable("down")])
    monkeypatch.setattr(overview, "read_entries", raising(lambda: next(failures)))
    service = Overview(catalog, seconds=60)
    for _ in range(2):
        with pytest.raises(RegistryUnavailable, match="down"):
            service.entries()


def raising(error: Callable[[], Exception]) -> Callable[[Catalog], None]:
    def raise_it(_catalog: Catalog) -> None:
        raise error()

    return raise_it
