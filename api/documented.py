"""The refusals of each endpoint in the OpenAPI document, with examples made from the errors themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from sqlalchemy.exc import DBAPIError

from api.errors import Problem, problem_of

_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def problems(*errors: type[Exception] | Exception) -> dict[int | str, dict[str, Any]]:
    """An endpoint's refusals: error classes, or an error where its docstring alone is no good example."""
    by_status: dict[int | str, list[Problem]] = {}
    for error in errors:
        problem = problem_of(sample(error) if isinstance(error, type) else error)
        by_status.setdefault(problem.status, []).append(problem)
    return {status: _answer(found) for status, found in by_status.items()}


def family(error: type[Exception]) -> list[type[Exception]]:
    """The class and all of its module that derive from it."""
    children = (child for child in error.__subclasses__() if child.__module__ == error.__module__)
    return [error, *(member for child in children for member in family(child))]


def sample(kind: type[Exception]) -> Exception:
    """An error of that class, with its docstring as its message."""
    return kind("", None, Exception()) if issubclass(kind, DBAPIError) else kind(kind.__doc__)


def _answer(found: list[Problem]) -> dict[str, Any]:
    examples = {problem.reason: problem.model_dump(mode="json", exclude_none=True) for problem in found}
    content: dict[str, Any] = {"schema": _SCHEMA}
    if len(examples) == 1:
        content["example"] = examples.popitem()[1]
    else:
        content["examples"] = {reason: {"value": value} for reason, value in examples.items()}
    return {"description": found[0].title, "content": {"application/problem+json": content}}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schemas["Problem"].pop("$defs", {})
        app.openapi_schema = document
    return app.openapi_schema
