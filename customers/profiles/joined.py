"""What two profiles that are one person come to: the fields that lie in clear, put together and taken apart. Pure.

A profile that was merged into another stays as it is, sealed under its own key, with `merged_into`; the survivor has
`parts`, the ids of all that were merged into it, and `own`, its clear fields before the first. Sealed fields are put
together when they are read (`Reader`); clear ones here, because they are filtered and sorted by.

What each clear field of the survivor comes to:

- numbers are added, and of moments the earliest or latest counts; totals in different currencies stay apart, and the
  survivor's is shown;
- what is said later of an order that a part had is in the survivor's sum, and is kept by part (`adjusted`: what the
  part's own sum lacks, `total`, and how much of that the survivor's counts, `counted`) until the two are taken apart;
- region, country and the like are the survivor's, and the other's where it has none;
- of rights the most restrictive count: what both consented to, what either objected to, and a restriction of either. A
  visitor who never said anything takes nothing away: not to have been asked is not to have said no. Of a consent of
  both, the channels of both are left, until the first of the two ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from customers.consent.model import RESTRICTIONS, Channels, ConsentState, Rights, both, either
from customers.consent.store import decision_of, placed
from policies import Purpose

Document = dict[str, Any]
Purposes = Mapping[str, Purpose]

MERGED_INTO: Final = "merged_into"
MERGED_AS: Final = "merged_as"
PARTS: Final = "parts"
OWN: Final = "own"
ADJUSTED: Final = "adjusted"
VISITOR: Final = "visitor"
PERSON: Final = "person"
_SOURCE: Final = "merge"

_SUMS: Final = ("order_count", "ticket_count", "event_count")
_EARLIEST: Final = ("first_order_at", "first_event_at")
_LATEST: Final = ("last_order_at", "last_event_at")
_PLAIN: Final = ("region", "country", "loyalty_tier", "acquisition_channel")
_MONEY: Final = ("total_spent", "currency")
SUMMARY: Final = frozenset((*_SUMS, *_EARLIEST, *_LATEST, *_MONEY))
_JOINED: Final = (*_SUMS, *_MONEY, *_EARLIEST, *_LATEST, *_PLAIN, "rights", "consents")
CHANGED: Final = (*_JOINED, PARTS, OWN, ADJUSTED, "updated_at")
"""Every field of a survivor that a merge may change."""

# Of two decisions about one purpose the one that allows less is shown.
_SEVERITY: Final = {
    state.value: rank
    for rank, state in enumerate(
        (
            ConsentState.GRANTED,
            ConsentState.OBJECTION_WITHDRAWN,
            ConsentState.RESTRICTION_LIFTED,
            ConsentState.WITHDRAWN,
            ConsentState.OBJECTED,
            ConsentState.RESTRICTED,
        )
    )
}


_NOES: Final = frozenset({ConsentState.WITHDRAWN, ConsentState.OBJECTED, ConsentState.RESTRICTED})


_UNVERSIONED: Final = ("event_count", "first_event_at", "last_event_at")
"""What is counted on a profile without a new version of it."""


def as_it_is(document: Mapping[str, Any]) -> Document:
    """What says that a profile is still as it was read."""
    return {name: document.get(name) for name in ("_id", "version", *_UNVERSIONED)}


def same_counts(document: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether nothing was counted on a survivor, or on what is its own, that a merge did not bring."""
    return all(
        document.get(name) == expected.get(name)
        and document.get(OWN, {}).get(name) == expected.get(OWN, {}).get(name)
        for name in SUMMARY
    )


def clear_of(document: Mapping[str, Any]) -> Document:
    """The fields of a survivor that a merge may change, as far as they are there."""
    return {name: document[name] for name in CHANGED if name in document}


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The update that makes the one of the other, leaving the order of fields that stay as it is."""
    setting = {name: value for name, value in after.items() if name not in before or before[name] != value}
    removing = dict.fromkeys((name for name in before if name not in after), "")
    return {**({"$set": setting} if setting else {}), **({"$unset": removing} if removing else {})}


def for_joined(document: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """An update of a profile's summary fields that also holds for what is its own, where others are part of it.

    For whoever counts orders, tickets or events: what comes after a merge is the survivor's own, but for what the update
    itself says of that.
    """
    if OWN not in document:
        return dict(update)
    return {
        operator: {**{f"{OWN}.{name}": value for name, value in changes.items() if name in SUMMARY}, **changes}
        for operator, changes in update.items()
    }


def own_count(document: Mapping[str, Any], name: str) -> int:
    """How many orders or tickets are a profile's own, without those of its parts."""
    return int(document.get(OWN, document).get(name, 0))


