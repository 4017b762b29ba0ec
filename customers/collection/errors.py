"""What can go wrong with a tracking plan.

CustomersError (customers/errors.py)
├── PlanInvalidError          the file is not a plan; lists every fault
├── PlanNotFoundError         there is no plan of this name, or no such version of it
├── PlanConflictError         another version was put at the same time; nothing was stored
└── PlanDeclassifiesError     values that were sealed would be stored in clear, and nobody said that they may
"""

from collections.abc import Iterable

from customers.errors import CustomersError


class PlanInvalidError(CustomersError):
    """A plan cannot be used; `faults` lists everything that is wrong with it, each with its place."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n".join((f"the tracking plan has {count}:", *(f"  {fault}" for fault in self.faults))))


class PlanNotFoundError(CustomersError):
    """There is no such plan, or no such version of it."""

    def __init__(self) -> None:
        super().__init__("there is no such tracking plan, or no such version of it")


class PlanConflictError(CustomersError):
    """Somebody else put a version of this plan at the same time; nothing was stored."""

    def __init__(self) -> None:
        super().__init__("another version of this tracking plan was put at the same time; look at it, and put again")


class PlanDeclassifiesError(CustomersError):
    """These properties were sealed in the last version that had them, and would be stored in clear from now on."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(paths)
        super().__init__(
            f"values that were sealed would be stored in clear: {', '.join(self.paths)}; "
            "say --declassify if that is meant"
        )
