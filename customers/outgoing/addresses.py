"""Which addresses may be asked: what a name stands for is decided by the numbers it resolves to. Pure.

The lists are IANA's registries of special-purpose addresses (RFC 6890), and the addresses at which cloud providers tell
a machine its own secrets. Of IPv6 only global unicast is public; whatever is not known to be is not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Self

import httpx

from customers.outgoing.errors import AddressRefusedError

_PORTS: Final = {"https": 443, "http": 80}
_HIGHEST_PORT: Final = 65_535
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,252})")
# Older parsers take "2130706433", "0x7f.1" and "0177.0.0.1" for addresses. Who means one writes it as everybody does.
_NUMBER_LAST: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")


class Reach(StrEnum):
    """From where an address can be reached."""

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"
    """Nothing that we ask is there: no host's address, or one that gives a machine's own secrets to who asks from it."""


_NEVER_4: Final = tuple(
    IPv4Network(each)
    for each in (
        *("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("100.100.100.200/32", "168.63.129.16/32"),
    )
)
_PRIVATE_4: Final = tuple(
    IPv4Network(each) for each in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
_NEVER_6: Final = tuple(
    IPv6Network(each)
    for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fd00:ec2::/32", "fd20:ce::/32")
)
_PRIVATE_6: Final = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_PUBLIC_6: Final = IPv6Network("2000::/3")
_TRANSLATED_6: Final = IPv6Network("64:ff9b::/96")


def reach(address: str) -> Reach:
    """From where an address, written in numbers, can be reached; one that contains another is the other.

    Args:
        address: As a resolver gives it, maybe with a zone (`fe80::1%eth0`).
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return Reach.NEVER
    if isinstance(found, IPv4Address):
        return _reach_4(found)
    if found.ipv4_mapped is not None:
        return _reach_4(found.ipv4_mapped)
    if found in _TRANSLATED_6:  # RFC 6052: only for public ones
        behind = _reach_4(IPv4Address(int(found) & 0xFFFFFFFF))
        return behind if behind is Reach.PUBLIC else Reach.NEVER
    return _reach_6(found)


def _reach_4(address: IPv4Address) -> Reach:
    if any(address in each for each in _NEVER_4):
        return Reach.NEVER
    return Reach.PRIVATE if any(address in each for each in _PRIVATE_4) else Reach.PUBLIC


def _reach_6(address: IPv6Address) -> Reach:
    if any(address in each for each in _NEVER_6):
        return Reach.NEVER
    if any(address in each for each in _PRIVATE_6):
        return Reach.PRIVATE
    return Reach.PUBLIC if address in _PUBLIC_6 else Reach.NEVER


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host and a port: who is asked."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, address: str | httpx.URL) -> Self:
        """The origin of an address.

        Raises:
            AddressRefusedError: It is none that can be asked: not http or https, with a user name, or with a number in
                place of a host that is written otherwise than addresses are.
        """
        try:
            url = httpx.URL(address)
            host = url.raw_host.decode("ascii").lower()
        except (httpx.InvalidURL, ValueError, TypeError):
            raise AddressRefusedError("the address cannot be read") from None
        if url.scheme not in _PORTS or not (":" in host or _HOST.fullmatch(host)):
            raise AddressRefusedError("an address begins with https:// and names a host")
        if url.userinfo:
            raise AddressRefusedError("an address holds no user name and no password")
        if ":" not in host and _NUMBER_LAST.fullmatch(host):
            try:
                IPv4Address(host)
            except ValueError:
                raise AddressRefusedError("a number is no host; an address has four, in decimal") from None
        port = _PORTS[url.scheme] if url.port is None else url.port
        if not 0 < port <= _HIGHEST_PORT:
            raise AddressRefusedError("there is no such port")
        return cls(url.scheme, host, port)


class Allowed:
    """Which origins may be asked: those in public networks over https, and whichever the operator names."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        """Take the origins that may be asked although they are in a private network, or answer without TLS.

        Raises:
            AddressRefusedError: One of them is none.
        """
        self._named = frozenset(Origin.of(each) for each in origins)
        self._places = frozenset((each.host, each.port) for each in self._named)

    def check(self, origin: Origin) -> None:
        """Return only if this origin may be asked, wherever it turns out to be.

        Raises:
            AddressRefusedError: It may not.
        """
        if origin.scheme != "https" and origin not in self._named:
            raise AddressRefusedError("without TLS only an origin is asked that the operator has named")

    def admitted(self, host: str, port: int, addresses: Iterable[str]) -> list[str]:
        """The addresses that a name stands for, if all of them may be asked.

        Raises:
            AddressRefusedError: One of them may not. A name that is public and private at once is somebody's trick.
        """
        found = list(addresses)
        good = {Reach.PUBLIC, Reach.PRIVATE} if (host, port) in self._places else {Reach.PUBLIC}
        if any(reach(each) not in good for each in found):
            raise AddressRefusedError(
                "this host is in a network where only hosts are asked that the operator has named"
            )
        return found
