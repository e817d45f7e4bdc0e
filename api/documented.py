"""The refusals of each endpoint in the OpenAPI document, with examples made from the errors themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from sqlalchemy.exc import DBAPIError, OperationalError

from api.access import Access, access_to
from api.connections import head_too_large
from api.errors import Problem, problem_of
from api.identity import scope_missing, too_many_requests
from api.refusals import KeyMissing, KeyRevoked, KeysRequired, KeyUnknown, MalformedHttp, UntrustedHost
from store.keys import Scope

_ALWAYS_ANSWERED = "/livez"
_KEY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key, as `penpress keys create` shows it."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, in another header."},
}
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


def _describe_access(document: dict[str, Any]) -> None:
    """Say of every endpoint which key it needs, and how it refuses others."""
    document["components"]["securitySchemes"] = _KEY_SCHEMES
    for path, item in document["paths"].items():
        for method, operation in item.items():
            access = access_to(method.upper(), path)
            if access is not Access.OPEN:
                operation["security"] = [{name: []} for name in _KEY_SCHEMES]
            for status, answer in problems(*_refusals(path, access)).items():
                _add_answer(operation["responses"], str(status), answer)


def _refusals(path: str, access: Access | Scope) -> list[type[Exception] | Exception]:
    """Why an endpoint does not answer, whatever it is."""
    anybody: list[type[Exception] | Exception]
    anybody = [MalformedHttp, head_too_large(70_000, 65_536)]
    if path != _ALWAYS_ANSWERED:
        anybody += [KeysRequired, UntrustedHost, OperationalError]  # the database knows the keys
    if access is Access.OPEN:
        return anybody
    refusals = [*anybody, KeyMissing, KeyUnknown, KeyRevoked, too_many_requests(6000, 2)]
    if isinstance(access, Scope):
        refusals.append(scope_missing(access, frozenset(set(Scope) - {access})))
    return refusals


def _add_answer(responses: dict[str, Any], status: str, answer: dict[str, Any]) -> None:
    """Another refusal with a status that may be there already, with examples of its own."""
    there = responses.setdefault(status, answer)
    if there is not answer:
        old, new = (each["content"]["application/problem+json"] for each in (there, answer))
        there["content"]["application/problem+json"] = {"schema": _SCHEMA, "examples": _examples(old) | _examples(new)}


def _examples(content: dict[str, Any]) -> dict[str, Any]:
    if "example" in content:
        return {content["example"]["reason"]: {"value": content["example"]}}
    return dict(content["examples"])


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schemas["Problem"].pop("$defs", {})
        _describe_access(document)
        app.openapi_schema = document
    return app.openapi_schema
