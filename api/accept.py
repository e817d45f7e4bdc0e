"""Which form of an answer a client asks for by its `Accept` header (RFC 9110)."""

import re
from typing import Literal

Format = Literal["json", "ndjson", "csv"]

_OFFERED: dict[Format, str] = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}
_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.\d*)?)\s*", re.IGNORECASE)


def negotiate(accept: str) -> Format:
    """The form of the highest quality, of equal ones the first listed; where none is acceptable, JSON."""
    ranges = [_parse(part) for part in accept.split(",")]
    ranked = [(_rank(media_type, ranges), form) for form, media_type in _OFFERED.items()]
    (quality, _), best = max(ranked, key=lambda entry: entry[0])
    return best if quality > 0 else "json"


def _parse(part: str) -> tuple[str, float]:
    media_range, *parameters = part.split(";")
    found = next((match for match in map(_QUALITY.fullmatch, parameters) if match), None)
    return media_range.strip().lower(), float(found[1]) if found else 1.0


def _rank(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """The quality that the closest range gives, and how far in front it stands."""
    for wanted in (media_type, f"{media_type.split('/')[0]}/*", "*/*"):
        for place, (media_range, quality) in enumerate(ranges):
            if media_range == wanted:
                return quality, -place
    return 0.0, 0