def joined(
    survivor: Mapping[str, Any], absorbed: Mapping[str, Any], kind: str, purposes: Purposes, now: datetime
) -> Document:
    """The survivor's clear fields (`clear_of`) once another profile is part of it.

    Args:
        survivor: Its document, or its clear fields.
        absorbed: The other's document.
        kind: `VISITOR` or `PERSON`: whether the other's silence about a purpose means no.
        purposes: Every purpose there is.
        now: When a consent that does not survive the merge ends.
    """
    own = survivor[OWN] if OWN in survivor else {name: survivor[name] for name in _JOINED if name in survivor}
    return {
        **clear_of(survivor),
        **_summed(survivor, absorbed),
        **_consenting(survivor, absorbed, kind, purposes, now),
        PARTS: [*survivor.get(PARTS, ()), absorbed["_id"], *absorbed.get(PARTS, ())],
        OWN: dict(own),
        "updated_at": now,
    }


def parted(
    survivor: Mapping[str, Any], parts: Sequence[Document], leaving: Document, purposes: Purposes, now: datetime
) -> Document:
    """The survivor's clear fields once one of its parts, with all of that one's own, is none any more.

    What was changed since the merge stays with the survivor.

    Args:
        survivor: Its document.
        parts: The documents of all parts that are there, the leaving one's and its own among them.
        leaving: The document of the one that leaves.
        purposes: Every purpose there is.
        now: When.
    """
    own: Document = {**survivor.get(OWN, {})}
    direct = _direct(parts)
    remaining = [each for each in direct if each["_id"] != leaving["_id"]]
    whole, rest = _fold(own, direct), _fold(own, remaining)
    found = {name: survivor[name] for name in CHANGED if name in survivor and name not in (PARTS, OWN, ADJUSTED)}
    for name in (*_SUMS, *_MONEY, *_EARLIEST, *_LATEST, *_PLAIN):
        value = survivor.get(name)
        if name in _SUMS or (name == "total_spent" and value is not None):
            # What was counted since, by whoever does not keep count of what is the survivor's own.
            value = rest.get(name, 0) + (value or 0) - whole.get(name, 0)
            if name == "total_spent":
                value -= sum(_adjusted(survivor, each["_id"])["counted"] for each in _with_inner(leaving, parts))
            found.pop(name, None)
            found |= {name: value} if value or name in rest else {}
        elif value == whole.get(name):
            found.pop(name, None)
            found |= {name: rest[name]} if name in rest else {}
    gone = {leaving["_id"], *leaving.get(PARTS, ())}
    kept = [each for each in survivor.get(PARTS, ()) if each not in gone]
    found |= _consenting_without(survivor, own, remaining, leaving, purposes, now)
    found |= {"updated_at": now}
    if left := {each: held for each, held in survivor.get(ADJUSTED, {}).items() if each not in gone}:
        found[ADJUSTED] = left
    return {**found, PARTS: kept, OWN: own} if kept else found


