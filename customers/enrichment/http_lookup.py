"""Values out of another service, asked over HTTP with one key at a time; it answers with a JSON object.

Only the stated key fields are sent, to one address, by the client that reaches no private network unless the operator
has named the host. A service's own key comes from a file or the environment, goes into one header, and nowhere else.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import msgspec

from customers.enrichment.errors import LookupFailedError, ProviderUnusableError
from customers.enrichment.provider import Before, Key, Value
from customers.outgoing import Answer, Limits, Origin, OutgoingClient, OutgoingError, Request

_UNKNOWN: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND})
_LONGEST_SECRET: Final = 8_192


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a service's key is: `env:NAME` or `file:/path`. The key itself is never part of a definition."""

    place: str

    def read(self) -> str:
        """The key.

        Raises:
            ProviderUnusableError: There is none.
        """
        kind, _, name = self.place.partition(":")
        if kind == "env":
            found = os.environ.get(name, "")
        else:
            try:
                with Path(name).open(encoding="utf-8") as file:
                    found = file.read(_LONGEST_SECRET)
            except (OSError, UnicodeDecodeError):
                raise ProviderUnusableError("the file with the service's key cannot be read") from None
        found = found.strip()
        if not found or not found.isascii() or not found.isprintable():
            raise ProviderUnusableError("there is no key for the service where the enrichment says")
        return found


@dataclass(frozen=True, slots=True)
class Service:
    """How a service is asked.

    Attributes:
        url: Its address, without the key.
        method: GET puts the key's parts into the query, POST into a JSON object.
        secret: Where its own key is, if it wants one.
        header: Which header that goes into.
        prefix: What stands before it there.
    """

    url: str
    method: str = "GET"
    secret: Secret | None = None
    header: str = "Authorization"
    prefix: str = "Bearer "


@dataclass
class HttpLookupProvider:
    """Asks a service; see `Provider`."""

    service: Service
    client: OutgoingClient
    limits: Limits
    wanted: Collection[str]
    _headers: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def recipient(self) -> str:
        """The service's host."""
        return Origin.of(self.service.url).host

    @property
    def at_once(self) -> int:
        """As many as the client sends at once."""
        return self.limits.at_once

    async def __aenter__(self) -> Self:
        """Read the service's key.

        Raises:
            ProviderUnusableError: There is none.
        """
        self._headers = {"Accept": "application/json"}
        if self.service.secret is not None:
            self._headers[self.service.header] = self.service.prefix + self.service.secret.read()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the key, and close the client."""
        self._headers = {}
        await self.client.close()

    async def look_up(self, key: Key, *, before: Before) -> Mapping[str, Value] | None:
        """Ask about a key; see `Provider`."""
        try:
            answer = await self.client.send(self._request(key), before=before)
        except OutgoingError as error:
            raise LookupFailedError from error
        if answer.status in _UNKNOWN:
            return None
        if answer.status != HTTPStatus.OK:
            raise LookupFailedError
        return self._values(answer)

    def _request(self, key: Key) -> Request:
        url, headers = self.service.url, self._headers
        if self.service.method == "GET":
            mark = "&" if "?" in url else "?"
            return Request("GET", f"{url}{mark}{urlencode(key)}", headers)
        body = msgspec.json.encode(dict(key))
        return Request("POST", url, {**headers, "Content-Type": "application/json"}, body, repeatable=True)

    def _values(self, answer: Answer) -> Mapping[str, Value] | None:
        try:
            said = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise LookupFailedError from None
        if said is None or said == {}:
            return None
        if not isinstance(said, dict):
            raise LookupFailedError
        found = {name: _at(said, name) for name in self.wanted}
        return {name: value for name, value in found.items() if isinstance(value, str | int | float) and value != ""}


def _at(said: Any, path: str) -> Any:
    """What stands at a path such as `address.region`; None where nothing does."""
    for name in path.split("."):
        if not isinstance(said, dict):
            return None
        said = said.get(name)
    return said
