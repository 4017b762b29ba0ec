"""Privacy requests in plain words: what is asked for, how it stands, how long there is, what may be done. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from customers.rights.keeping import Preview
from customers.rights.requests import Denial, Kind, Regime, law_of
from policies import PolicySet
from server.console.words import listed, plural

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "ACCESS": ("Access", "Wants to know what is kept of them and who saw it (GDPR Art. 15)."),
    "PORTABILITY": ("Portability", "Wants a copy to take along (GDPR Art. 20)."),
    "RECTIFICATION": ("Rectification", "Wants something put right (GDPR Art. 16)."),
    "ERASURE": ("Erasure", "Wants everything erased (GDPR Art. 17)."),
    "RESTRICTION": ("Restriction", "Wants their data used no more while something is cleared up (GDPR Art. 18)."),
    "OBJECTION": ("Objection", "Objects to purposes (GDPR Art. 21)."),
    "OPT_OUT": ("Opt-out", "Wants nothing sold or shared (Cal. Civ. Code § 1798.120)."),
}
REGIMES: Final[Mapping[str, str]] = {"GDPR": "GDPR: one month", "CPRA": "CPRA: 45 days"}
STATES: Final[Mapping[str, tuple[str, str, str]]] = {
    "RECEIVED": ("masked", "◌", "Received"),
    "CONFIRMED": ("masked", "◐", "Confirmed"),
    "IN_PROGRESS": ("masked", "◑", "In progress"),
    "COMPLETED": ("allowed", "✓", "Completed"),
    "DENIED": ("refused", "✕", "Refused"),
    "CANCELLED": ("not_found", "∅", "Cancelled"),
}
OPEN: Final = frozenset({"RECEIVED", "CONFIRMED", "IN_PROGRESS"})
COPIES: Final = frozenset({"ACCESS", "PORTABILITY"})
"""What ends with a copy of the person's data."""
VERIFICATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "SIGNED_IN": ("They were signed in", "In the portal or the shop."),
    "CONTACT": ("They answered at an address we knew", "A code or a call to an address or number on their profile."),
    "DOCUMENT": ("They showed a document", "Only where nothing less would do; keep no copy of it."),
    "AUTHORITY": ("Their agent showed an authority", "And the person confirmed it."),
    "SENDER": ("A trusted system handed it on", "Such as the shop."),
    "NOT_NEEDED": ("It need not be known", "Anybody may opt out."),
    "OWN_MOTION": ("Nobody asked: it was decided here", "Nobody has to show who they are for that."),
}
EXTENSIONS: Final[Mapping[str, str]] = {"COMPLEXITY": "It is complex", "NUMBER": "There are many requests"}
DENIALS: Final[Mapping[str, str]] = {
    "IDENTITY_NOT_VERIFIED": "Who asks cannot be verified",
    "AGENT_NOT_AUTHORISED": "The agent showed no authority",
    "UNFOUNDED": "It is manifestly unfounded",
    "EXCESSIVE": "It is manifestly excessive",
    "LEGAL_OBLIGATION": "The law demands that the data is kept",
    "LEGAL_CLAIMS": "Legal claims need the data",
    "FREE_EXPRESSION": "Free expression needs the data",
    "RIGHTS_OF_OTHERS": "It would harm others",
    "NOT_AUTOMATED": "It rests on neither consent nor contract, or is on paper",
    "OVERRIDING_GROUNDS": "Compelling grounds override the objection",
    "DATA_ACCURATE": "The data is right as it is",
}
STEPS: Final[Mapping[str, str]] = {
    "opened": "Came in",
    "joined": "Asked again; joined to this request",
    "confirmed": "Confirmed: it is known who asks",
    "begun": "Work began",
    "extended": "Extended; the person was told",
    "held": "Put under legal hold",
    "released": "Legal hold lifted",
    "agreed": "Agreed to by the first of two",
    "completed": "Completed",
    "denied": "Refused",
    "cancelled": "Cancelled",
    "settled": "The person was erased",
}
DONE: Final[Mapping[str, str]] = {
    "opened": "The request is taken in, and its clock runs.",
    "confirm": "Confirmed. Begin when you work on it.",
    "begin": "Work has begun. The clock goes on.",
    "extend": "Extended to what the law allows at most.",
    "hold": "Under legal hold: nothing of it is erased until the hold is lifted.",
    "release": "The legal hold is lifted.",
    "deny": "Refused. Tell the person why, and that they may complain to the authority.",
    "cancel": "Cancelled, as the person asked.",
    "agree": "You agreed. A second person has to complete it; it cannot be you.",
    "complete": "Completed. Tell the person.",
}
_ERASED: Final = "Completed: they are erased. At the portal they find the certificate; to others you give it."
_PERIODS: Final = {"Y": "year", "M": "month", "D": "day"}
_SOON: Final = 7


