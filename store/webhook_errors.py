"""Why a webhook is refused.

WebhookRefused
  BadWebhookUrl  HttpsRequired  AddressRefused  NoWebhookSecret  EndpointDisabled
"""


class WebhookRefused(Exception):
    """Nothing can be sent to that address."""

    reason = "webhook_refused"


class BadWebhookUrl(WebhookRefused):
    """A webhook's URL is http or https with a host, without user, password and fragment, at most 2048 bytes as it is sent."""

    reason = "webhook_url_invalid"


class HttpsRequired(WebhookRefused):
    """A webhook's URL must begin with https://; an operator may allow http with PENPRESS_WEBHOOK_HTTP_ALLOWED."""

    reason = "webhook_https_required"


class AddressRefused(WebhookRefused):
    """The host is, or leads to, an address that is not public; operators allow networks with PENPRESS_WEBHOOK_NETWORKS."""

    reason = "webhook_address_refused"


class NoWebhookSecret(WebhookRefused):
    """Nothing could be signed: without keys, webhooks need PENPRESS_WEBHOOK_SECRET."""

    reason = "webhook_secret_missing"


class EndpointDisabled(WebhookRefused):
    """The endpoint was switched off; POST /webhooks/endpoints/{id}/enable switches it on again."""

    reason = "webhook_endpoint_disabled"