def settled(survivor: Mapping[str, Any], parts: Sequence[Document], leaving: Document) -> Document:
    """What a part's own sum lacks, when it is to be on its own again: what was said since of orders that it had.

    Args:
        survivor: Its document.
        parts: The documents of all parts that are there.
        leaving: The document of the one that leaves.
    """
    found: Document = {}
    inner: dict[str, Any] = dict(leaving.get(ADJUSTED, {}))
    total = 0
    for each in _with_inner(leaving, parts):
        told = _adjusted(survivor, each["_id"])
        if not told["total"]:
            continue
        counts = each is leaving or each.get("currency") in (None, leaving.get("currency"))
        total += told["total"] if counts else 0
        if each is not leaving:
            held = _adjusted(leaving, each["_id"])
            counted = held["counted"] + (told["total"] if counts else 0)
            inner[each["_id"]] = {"total": held["total"] + told["total"], "counted": counted}
    if total:
        found["total_spent"] = leaving.get("total_spent", 0) + total
    if total and OWN in leaving:
        own = _adjusted(survivor, leaving["_id"])["total"]
        found[OWN] = {**leaving[OWN], "total_spent": leaving[OWN].get("total_spent", 0) + own}
    if inner != leaving.get(ADJUSTED, {}):
        found[ADJUSTED] = inner
    return found


def _adjusted(survivor: Mapping[str, Any], part: str) -> Mapping[str, int]:
    found: Mapping[str, int] = survivor.get(ADJUSTED, {}).get(part, {})
    return {"total": found.get("total", 0), "counted": found.get("counted", 0)}


def _with_inner(leaving: Document, parts: Sequence[Document]) -> list[Document]:
    inner = set(leaving.get(PARTS, ()))
    return [leaving, *(each for each in parts if each["_id"] in inner)]


def tightened(
    document: Mapping[str, Any],
    before: Iterable[Mapping[str, Any]],
    now: Iterable[Mapping[str, Any]],
    purposes: Purposes,
) -> Document:
    """The rights and shown decisions of a profile that is one of its own again, if it must be given others.

    Who was taken for somebody else and said no meanwhile has said no: which of the two it was is not known, so what was
    withdrawn, objected to or restricted since the merge holds for both. What was granted since stays with the survivor.

    Args:
        document: The profile that is to be on its own again.
        before: The survivor's own decisions when it was merged.
        now: The survivor's own decisions now.
        purposes: Every purpose there is.
    """
    known = [dict(each) for each in before]
    rights = Rights.of_document(document.get("rights") or {})
    shown = [dict(each) for each in document.get("consents", ())]
    changed = False
    for each in now:
        state = ConsentState(each["state"])
        if dict(each) in known or state not in _NOES:
            continue
        rights = rights.after(decision_of(each), purposes)
        shown = placed(shown, each)
        changed = True
    return {"rights": rights.document(), "consents": shown} if changed else {}


# ---- numbers, moments and plain facts


def _summed(survivor: Mapping[str, Any], absorbed: Mapping[str, Any]) -> Document:
    found: Document = {}
    for name in _SUMS:
        if name in survivor or name in absorbed:
            found[name] = survivor.get(name, 0) + absorbed.get(name, 0)
    for names, choose in ((_EARLIEST, min), (_LATEST, max)):
        for name in names:
            held = [each[name] for each in (survivor, absorbed) if each.get(name) is not None]
            if held:
                found[name] = choose(held)
    for name in (*_PLAIN, "currency"):
        value = survivor.get(name) or absorbed.get(name)
        if value is not None:
            found[name] = value
    currencies = {each["currency"] for each in (survivor, absorbed) if each.get("currency")}
    totals = [each["total_spent"] for each in (survivor, absorbed) if "total_spent" in each]
    if len(currencies) <= 1 and totals:
        found["total_spent"] = sum(totals)
    return found


