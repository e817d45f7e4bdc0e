"""Variables that look like settings and are none: a misspelt limit must not be ignored in silence."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

_PREFIX = "PENPRESS_"
_READ_ELSEWHERE = frozenset(
    {
        "PENPRESS_KEY",  # by clients
        "PENPRESS_FAULTS",  # by store/faults.py
        "PENPRESS_TEST_DATA",  # by tests
    }
)
# Kubernetes describes each service of a namespace to its containers, and a service may well be called penpress-api.
_KUBERNETES_NAME = re.compile(r"_SERVICE_(HOST|PORT\w*)$|_PORT_\d+_(TCP|UDP|SCTP)\w*$")
_KUBERNETES_VALUE = re.compile(r"(tcp|udp|sctp)://")


def unknown_settings(known: Collection[str], variables: Mapping[str, str | None]) -> list[str]:
    """A sentence for each of `variables` (values by name, in any case) that is meant for Penpress and not one of `known`."""
    readable = {*known, *_READ_ELSEWHERE}
    names = sorted({name.upper() for name, value in variables.items() if not _is_from_kubernetes(name.upper(), value or "")})
    return [_sentence(name, known) for name in names if name.startswith(_PREFIX) and name not in readable]


def _is_from_kubernetes(name: str, value: str) -> bool:
    return bool(_KUBERNETES_NAME.search(name) or (name.endswith("_PORT") and _KUBERNETES_VALUE.match(value)))


def _sentence(name: str, known: Collection[str]) -> str:
    bare = {each.removeprefix(_PREFIX): each for each in known}  # what all of them begin with makes no two alike
    nearest = get_close_matches(name.removeprefix(_PREFIX), bare, n=1, cutoff=0.65)
    hint = f"was {bare[nearest[0]]} meant?" if nearest else "docs/settings.md lists those that there are."
    return f"{name} is no setting; {hint}"
