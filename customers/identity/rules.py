"""Whose an event is, by what it says of them: rules without guessing, and without any I/O.

The kinds of identifiers have an order: external id, e-mail address, phone number, anonymous id. What holds whatever comes
and in whatever order:

- an identifier has one owner, and no event takes it from an identified person;
- two identified people are never joined here: the identifier of the higher kind says whose the event is, the other one
  stays with its owner, and a person looks at the case (`Case`);
- nobody gets a second external id of the same system;
- an anonymous id says which device it was, not who: next to anything that says who, it finds visitors only;
- an event that names an external id is that id's person's, in whatever order events come.

A visitor is somebody of whom there are anonymous ids and nothing else. A visitor whose device turns out to be an
identified person's is absorbed; one who says who they are becomes identified.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from customers.identity.model import Identifier, IdentifierType
from customers.identity.proving import REACHABLE as _REACHABLE
from customers.identity.proving import as_said

_EXTERNAL, _ANONYMOUS = IdentifierType.EXTERNAL_ID, IdentifierType.ANONYMOUS_ID
PRIORITY: Final = (_EXTERNAL, IdentifierType.EMAIL, IdentifierType.PHONE, _ANONYMOUS)
# How many a person may have. Of an external id's system it is one.
LIMITS: Final[Mapping[IdentifierType, int]] = {
    IdentifierType.EMAIL: 5,
    IdentifierType.PHONE: 5,
    IdentifierType.ANONYMOUS_ID: 50,
}
MAX_PARTS: Final = 50
"""How many others may be merged into one person: every one is read with them."""
# What programs write where they know nothing; one person would be made of everybody who has it.
BLOCKED: Final = frozenset(
    {"", "-", "null", "nil", "none", "undefined", "nan", "void", "anonymous", "anon", "unknown", "n/a", "na", "empty"}
    | {"true", "false", "test", "user", "guest", "default", "[object object]", "0", "-1"}
)
# Mailboxes that nobody reads, so that they tell nobody from anybody.
_NOBODY_READS: Final = frozenset({"noreply", "no-reply", "no_reply", "donotreply", "do-not-reply"}) | BLOCKED
_SAME_DIGITS: Final = 7


class CaseKind(StrEnum):
    """Why a person has to look. The values are stored."""

    TWO_PEOPLE = "two_people"
    """One event named two identified people."""
    ALIAS = "alias"
    """Somebody said that two identified people are one."""
    OVER_LIMIT = "over_limit"
    """Somebody has as many e-mail addresses or phone numbers as one may have, and got one more."""
    SIMILAR = "similar"
    """Two profiles look alike; see `customers.identity.matching`."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a person has to decide: about whom, and by which kind of identifier it came up."""

    kind: CaseKind
    customers: tuple[str, ...]
    by: IdentifierType


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody there is.

    Attributes:
        id: The customer's.
        own: The identifiers of their own profile, oldest first.
        inherited: Those of the profiles that were merged into it.
        parts: How many those are.
        restricted: Whether they restricted processing: nothing is added or joined then.
    """

    id: str
    own: tuple[Identifier, ...]
    inherited: tuple[Identifier, ...] = ()
    parts: int = 0
    restricted: bool = False

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """All of them."""
        return (*self.own, *self.inherited)

    @property
    def identified(self) -> bool:
        """Whether anything says who it is."""
        return any(each.type is not _ANONYMOUS for each in self.identifiers)

    def contradicts(self, claimed: Iterable[Identifier]) -> bool:
        """Whether they have another external id of a system that an external id among these is of."""
        mine, theirs = _systems(self.identifiers), _systems(claimed)
        return any(mine[system].isdisjoint(values) for system, values in theirs.items() if system in mine)


@dataclass(frozen=True)
class Identified:
    """What something says about whom it is.

    Attributes:
        identifiers: In normal form.
        previous: What an alias calls the same person; of several forms that may be meant, the first that is known.
        proven: Whether the sender can be believed. If not, no e-mail address or phone number is added to somebody who is
            identified already, and no external id by naming one of theirs: whoever has a browser could add their own to
            somebody else's profile.
    """

    identifiers: tuple[Identifier, ...]
    previous: tuple[Identifier, ...] = ()
    proven: bool = True

    @cached_property
    def claimed(self) -> tuple[Identifier, ...]:
        """What it says of whom it is that means somebody, the highest kind first."""
        return usable(self.identifiers)

    @cached_property
    def earlier(self) -> tuple[Identifier, ...]:
        """What an alias may mean, the highest kind first."""
        return usable(self.previous) if self.previous else ()

    @property
    def all(self) -> tuple[Identifier, ...]:
        """Everything that has to be looked up."""
        return (*self.claimed, *self.earlier)


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one item.

    Attributes:
        person: Whose it is; None where somebody has to be made.
        add: What they gain.
        demote: What they give up to stay within the limits.
        declined: What they do not gain, because of the limits or of who says so.
        absorb: Visitors who turn out to be them.
        cases: What a person has to decide. A customer `None` is the one that has to be made.
    """

    person: str | None
    add: tuple[Identifier, ...] = ()
    demote: tuple[Identifier, ...] = ()
    declined: tuple[Identifier, ...] = ()
    absorb: tuple[str, ...] = ()
    cases: tuple[tuple[CaseKind, str | None, IdentifierType], ...] = ()