def _fold(own: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> Document:
    found: Document = dict(own)
    for part in parts:
        found |= _summed(found, part)
    return found


def _direct(parts: Sequence[Document]) -> list[Document]:
    """The parts that are not part of another one."""
    inner = {inner for part in parts for inner in part.get(PARTS, ())}
    return [part for part in parts if part["_id"] not in inner]


# ---- what a customer allows


def _consenting(
    survivor: Mapping[str, Any], absorbed: Mapping[str, Any], kind: str, purposes: Purposes, now: datetime
) -> Document:
    mine, theirs = (Rights.of_document(each.get("rights") or {}) for each in (survivor, absorbed))
    rights = Rights(
        objected=mine.objected | theirs.objected, restricted=mine.restricted or theirs.restricted
    ).with_channels(
        {each: _left(mine.channels(each), absorbed, theirs, kind, each, purposes) for each in mine.purposes}
    )
    shown = _shown([(survivor, mine), (absorbed, theirs)], rights, now)
    return {"rights": rights.document(), **({"consents": shown} if shown or "consents" in survivor else {})}


def _consenting_without(
    survivor: Mapping[str, Any],
    own: Mapping[str, Any],
    remaining: Sequence[Document],
    leaving: Document,
    purposes: Purposes,
    now: datetime,
) -> Document:
    """What holds now stays; what only the leaving one stood in the way of holds again."""
    held, alone, gone = (Rights.of_document(each.get("rights") or {}) for each in (survivor, own, leaving))
    others = [(each, Rights.of_document(each.get("rights") or {})) for each in remaining]
    standing: dict[str, Channels] = {each: held.channels(each) for each in held.purposes}
    for purpose in alone.purposes:
        again: Channels = alone.channels(purpose)
        for each, theirs in others:
            again = _left(again, each, theirs, each.get(MERGED_AS, PERSON), purpose, purposes)
        standing[purpose] = either(standing.get(purpose, {}), again)
    rights = Rights(
        frozenset(),
        frozenset(
            each
            for each in held.objected
            if each not in gone.objected or each in alone.objected or any(each in they.objected for _, they in others)
        ),
        held.restricted and (alone.restricted or not gone.restricted or any(they.restricted for _, they in others)),
    ).with_channels(standing)
    shown = _shown([(own, alone), *others], rights, now)
    return {"rights": rights.document(), **({"consents": shown} if shown or "consents" in own else {})}


def _left(
    mine: Channels, document: Mapping[str, Any], rights: Rights, kind: str, purpose: str, purposes: Purposes
) -> Channels:
    """What another profile of the same person leaves of a consent."""
    if kind != VISITOR or purpose in rights.consented:
        return both(mine, rights.channels(purpose))
    lineage = set(purposes[purpose].lineage) if purpose in purposes else {purpose}
    refused = {
        each.get("channel")
        for each in document.get("consents", ())
        if each["state"] in (ConsentState.WITHDRAWN, ConsentState.OBJECTED) and each["purpose"] in lineage
    }
    if None in refused or not lineage.isdisjoint(rights.objected):
        return {}
    refused |= {name.partition("@")[2] for name in rights.objected if name.partition("@")[0] in lineage}
    return {channel: end for channel, end in mine.items() if channel.value not in refused}


def _shown(said: Sequence[tuple[Mapping[str, Any], Rights]], rights: Rights, now: datetime) -> list[dict[str, Any]]:
    """The decisions to show, one for each purpose and channel; a consent that the merge ended is shown as ended by it."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for document, theirs in said:
        for held in map(dict, document.get("consents", ())):
            for each in _as_left(held, theirs, rights, now):
                place = each["purpose"], each.get("channel")
                if place not in found or _SEVERITY[each["state"]] > _SEVERITY[found[place]["state"]]:
                    found[place] = each
    return list(found.values())


def _as_left(entry: dict[str, Any], theirs: Rights, rights: Rights, now: datetime) -> list[dict[str, Any]]:
    """What to show of one decision: what is left of it where it is a consent, by channel where that is for some alone."""
    purpose, state = entry["purpose"], ConsentState(entry["state"])
    if state in RESTRICTIONS or state is not ConsentState.GRANTED:
        return [entry]
    channels = rights.channels(purpose)
    wanted = [each for each in theirs.channels(purpose) if entry.get("channel") in (None, each.value)]
    if not wanted:
        return [entry]
    left = {each: channels[each] for each in wanted if each in channels}
    if not left:
        return [_ending({**entry, "state": ConsentState.WITHDRAWN.value, "at": now, "source": _SOURCE}, None)]
    ends = set(left.values())
    if len(left) == len(wanted) and len(ends) == 1:
        return [_ending(entry, next(iter(ends)))]
    return [_ending({**entry, "channel": each.value}, end) for each, end in left.items()]


def _ending(entry: Mapping[str, Any], end: datetime | None) -> dict[str, Any]:
    rest = {name: value for name, value in entry.items() if name != "expires_at"}
    return rest if end is None else {**rest, "expires_at": end}
