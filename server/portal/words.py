"""The words for what is stored as a code, in English; the catalogues have them in the other languages."""

from collections.abc import Mapping
from typing import Final


def _(text: str) -> str:
    """Marks a text for the catalogues; it is translated where it is shown."""
    return text


KINDS: Final[Mapping[str, str]] = {
    "read": _("looked at your data"),
    "write": _("changed your data"),
    "search": _("searched the record of who looked"),
    "export": _("took a copy"),
    "erasure_intent": _("began to delete"),
    "erasure_done": _("finished deleting"),
    "policy_change": _("changed the rules"),
    "admin": _("administered"),
}
"""What an entry of the access log records."""

REQUESTS: Final[Mapping[str, tuple[str, str]]] = {
    "access": (_("See everything"), _("We send you a copy of everything that we have about you.")),
    "portability": (
        _("Take it with you"),
        _("We give you your data in a form that another company's computers can read."),
    ),
    "rectification": (_("Correct something"), _("You say what is wrong and what is right; we look into it.")),
    "erasure": (_("Delete everything"), _("We delete all that no law makes us keep.")),
    "restriction": (
        _("Stop using my data"),
        _("We keep your data and do not use it, except to answer you and where the law demands it."),
    ),
    "objection": (
        _("Object"),
        _("We stop using your data for what you object to, unless we show compelling grounds."),
    ),
    "opt_out": (_("Do not sell or share"), _("We do not sell your data and do not share it for advertising.")),
}
"""The kinds of requests: a title, and what happens."""

STATES: Final[Mapping[str, str]] = {
    "received": _("Received"),
    "confirmed": _("Confirmed"),
    "in_progress": _("We are working on it"),
    "completed": _("Done"),
    "denied": _("Refused"),
    "cancelled": _("Taken back"),
}

STEPS: Final[Mapping[str, str]] = {
    "opened": _("You asked"),
    "joined": _("You asked again"),
    "confirmed": _("We confirmed that it is you"),
    "begun": _("We began to work on it"),
    "extended": _("We need more time"),
    "held": _("It waits: a law or a dispute makes us keep the data for now"),
    "released": _("It goes on"),
    "agreed": _("The first of two people agreed"),
    "completed": _("It is done"),
    "denied": _("We refused it"),
    "cancelled": _("You took it back"),
}

DENIALS: Final[Mapping[str, str]] = {
    "identity_not_verified": _("We could not make sure that it is you who asks."),
    "agent_not_authorised": _("Who asked for you showed no authority."),
    "unfounded": _("The request is manifestly unfounded."),
    "excessive": _("The request is manifestly excessive."),
    "legal_obligation": _("A law makes us keep the data."),
    "legal_claims": _("The data is needed for legal claims."),
    "free_expression": _("The data is needed for free expression."),
    "rights_of_others": _("It would harm the rights of other people."),
    "not_automated": _("This right does not cover the data."),
    "overriding_grounds": _("We have compelling grounds that override the objection."),
    "data_accurate": _("The data is right as it is."),
}

EXTENSIONS: Final[Mapping[str, str]] = {
    "complexity": _("because the request is complex"),
    "number": _("because there are many requests"),
}

CHANNELS: Final[Mapping[str, str]] = {
    "email": _("by e-mail"),
    "sms": _("by text message"),
    "phone": _("by telephone"),
    "post": _("by post"),
    "push": _("as notifications of apps"),
}

DECISIONS: Final[Mapping[str, str]] = {
    "granted": _("you agreed"),
    "withdrawn": _("you took your agreement back"),
    "objected": _("you objected"),
    "objection_withdrawn": _("you took your objection back"),
    "restricted": _("you had all use stopped"),
    "restriction_lifted": _("you allowed use again"),
}

__all__ = ["CHANNELS", "DECISIONS", "DENIALS", "EXTENSIONS", "KINDS", "REQUESTS", "STATES", "STEPS"]
