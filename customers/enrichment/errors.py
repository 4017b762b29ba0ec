"""What can go wrong while enriching.

CustomersError
└── EnrichmentError
    ├── DefinitionInvalidError
    ├── EnrichmentRunningError
    ├── EnrichmentStoppedError
    ├── ProviderError
    │   ├── ProviderUnusableError
    │   └── LookupFailedError
    └── WithdrawnError
"""

from collections.abc import Iterable

from customers.errors import CustomersError


class EnrichmentError(CustomersError):
    """Something about enrichment; texts hold nothing of a customer and nothing that a provider answered."""


class DefinitionInvalidError(EnrichmentError):
    """A definition cannot be used; `problems` lists every fault that was found in it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the enrichment cannot be used:\n" + "\n".join(f"  {each}" for each in self.problems))


class EnrichmentRunningError(EnrichmentError):
    """Another process runs this enrichment."""

    def __init__(self) -> None:
        super().__init__(
            "this enrichment is running already; wait until it has ended, or for a minute if it was killed"
        )


class EnrichmentStoppedError(EnrichmentError):
    """A run ended early, because the provider no longer answers; the next run goes on where it ended."""

    def __init__(self) -> None:
        super().__init__("the provider has failed too often in a row; run it again later: it goes on where it ended")


class ProviderError(EnrichmentError):
    """Something about a provider."""


class ProviderUnusableError(ProviderError):
    """A provider cannot be opened as it is defined. `why` is a constant sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class LookupFailedError(ProviderError):
    """One key was not answered; another may be."""

    def __init__(self) -> None:
        super().__init__("the provider did not answer as it must")


class WithdrawnError(EnrichmentError):
    """Whoever was to be asked about may not be asked about any more; nothing was sent."""

    def __init__(self) -> None:
        super().__init__("the customer does not allow it any more, or is gone")
