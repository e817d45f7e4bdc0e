"""Secrets are no part of what is logged, nor of what an error repeats: whatever looks like one is cut out of the text."""

import logging
import re

# A secret begins a word, else `app_scan_box_0000000017.zip` would hold one. Escapes, too, end in letters and digits.
_BEFORE = "|".join(
    (
        "(?<![a-z0-9])",
        "(?<=%[0-9a-f]{2})",
        "(?<=%25[0-9a-f]{2})",  # escaped twice
        r"(?<=\\[a-z])",
        r"(?<=\\x[0-9a-f]{2})",
        r"(?<=\\u[0-9a-f]{4})",
    )
)
_SECRET = re.compile(rf"(?:{_BEFORE})(pp|whsec)(?:_|%5f)[a-z0-9_+/=%-]{{16,}}", re.IGNORECASE)


def redact(text: str) -> str:
    """The text without secrets of ours."""
    return _SECRET.sub(r"\1_[redacted]", text)


class RedactingFormatter(logging.Formatter):
    """Formats as another one does, tracebacks included, and redacts that."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """What the other one gives, without secrets."""
        return redact(self._inner.format(record))


def redact_logs() -> None:
    """Have what handlers there are redact. A key that a client puts into an address would else stand in an access log, and a
    webhook's secret in a traceback.
    """
    for name in ("", *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter))
