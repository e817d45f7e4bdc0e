"""Who calls, and what they may: `authorise` runs before every route of the app, `CallerDep` hands its finding to endpoints.

A key comes in `Authorization: Bearer` or `X-API-Key`, never in an address. While there is no key at all the service is open;
`api.locality` then sees to it that only this machine reaches it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import Depends, Request

from api.access import Access, access_to
from api.deps import Services, ServicesDep
from api.keyring import SECRET_SHAPE, Keyring
from api.refusals import KeyMissing, KeyRevoked, KeyUnknown, Limit, RateLimited, RequestRefused, ScopeMissing
from store.keys import KeyLimits, Scope
from store.models import Key


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is. `owner_id` owns what it makes and is all that it sees; None, where there are no keys, sees all."""

    owner_id: UUID | None
    name: str
    scopes: frozenset[str]
    limits: KeyLimits

    @classmethod
    def of(cls, key: Key) -> "Caller":
        """The holder of that key."""
        limits = KeyLimits(
            max_open_jobs=key.max_open_jobs,
            max_stored_bytes=key.max_stored_bytes,
            max_requests_per_minute=key.max_requests_per_minute,
        )
        return cls(key.id, key.name, frozenset(key.scopes), limits)

    @property
    def client(self) -> str:
        """Its name in tables that are kept for each client."""
        return str(self.owner_id) if self.owner_id else self.name


EVERYBODY = Caller(None, "anonymous", frozenset(Scope), KeyLimits())


async def authorise(request: Request, services: ServicesDep) -> None:
    """Find out who calls, and whether they may. Raises a `RequestRefused`."""
    access = access_to(request.method, request.scope["route"].path)
    if access is Access.OPEN:
        return
    caller = await run_sync(_caller, services.keyring, request)
    _demand_rate(services, caller)
    _demand_scope(caller, access)
    request.state.caller = caller


async def still_may(request: Request, services: Services) -> bool:
    """Whether whoever sent a request that has gone on for long would still be let in. Raises SQLAlchemy's errors."""
    try:
        caller = await run_sync(_caller, services.keyring, request)
        _demand_scope(caller, access_to(request.method, request.scope["route"].path))
    except RequestRefused:
        return False
    return True


async def get_caller(request: Request) -> Caller:
    """Whom `authorise` found. An open route has no caller, and asking for one there is a fault that shows at once."""
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]


def _caller(keyring: Keyring, request: Request) -> Caller:
    secret = presented_secret(request.headers)
    if secret is None:
        if keyring.has_keys():
            raise KeyMissing(_misplaced(request))
        return EVERYBODY
    found = keyring.find(secret)
    if found is None:
        raise KeyUnknown
    if found.key.revoked_at is not None:
        raise KeyRevoked
    if not found.is_current:
        raise KeyRevoked("This secret was replaced by a new one, and its time is over.")
    return Caller.of(found.key)


def presented_secret(headers: Mapping[str, str]) -> str | None:
    """What a request carries as its key, whatever it is; None if it carries nothing."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    return headers.get("x-api-key")


def _misplaced(request: Request) -> str | None:
    if SECRET_SHAPE.search(request.url.query):
        return f"{KeyMissing.__doc__} Addresses end in logs, so none is read from there: rotate the one that was sent."
    return None


def _demand_rate(services: Services, caller: Caller) -> None:
    if caller.owner_id is None:
        return
    most = caller.limits.max_requests_per_minute or services.settings.max_requests_per_minute
    wait = math.ceil(services.rates.take(caller.owner_id, per_minute=most))
    if wait:
        raise too_many_requests(most, wait)


def too_many_requests(per_minute: int, wait_seconds: int) -> RateLimited:
    """The refusal of a request above the key's rate."""
    limit = Limit(key="max_requests_per_minute", value=per_minute, unit="requests per minute")
    detail = f"This key may send {per_minute} requests a minute; the next one in {wait_seconds} s."
    return RateLimited(detail, headers={"Retry-After": str(wait_seconds)}, limit=limit)


def _demand_scope(caller: Caller, access: Access | Scope) -> None:
    if isinstance(access, Scope) and access not in caller.scopes:
        raise scope_missing(access, caller.scopes)


def scope_missing(scope: Scope, given: frozenset[str]) -> ScopeMissing:
    """The refusal of a key that is good for other things."""
    return ScopeMissing(f"This needs a key with the scope {scope.value}; this one has {', '.join(sorted(given)) or 'none'}.")
