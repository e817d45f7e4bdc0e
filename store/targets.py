"""The URL of a webhook, taken apart once, so that what was checked is what is called."""

from dataclasses import dataclass

import httpx

from store.webhook_errors import BadWebhookUrl, HttpsRequired

_MAX_URL = 2048  # bytes; the index that finds an owner's endpoints takes about 2,700
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL, all in ASCII as they are sent; `host` is without brackets."""

    scheme: str
    host: str
    port: int
    path: bytes

    @property
    def host_header(self) -> str:
        """The host as HTTP wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole, as it is stored: the same URL taken apart again gives the same parts."""
        return f"{self.scheme}://{self.host_header}{self.path.decode('ascii')}"

    @property
    def authority(self) -> str:
        """Host and port: what is up or down."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(url: str, *, http_allowed: bool) -> Target:
    """The parts of a webhook's URL. Raises `BadWebhookUrl` or `HttpsRequired`."""
    if not 0 < len(url) <= _MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        raise BadWebhookUrl(BadWebhookUrl.__doc__)
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise BadWebhookUrl(f"{BadWebhookUrl.__doc__} ({error})") from error
    port = _DEFAULT_PORTS.get(parsed.scheme, 0) if parsed.port is None else parsed.port
    if not 0 < port < 65536 or not parsed.raw_host or parsed.userinfo or parsed.fragment or parsed.scheme not in _DEFAULT_PORTS:
        raise BadWebhookUrl(BadWebhookUrl.__doc__)
    if parsed.scheme == "http" and not http_allowed:
        raise HttpsRequired(HttpsRequired.__doc__)
    target = Target(parsed.scheme, parsed.raw_host.decode("ascii"), port, parsed.raw_path)
    if len(target.url) > _MAX_URL:  # a character of another script is sent as up to twelve
        raise BadWebhookUrl(BadWebhookUrl.__doc__)
    return target
