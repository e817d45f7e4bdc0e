"""The one table from a route to what a key must be good for. A route that is not in it asks for `admin`; a test finds it."""

from enum import StrEnum

from store.keys import Scope


class Access(StrEnum):
    """Who may use a route, where it is not a matter of one scope."""

    OPEN = "open"  # everybody, without a key: it tells nothing of anybody's images
    ANY_KEY = "any key"


ACCESS: dict[str, Access | Scope] = {
    "GET /": Access.OPEN,
    "GET /docs": Access.OPEN,
    "GET /livez": Access.OPEN,
    "GET /readyz": Access.OPEN,
    "GET /health": Access.OPEN,
    "GET /info": Access.ANY_KEY,
    "GET /metrics": Scope.ADMIN,
    "GET /models": Scope.ADMIN,
    "GET /models/prod": Scope.READ,
    "POST /predict/": Scope.SUBMIT,
    "POST /jobs": Scope.SUBMIT,
    "GET /jobs": Scope.READ,
    "GET /jobs/{job_id}": Scope.READ,
    "GET /jobs/{job_id}/results": Scope.READ,
    "GET /jobs/{job_id}/events": Scope.READ,
    "POST /jobs/{job_id}/cancel": Scope.SUBMIT,
    "POST /jobs/{job_id}/retry": Scope.SUBMIT,
    "GET /jobs/{job_id}/webhooks": Scope.READ,
    "GET /webhooks/endpoints": Scope.READ,
    "POST /webhooks/endpoints/{endpoint_id}/enable": Scope.SUBMIT,
    "POST /webhooks/{event_id}/redeliver": Scope.SUBMIT,
    "GET /predictions/{prediction_id}": Scope.READ,
    "GET /predictions/{prediction_id}/image": Scope.READ,
    "GET /predictions/{prediction_id}/gradcam.png": Scope.READ,
}


def access_to(method: str, path: str) -> Access | Scope:
    """What the route with that method and template of a path asks for."""
    return ACCESS.get(f"{method} {path}", Scope.ADMIN)