@dataclass(frozen=True, slots=True)
class Clock:
    """How long there is: a class, an icon and words."""

    tone: str
    icon: str
    words: str


def clock(request: Mapping[str, Any], now: datetime) -> Clock:
    """The clock of a request: how long there is, or when it ended."""
    if request["state"] not in OPEN:
        closed = request["closedAt"]
        return Clock("quiet", "", f"ended {day(closed)}" if closed else "ended")
    return _left(datetime.fromisoformat(request["dueAt"]), now, "due", "overdue by")


def done_words(request: Mapping[str, Any], step: str | None) -> str | None:
    """What to say of a step that was just made; None where it is none."""
    if step == "complete" and Kind[request["kind"]] is Kind.ERASURE:
        return _ERASED
    return None if step is None else DONE.get(step)


def confirming(request: Mapping[str, Any], now: datetime) -> Clock | None:
    """The clock of confirming that a request is here, where the law has one and it was not done."""
    if request["state"] != "RECEIVED" or request["confirmBy"] is None:
        return None
    return _left(datetime.fromisoformat(request["confirmBy"]), now, "confirm", "confirm: late by")


def _left(due: datetime, now: datetime, soon: str, late: str) -> Clock:
    days = (due.astimezone(UTC).date() - now.astimezone(UTC).date()).days
    if due < now:
        return Clock("failed", "!", f"{late} {plural(-days, 'day')}" if days else f"{late} hours")
    when = {0: "today", 1: "tomorrow"}.get(days, f"in {plural(days, 'day')}")
    return Clock("masked" if days <= _SOON else "quiet", "◷" if days <= _SOON else "", f"{soon} {when}")


def day(text: str) -> str:
    """The day of a moment, as the console writes it."""
    return datetime.fromisoformat(text).astimezone(UTC).date().isoformat()


def denials(request: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The reasons that the law has for refusing such a request: name, words, and the law."""
    kind, regime = Kind[request["kind"]], Regime[request["regime"]]
    found = [(name, words, law_of(Denial[name], kind, regime)) for name, words in DENIALS.items()]
    return [(name, words, law) for name, words, law in found if law is not None]


def verifications(request: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The ways in which it may have become known who asks."""
    names = ["AUTHORITY"] if request["agent"] else ["SIGNED_IN", "CONTACT", "DOCUMENT", "SENDER"]
    if request["kind"] == "OPT_OUT":
        names.append("NOT_NEEDED")
    return [(name, *VERIFICATIONS[name]) for name in names]


def gone_of(preview: Preview) -> str:
    """What an erasure of one person removes, counted: `2 profiles, 3 orders and 1 support request`."""
    found = [plural(preview.profiles, "profile")]
    nouns = {"order": ("order", "orders"), "ticket": ("support request", "support requests")}
    for owner, count in preview.records.items():
        found += [plural(count, *nouns.get(owner, (owner, f"{owner}s")))] if count else []
    return listed(found)


def kept_of(preview: Preview, policies: PolicySet) -> list[str]:
    """What stays of one person, record by record, in words."""
    fields = policies.catalogue.fields
    found = []
    for each in preview.kept:
        labels = dict.fromkeys(fields[path].label.lower() for path in each.fields if path in fields)
        noun = {"ticket": "support request"}.get(each.object, each.object)
        found.append(
            f"{each.rule.replace('_', ' ').capitalize()}: of {plural(each.records, noun)} {listed(list(labels))}, "
            f"until {day(each.until)} ({each.law})."
        )
    return found


def kept(policies: PolicySet) -> list[str]:
    """What may stay when somebody is erased, in words; for who may not look at the person."""
    return [
        f"{rule.name.replace('_', ' ').capitalize()}: {plural(len(rule.fields) + len(rule.person), 'field')} of each "
        f"{rule.object}, for {period(rule.period)} from the end of its year ({rule.law})."
        for rule in policies.retention
    ]


def period(text: str) -> str:
    """`P10Y` in words."""
    found, number = list[str](), ""
    for each in text.removeprefix("P"):
        if each.isdigit():
            number += each
        else:
            found.append(plural(int(number), _PERIODS[each]))
            number = ""
    return " and ".join(found)


def agreed_by(request: Mapping[str, Any], actor: str) -> str | None:
    """Who agreed first, without names: those of staff are for who reads the access log."""
    if request["agreedBy"] is None:
        return None
    return "you" if request["agreedBy"] == actor else "somebody else"


__all__ = [
    "COPIES",
    "DENIALS",
    "DONE",
    "EXTENSIONS",
    "KINDS",
    "OPEN",
    "REGIMES",
    "STATES",
    "STEPS",
    "VERIFICATIONS",
    "Clock",
    "agreed_by",
    "clock",
    "confirming",
    "day",
    "denials",
    "done_words",
    "gone_of",
    "kept",
    "kept_of",
    "period",
    "verifications",
]
