"""What a caller may look for: conditions and an order over profile fields, checked before anything is read."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from customers.caller import Caller
from customers.consent.model import allowed_documents
from customers.errors import FilterNotAllowedError, SortNotAllowedError
from customers.profiles.joined import MERGED_INTO
from customers.profiles.made import CUSTOMER
from policies import FieldGrant, Grant, Scope

CUSTOMERS: Final = frozenset({CUSTOMER})
_KIND: Final = "profile.kind"


class Comparison(StrEnum):
    """How a field is compared; the values are the database's own operators."""

    EQUALS = "$eq"
    ONE_OF = "$in"
    AT_LEAST = "$gte"
    BELOW = "$lt"


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a clear profile field with a value of the field's own type."""

    path: str
    comparison: Comparison
    value: Any


@dataclass(frozen=True, slots=True)
class IdentifierCondition:
    """Equality with an identifier; `path` is the field it stands for, `index` its blind index."""

    path: str
    index: str
    value: str


@dataclass(frozen=True, slots=True)
class Sort:
    """An order by a clear profile field, then by creation."""

    path: str
    descending: bool


@dataclass(frozen=True, slots=True)
class ProfileQuery:
    """A page of profiles: every condition holds, in the order given, `first` of them after a cursor."""

    conditions: tuple[Condition, ...] = ()
    identifier: IdentifierCondition | None = None
    sort: Sort | None = None
    first: int = 25
    after: str | None = None
    kinds: frozenset[str] | None = None
    """Whom to list: `CUSTOMERS`, visitors with them or alone; None for everybody there is, kinds unasked."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every field that the query uses, and so reads.

        A list of customers says of nobody more than that they are one, which being listed does anyway; to ask for
        visitors is to ask of each whether we know who they are.
        """
        used = [condition.path for condition in self.conditions]
        if self.kinds is not None and self.kinds != CUSTOMERS:
            used.append(_KIND)
        if self.identifier is not None:
            used.append(self.identifier.path)
        if self.sort is not None:
            used.append(self.sort.path)
        return tuple(used)

    def fingerprint(self, caller: Caller, purpose: str) -> bytes:
        """What a cursor is bound to: this caller, this purpose, these conditions in this order."""
        shape = [
            caller.actor,
            purpose,
            sorted((c.path, c.comparison.value, repr(c.value)) for c in self.conditions),
            None if self.identifier is None else [self.identifier.path, self.identifier.value],
            None if self.sort is None else [self.sort.path, self.sort.descending],
            None if self.kinds is None else sorted(self.kinds),
        ]
        return hashlib.sha256(msgspec.json.encode(shape)).digest()


def permitted_documents(query: ProfileQuery, grant: Grant, caller: Caller, now: datetime) -> dict[str, Any]:
    """The database query for the profiles this caller may find so at this moment.

    Filtering or sorting by a field reads it, so it takes the action `filter` on every field used, leaves out
    customers outside the grant's row scope, and leaves out customers whose rights do not allow the purpose. Somebody
    of whom the caller may never read anything is not listed either: that they are a customer is not told.

    Raises:
        FilterNotAllowedError: A condition uses a field the caller may not filter by.
        SortNotAllowedError: The order uses one.
    """
    _check(query, grant)
    # Who was merged into another is shown with that one.
    found: dict[str, Any] = {MERGED_INTO: None}
    for condition in query.conditions:
        name = condition.path.partition(".")[2]
        found.setdefault(name, {})[condition.comparison.value] = condition.value
    if query.kinds is not None:
        found["kind"] = {"$in": sorted(query.kinds)} if len(query.kinds) > 1 else next(iter(query.kinds), None)
    if query.sort is not None:
        # A customer who has no value has no place in the order.
        found.setdefault(query.sort.path.partition(".")[2], {}).setdefault("$ne", None)
    for path in query.paths:
        _narrow(found, _scopes([grant.filter[path]]), caller)
    _narrow(found, _scopes(granted for path, granted in grant.read.items() if path.startswith("profile.")), caller)
    if query.paths:
        found |= allowed_documents(grant.purpose, now)
    return found


def _check(query: ProfileQuery, grant: Grant) -> None:
    refused = [path for path in query.paths if not grant.filter[path]]
    if not refused:
        return
    if query.sort is not None and refused == [query.sort.path]:
        raise SortNotAllowedError(refused)
    raise FilterNotAllowedError(refused)


def _scopes(granted: Iterable[FieldGrant]) -> set[Scope]:
    return {alternative.scope for each in granted for alternative in each.alternatives}


def _narrow(found: dict[str, Any], scopes: set[Scope], caller: Caller) -> None:
    if Scope.ANY in scopes:
        return
    if Scope.REGION in scopes:
        region: dict[str, Any] = found.setdefault("region", {})
        region["$in"] = sorted(caller.regions.intersection(region.get("$in", caller.regions)))
    elif Scope.OWN in scopes and caller.customer_id is not None:
        found["_id"] = caller.customer_id
    else:
        found["_id"] = {"$in": []}
