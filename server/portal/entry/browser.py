"""What a request tells of where it comes from, as far as it is used: a few words for a list, and a network for counting."""

import ipaddress
from typing import Final

from starlette.requests import Request

# The first that is found counts; every browser calls itself by several of these names.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_LONGEST: Final = 512
_IPV4: Final = 24
_IPV6: Final = 64
_NOWHERE: Final = "nowhere"


def label_of(request: Request) -> str:
    """The browser in words of ours, such as `Firefox, Linux`; nothing that was sent stands in it."""
    told = request.headers.get("user-agent", "")[:_LONGEST]
    found = [next((name for mark, name in known if mark in told), "") for known in (_BROWSERS, _SYSTEMS)]
    return ", ".join(filter(None, found)) or "?"


def network_of(request: Request, proxies: int) -> str:
    """The network that a request comes from: of IPv4 the first 24 bits, of IPv6 the first 64.

    Behind proxies the address that the outermost of them was asked from, counted from the end of X-Forwarded-For: what
    stands before it anybody could have written.
    """
    address = request.client.host if request.client is not None else ""
    if proxies:
        told = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        address = told[-proxies].strip() if len(told) >= proxies else ""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return _NOWHERE
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    bits = _IPV4 if found.version == 4 else _IPV6  # noqa: PLR2004 - IPv4
    return str(ipaddress.ip_network((found, bits), strict=False))


__all__ = ["label_of", "network_of"]
