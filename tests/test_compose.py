import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for

from store.settings import Settings

_ROOT = Path(__file__).parent.parent
_PASSWORD = "POSTGRES_PASSWORD"

Service = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
    return read


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = document["services"]
    return found


@pytest.fixture(scope="module")
def ours(services: dict[str, Service]) -> dict[str, Service]:
    return {name: service for name, service in services.items() if "build" in service}


def test_the_file_follows_the_compose_specification(document: dict[str, Any]) -> None:
    package = find_spec("check_jsonschema")
    if package is None or package.origin is None:
        pytest.skip("check-jsonschema, which brings the schema, is not installed")
    schema = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = validator_for(rules := json.loads(schema.read_text()))(rules)
    assert [error.message for error in validator.iter_errors(document)] == []


def test_every_variable_of_ours_is_a_setting() -> None:
    settings = {f"PENPRESS_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bPENPRESS_\w+", (_ROOT / "docker-compose.yml").read_text())) <= settings


def test_every_image_is_a_target_of_the_dockerfile_under_its_name(ours: dict[str, Service]) -> None:
    targets = set(re.findall(r"^FROM runtime AS (\w+)$", (_ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in ours.values()} <= targets
    assert all(service["image"] == f"penpress:{service['build']['target']}" for service in ours.values())


def test_every_image_has_a_tag_that_means_a_version(services: dict[str, Service]) -> None:
    tags = {name: service["image"].partition(":")[2] for name, service in services.items()}
    assert {name for name, tag in tags.items() if tag in {"", "latest"}} == set()


def test_only_the_api_is_published_and_only_to_this_host(services: dict[str, Service]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8000:8000"]}


def test_databases_and_registry_have_no_way_out(document: dict[str, Any], services: dict[str, Service]) -> None:
    assert document["networks"]["inside"] == {"internal": True}
    assert all(services[name]["networks"] == ["inside"] for name in ("postgres", "redis", "mlflow"))


def test_every_service_that_stays_tells_its_health(services: dict[str, Service]) -> None:
    staying = {name for name, service in services.items() if service["restart"] == "unless-stopped"}
    assert {name for name in staying if "healthcheck" not in services[name]} == set()
    assert set(services) - staying == {"migrate", "bootstrap", "train"}


def test_every_dependency_can_be_met(services: dict[str, Service]) -> None:
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            met = "service_healthy" if "healthcheck" in services[name] else "service_completed_successfully"
            assert how == {"condition": met}


def test_every_service_is_confined(services: dict[str, Service]) -> None:
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_registry_answers_under_the_name_that_others_call(services: dict[str, Service]) -> None:
    uri = services["api"]["environment"]["MLFLOW_TRACKING_URI"]
    assert uri == f"http://{services['mlflow']['environment']['MLFLOW_SERVER_ALLOWED_HOSTS']}"
    assert uri in services["bootstrap"]["command"]


def test_no_password_is_written_down(document: dict[str, Any], services: dict[str, Service]) -> None:
    required = f"${{{_PASSWORD}:?"
    assert services["postgres"]["environment"][_PASSWORD].startswith(required)
    assert f"penpress:{required}" in document["x-environment"]["PENPRESS_DATABASE_URL"]


def test_every_named_volume_is_declared_and_used(document: dict[str, Any], services: dict[str, Service]) -> None:
    mounted = [volume for service in services.values() for volume in service.get("volumes", ()) if ":" in volume]
    assert {volume.partition(":")[0] for volume in mounted} == set(document["volumes"])
