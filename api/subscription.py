"""Whether a webhook can be sent where a client wants it: found out when the job is submitted, before its upload is read."""

from api.identity import Caller
from store.addresses import refuse_literal
from store.settings import Settings
from store.targets import parse_target
from store.webhook_errors import AddressRefused, BadWebhookUrl, EndpointDisabled, HttpsRequired, NoWebhookSecret

WEBHOOK_REFUSALS = (BadWebhookUrl, HttpsRequired, AddressRefused, NoWebhookSecret, EndpointDisabled)


def refuse_webhook(url: str, settings: Settings, caller: Caller) -> None:
    """Raises a `WebhookRefused`. A name is not resolved here: what counts is where it leads when the call is made."""
    target = parse_target(url, http_allowed=settings.webhook_http_allowed)
    refuse_literal(target.host, settings.webhook_allowed)
    if caller.owner_id is None and not settings.webhook_secrets:
        raise NoWebhookSecret(NoWebhookSecret.__doc__)
