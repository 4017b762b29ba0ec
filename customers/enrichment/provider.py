"""What a provider of data is: something that is asked about one key and says what it knows.

A provider knows nothing of customers, purposes or keys' owners: it is given a key that the run has read under the policy
and recorded, and the answer is checked, and written with its origin, by the run. A new provider is one file with one
class that does what this says, and passes tests/customers/enrichment/conformance.py.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

Key = tuple[tuple[str, str], ...]
"""What to look up by: the provider's own names (columns, parameters) with the customer's values, in a fixed order."""
Value = str | int | float | bool
Before = Callable[[], Awaitable[None]]


class Provider(Protocol):
    """Looks keys up. Open (as an asynchronous context manager) for as long as it is used."""

    @property
    def recipient(self) -> str | None:
        """To whom keys are sent, as the access log names it; None where they do not leave this machine."""

    @property
    def at_once(self) -> int:
        """How many look-ups it takes at once, at least 1."""

    async def __aenter__(self) -> Self:
        """Open what it reads from.

        Raises:
            ProviderUnusableError: It cannot be.
        """

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, leaving nothing behind."""

    async def look_up(self, key: Key, *, before: Before) -> Mapping[str, Value] | None:
        """What is known of a key.

        Args:
            key: What to look up by; no part of it is empty. Nothing else may be sent to anybody.
            before: A provider with a recipient awaits this right before each attempt to send a key; where it raises,
                nothing is sent and the error goes on to the caller.

        Returns:
            The wanted values by the provider's names, those it does not have left out; None where it does not know the
            key at all. Of a key that stands for several it knows none.

        Raises:
            LookupFailedError: It cannot say now.
        """
