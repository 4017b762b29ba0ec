"""From the claims of a verified token to the caller they describe."""

import re
from collections.abc import Mapping
from typing import Any, Final

from customers.caller import Caller
from server.access.tokens import VerifiedToken
from server.errors import TokenRefusedError

CUSTOMER_ROLE: Final = "customer"
# The name of every customer in the access log: who it was is said by the record's subject, which an erasure unlinks.
CUSTOMER_ACTOR: Final = "customer"
SERVICE_PREFIX: Final = "service:"
COMMAND_PREFIX: Final = "cli:"
STAFF_PREFIX: Final = "staff:"
# Names that this server gives to others: service accounts, commands, local accounts of staff, sources of events.
_RESERVED: Final = (SERVICE_PREFIX, COMMAND_PREFIX, STAFF_PREFIX, "source:")

CUSTOMER_ID = re.compile(r"cus_[a-z2-7]{26}")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")
_NAME = re.compile(r"[\x21-\x7e]{1,255}")
_MAX_WORDS: Final = 64


def caller_of(token: VerifiedToken) -> Caller:
    """The caller a token describes.

    The role `customer` stands alone and needs a customer's id; no other role may come with one. So a customer's
    token can never carry what staff may do, and a member of staff is never taken for a customer.

    Raises:
        TokenRefusedError: A claim has not the form it must have, or they contradict each other.
    """
    issuer, claims = token.issuer, token.claims
    roles = words_at(claims, issuer.roles_claim, "roles") or frozenset()
    if issuer.allowed_roles is not None:
        roles &= issuer.allowed_roles
    customer_id = _customer(claims, issuer.customer_claim, roles)
    return Caller(
        actor=CUSTOMER_ACTOR if customer_id else _actor(claims, issuer.actor_prefix, issuer.reserved),
        roles=tuple(sorted(roles)),
        client=_name(claims, issuer.client_claim) or _name(claims, "azp"),
        purposes=words_at(claims, issuer.purposes_claim, "purposes"),
        customer_id=customer_id,
        regions=words_at(claims, issuer.regions_claim, "regions") or frozenset(),
        token_id=_name(claims, "jti"),
    )


def subject_of(caller: Caller) -> str:
    """What a revocation of everything issued to this caller names: the customer's id, or the actor."""
    return caller.customer_id or caller.actor


def _customer(claims: Mapping[str, Any], name: str, roles: frozenset[str]) -> str | None:
    customer_id = at(claims, name)
    if CUSTOMER_ROLE not in roles:
        if customer_id is not None:
            raise TokenRefusedError("the token names a customer and does not have the role `customer`")
        return None
    if roles != {CUSTOMER_ROLE}:
        raise TokenRefusedError("the role `customer` cannot stand beside another")
    if not isinstance(customer_id, str) or not CUSTOMER_ID.fullmatch(customer_id):
        raise TokenRefusedError("a token with the role `customer` must name the customer")
    return customer_id


def _actor(claims: Mapping[str, Any], prefix: str, reserved: frozenset[str]) -> str:
    subject = _name(claims, "sub")
    if subject is None:
        raise TokenRefusedError("the token has no subject (`sub`)")
    actor = prefix + subject
    if actor.startswith((*_RESERVED, *reserved)) or actor == CUSTOMER_ACTOR or CUSTOMER_ID.fullmatch(actor):
        raise TokenRefusedError("the token's subject is a name this server gives to others")
    return actor


def _name(claims: Mapping[str, Any], name: str) -> str | None:
    value = at(claims, name)
    if value is None:
        return None
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise TokenRefusedError("a claim of the token that must be a short word is not")
    return value


def words_at(claims: Mapping[str, Any], name: str, what: str) -> frozenset[str] | None:
    """The words that a claim lists; None where there is none.

    Raises:
        TokenRefusedError: It is no list of words.
    """
    value = at(claims, name)
    if value is None:
        return None
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > _MAX_WORDS:
        raise TokenRefusedError(f"the token's {what} are not a list of at most {_MAX_WORDS} words")
    if not all(isinstance(word, str) and WORD.fullmatch(word) for word in words):
        raise TokenRefusedError(f"one of the token's {what} is not a word")
    return frozenset(words)


def at(claims: Mapping[str, Any], name: str) -> Any:
    """The claim called `name`; where there is none, a dot steps into an object (`realm_access.roles`)."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
