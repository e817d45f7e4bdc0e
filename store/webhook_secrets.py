"""The secrets that sign webhooks, as Standard Webhooks writes them: `whsec_` and base64 of 24 to 64 bytes."""

import base64

_PREFIX = "whsec_"


def is_webhook_secret(text: str) -> bool:
    """Whether it can sign."""
    try:
        return text.startswith(_PREFIX) and 24 <= len(base64.b64decode(text.removeprefix(_PREFIX), validate=True)) <= 64
    except ValueError:
        return False
