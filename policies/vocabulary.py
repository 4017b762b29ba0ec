"""The words of every decision. Each is a closed set; policy files may use these and no others."""

import re
from dataclasses import dataclass
from enum import StrEnum

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""A role, a purpose, an object or a field: what the whole name must match."""
CATEGORY_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){0,8}")
"""A data category: dotted, each part below the one before it."""
EVERY = "*"
"""In a deny rule only: every role, every purpose, every action."""
ROOT_CATEGORY = "user"
"""Everything about a person. Erasing a person is decided on this category."""


class Action(StrEnum):
    """What a caller wants to do with a value."""

    READ = "read"
    READ_MASKED = "read_masked"
    FILTER = "filter"
    WRITE = "write"
    EXPORT = "export"
    ERASE = "erase"


class Effect(StrEnum):
    """What a rule does to a request it matches."""

    ALLOW = "allow"
    DENY = "deny"


class Verdict(StrEnum):
    """How a value leaves: as it is, with only its mask showing, or not at all."""

    CLEAR = "clear"
    MASKED = "masked"
    WITHHELD = "withheld"


class Reason(StrEnum):
    """Why a value did not leave in clear."""

    POLICY = "POLICY"
    CONSENT = "CONSENT"
    OBJECTION = "OBJECTION"
    RESTRICTED = "RESTRICTED"
    SCOPE = "SCOPE"
    ERASED = "ERASED"


class Scope(StrEnum):
    """Which customers a rule is about: all, those of the caller's regions, or the caller alone."""

    ANY = "any"
    REGION = "region"
    OWN = "own"


class LawfulBasis(StrEnum):
    """The six grounds of GDPR Article 6(1), in its order."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class Mask(StrEnum):
    """What remains to be seen of a masked value; see `masks.mask_value`."""

    REDACT = "redact"
    FIRST_CHARACTER = "first_character"
    LAST_FOUR = "last_four"
    DOMAIN_ONLY = "domain_only"
    YEAR_ONLY = "year_only"
    GENERALISE = "generalise"
    PSEUDONYM = "pseudonym"


class FieldKind(StrEnum):
    """The shape of a field's value."""

    TEXT = "text"
    DATE = "date"
    DATETIME = "datetime"
    INTEGER = "integer"
    DECIMAL = "decimal"
    TEXT_LIST = "text_list"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why data is used. A rule for a purpose holds for every purpose below it.

    Attributes:
        name: as callers state it.
        parent: the purpose it is part of; None for a root.
        basis: the lawful basis; a purpose has its parent's.
        label: a few plain words, for people.
        description: one sentence, for people.
        survives_restriction: whether it may go on when a customer has restricted processing (GDPR Article 18(2)).
        lineage: this purpose first, its root last.
        retention: how long data is kept for it, as an ISO 8601 period of years, months and days (`P3Y6M`); None where
            the policy does not say.
        direct_marketing: whether it is direct marketing, to which an objection is absolute, whatever it rests on (GDPR
            Article 21(2) and (3)).
        sale_or_sharing: whether it sells or shares data, which a Global Privacy Control signal opts out of.
    """

    name: str
    parent: str | None
    basis: LawfulBasis
    label: str
    description: str
    survives_restriction: bool
    lineage: tuple[str, ...]
    retention: str | None = None
    direct_marketing: bool = False
    sale_or_sharing: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """Who may ask. What a role inherits stands in the rules (`g` lines).

    Attributes:
        name: as tokens carry it.
        label: a few plain words, for people.
        description: one sentence, for people.
    """

    name: str
    label: str
    description: str