def blocked(identifier: Identifier) -> bool:
    """Whether a value means nobody in particular."""
    match identifier.type:
        case IdentifierType.EMAIL:
            return identifier.value.partition("@")[0].casefold() in _NOBODY_READS
        case IdentifierType.PHONE:
            digits = identifier.value.partition(";")[0].lstrip("+")
            return len(set(digits[-_SAME_DIGITS:])) == 1
        case IdentifierType.EXTERNAL_ID:
            value = identifier.value.partition(":")[2].strip()
        case IdentifierType.ANONYMOUS_ID:
            value = identifier.value
    return means_nobody(value)


def means_nobody(value: str) -> bool:
    """Whether an id, without the space around it, is what programs write where they know nothing."""
    return value.casefold() in BLOCKED or not value.strip("0-")


def usable(identifiers: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """Those that mean somebody, once each, the highest kind first."""
    found = dict.fromkeys(each for each in identifiers if not blocked(each))
    return tuple(sorted(found, key=lambda each: PRIORITY.index(each.type)))


def decide(item: Identified, owners: Mapping[Identifier, Person]) -> Decision | None:
    """Whose an item is, and what follows from it; None where nothing in it says whose it is.

    Args:
        item: What it says.
        owners: Who has which of its identifiers.
    """
    claimed = item.claimed
    alias = _meant(item.earlier, owners)
    considered = claimed if alias is None or alias in claimed else usable((*claimed, alias))
    if not claimed:
        return None
    person = _chosen(considered, claimed, owners, proven=item.proven)
    absorb = _absorbed(person, considered, owners, MAX_PARTS if item.proven else MAX_PARTS // 2)
    cases = list(_disputes(person, considered, alias, owners))
    unowned = as_said((each for each in considered if each not in owners), proven=item.proven)
    add, declined = _gained(person, unowned, proven=item.proven)
    cases += [(CaseKind.OVER_LIMIT, None, each.type) for each in declined if _over_limit(person, each, add)]
    return Decision(
        person=None if person is None else person.id,
        add=tuple(add),
        demote=_demoted(person, add),
        declined=tuple(declined),
        absorb=tuple(each.id for each in absorb),
        cases=tuple(dict.fromkeys(cases)),
    )


def _meant(previous: Sequence[Identifier], owners: Mapping[Identifier, Person]) -> Identifier | None:
    """What an alias's previous id is: an external id that is known, or else an anonymous one."""
    known = next((each for each in previous if each in owners), None)
    return known or next((each for each in previous if each.type is _ANONYMOUS), None)


def _chosen(
    considered: Sequence[Identifier],
    claimed: Sequence[Identifier],
    owners: Mapping[Identifier, Person],
    *,
    proven: bool,
) -> Person | None:
    says_who = any(each.type is not _ANONYMOUS for each in considered)
    # With an external id of their own making, whoever knows somebody's address would have what comes under it be theirs.
    unknown = any(each.type is _EXTERNAL and each not in owners for each in claimed)
    weak = {each for each in IdentifierType if each is _ANONYMOUS and says_who}
    weak |= {each for each in _REACHABLE if unknown and not proven}
    found = [(each, owners[each]) for each in considered if each in owners]
    for identifier, owner in found:
        if owner.identified and identifier.type not in weak and not owner.contradicts(claimed):
            return owner
    return next((owner for _, owner in found if not owner.identified and not (owner.restricted and says_who)), None)


def _absorbed(
    person: Person | None, considered: Sequence[Identifier], owners: Mapping[Identifier, Person], most: int
) -> list[Person]:
    """The visitors who turn out to be somebody; senders whom nobody need believe leave room for the others."""
    if person is None or person.restricted:
        return []
    room = most - person.parts
    absorbed: list[Person] = []
    for owner in {owners[each].id: owners[each] for each in considered if each in owners}.values():
        if owner.id == person.id or owner.identified or owner.restricted or owner.parts + 1 > room:
            continue
        room -= owner.parts + 1
        absorbed.append(owner)
    return absorbed


def _disputes(
    person: Person | None,
    considered: Sequence[Identifier],
    alias: Identifier | None,
    owners: Mapping[Identifier, Person],
) -> Iterable[tuple[CaseKind, str | None, IdentifierType]]:
    """Other identified people whom the item names, but for those who merely share a device."""
    for each in considered:
        other = owners.get(each)
        if other is None or not other.identified or (person is not None and other.id == person.id):
            continue
        if each == alias:
            yield CaseKind.ALIAS, other.id, each.type
        elif each.type is not _ANONYMOUS or _EXTERNAL not in {held.type for held in other.identifiers}:
            yield CaseKind.TWO_PEOPLE, other.id, each.type


def _gained(
    person: Person | None, unowned: Sequence[Identifier], *, proven: bool
) -> tuple[list[Identifier], list[Identifier]]:
    """What of the identifiers that nobody has the person gets, and what not."""
    add: list[Identifier] = []
    declined: list[Identifier] = []
    for each in unowned:
        believed = proven or each.type not in _REACHABLE
        refused = person is not None and (person.restricted or (not believed and person.identified))
        (declined if refused or _over_limit(person, each, add) else add).append(each)
    return add, declined


def _over_limit(person: Person | None, identifier: Identifier, gained: Sequence[Identifier]) -> bool:
    """Whether one more is one too many; of anonymous ids the oldest gives way instead."""
    held = [*(() if person is None else person.identifiers), *gained]
    match identifier.type:
        case IdentifierType.EXTERNAL_ID:
            return bool(_systems(held).keys() & _systems([identifier]))
        case IdentifierType.ANONYMOUS_ID:
            return False
    if identifier in gained:
        return False
    return sum(each.type is identifier.type for each in held) >= LIMITS[identifier.type]


def _demoted(person: Person | None, gained: Sequence[Identifier]) -> tuple[Identifier, ...]:
    """The oldest anonymous ids of a person's own that are too many with the new ones."""
    if person is None:
        return ()
    mine = [each for each in person.own if each.type is _ANONYMOUS]
    new = sum(each.type is _ANONYMOUS for each in gained)
    return tuple(mine[: max(0, len(mine) + new - LIMITS[_ANONYMOUS])]) if new else ()


def _systems(identifiers: Iterable[Identifier]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in identifiers:
        if each.type is _EXTERNAL:
            found.setdefault(each.value.partition(":")[0], set()).add(each.value)
    return found
