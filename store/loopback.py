"""Whether an address means this machine alone: that is all that a service without keys answers on."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=64)  # asked several times of every request, about the same few names
def is_loopback(host: str) -> bool:
    """For an address, or a name; of names only localhost and those below it are sure to mean this machine."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
