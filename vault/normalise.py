"""The one spelling of an identifier: what two spellings of the same e-mail address, number or external id share.

Blind indexes match these spellings, so normalising is idempotent and never makes two mailboxes one by look alone.
Pure. What each kind folds is described in `docs/formats/blind-index.md`; changing it needs a new epoch of the index.
"""

import re
from enum import StrEnum
from unicodedata import category, decomposition, normalize

import idna
import phonenumbers
from phonenumbers import PhoneNumberFormat, ValidationResult

from vault.errors import InvalidIdentifierError, UnknownIndexError

__all__ = [
    "Index",
    "normalise",
    "normalise_anonymous_id",
    "normalise_email",
    "normalise_external_id",
    "normalise_phone",
]

_LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
_LONGEST_LOCAL = 64  # RFC 5321, 4.5.3.1.1
_LONGEST_DOMAIN = 253
_LONGEST_TYPE = 64
_LONGEST_EXTERNAL_ID = 256
_LONGEST_ANONYMOUS_ID = 256
_LONGEST_INPUT = 512  # characters looked at before anything is computed
_ATOM = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*")
_DOMAIN_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_EXTERNAL_ID_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# What people write between digits. Anything else (letters, a second plus, a list) is refused rather than passed over,
# as the parser would take the first number it finds and drop the rest.
_PHONE = re.compile(
    r"(?:tel:)?([+\uff0b]?[\d\s().\-\u2010-\u2015\uff0d/]+)(?:,?\s*(?:;ext=|ext\.?|extension|x|#)\s*([0-9]{1,7}))?",
    re.IGNORECASE,
)


class Index(StrEnum):
    """The identifiers that can be looked up."""

    EMAIL = "email"
    PHONE = "phone"
    EXTERNAL_ID = "external_id"
    ANONYMOUS_ID = "anonymous_id"


def normalise(index: str, value: str, *, region: str | None = None) -> str:
    """The one spelling of a value of that index; `region` is the country of numbers written without one.

    Raises:
        UnknownIndexError: there is no such index.
        InvalidIdentifierError: the value cannot be an identifier of that kind.
    """
    match index:
        case Index.EMAIL:
            return normalise_email(value)
        case Index.PHONE:
            return normalise_phone(value, region)
        case Index.EXTERNAL_ID:
            return normalise_external_id(value)
        case Index.ANONYMOUS_ID:
            return normalise_anonymous_id(value)
    raise UnknownIndexError


def normalise_email(value: str) -> str:
    """An e-mail address: trimmed, local part case-folded with its plus-tag kept, domain as IDNA 2008 A-labels.

    Dots and plus-tags mean what the mailbox's provider wants, so both are kept. Quoted local parts, address literals,
    comments and domains of one label are refused.

    Raises:
        InvalidIdentifierError: no such address can be.
    """
    local, at, domain = _fold_width(_trimmed(value)).rpartition("@")
    local, domain = _fold_local(local), _fold_domain(domain)
    address = f"{local}{at}{domain}"
    if (
        not at
        or not _ATOM.fullmatch(local)
        or len(local.encode()) > _LONGEST_LOCAL
        or len(address.encode()) > _LONGEST_EMAIL
    ):
        raise InvalidIdentifierError
    return address


def normalise_phone(value: str, region: str | None = None) -> str:
    """A telephone number in E.164, such as `+442079460018`; with an extension, `;ext=12` after it (RFC 3966).

    Without `region` (ISO 3166-1 alpha-2) the number must begin with `+` and a country. A number is refused when its
    length cannot be a number of its country; whether it is assigned is not asked, as that changes every month.

    Raises:
        InvalidIdentifierError: no such number can be.
    """
    parts = _PHONE.fullmatch(_trimmed(value))
    if not parts:
        raise InvalidIdentifierError
    number, extension = parts.groups()
    for _ in range(3):  # a national prefix may be left in what the first pass gives
        previous, number = number, _e164(number, region)
        if number == previous:
            return f"{number};ext={extension}" if extension else number
    raise InvalidIdentifierError


def normalise_external_id(value: str) -> str:
    """An id that another system gave, as `type:value`: each trimmed, Unicode NFC, case kept.

    The type is a name of letters, digits, `_`, `.` and `-`; the value may hold anything visible, colons too.

    Raises:
        InvalidIdentifierError: there is no type or no value, or it has an invisible character or over 256 characters.
    """
    kind, colon, rest = _trimmed(value).partition(":")
    kind, rest = kind.strip(), normalize("NFC", rest).strip()
    whole = f"{kind}:{rest}"
    if (
        not colon
        or not rest
        or len(kind) > _LONGEST_TYPE
        or len(whole) > _LONGEST_EXTERNAL_ID
        or not _EXTERNAL_ID_TYPE.fullmatch(kind)
    ):
        raise InvalidIdentifierError
    return whole


def normalise_anonymous_id(value: str) -> str:
    """An id that a browser or an app gave itself: opaque, so trimmed and otherwise exactly as it is.

    Raises:
        InvalidIdentifierError: it is empty, or has an invisible character or over 256 characters.
    """
    trimmed = _trimmed(value)
    if not trimmed or len(trimmed) > _LONGEST_ANONYMOUS_ID:
        raise InvalidIdentifierError
    return trimmed


def _trimmed(value: str) -> str:
    """The value without the space around it, refused when it is too long or has a character nobody can see or type.

    Unassigned characters are refused too: how they fold is not settled yet (Unicode Standard Annex 15, section 3).
    """
    trimmed = value.strip()
    if len(trimmed) <= _LONGEST_INPUT and trimmed.isascii() and trimmed.isprintable():
        return trimmed  # nearly every one, and it costs a tenth
    if len(trimmed) > _LONGEST_INPUT or any(category(each)[0] == "C" or each in "\u2028\u2029" for each in trimmed):
        raise InvalidIdentifierError
    return trimmed


def _fold_width(text: str) -> str:
    """Full-width and half-width forms, which East Asian keyboards give, as the characters they are."""
    return "".join(
        normalize("NFKC", each) if decomposition(each).startswith(("<wide>", "<narrow>")) else each for each in text
    )


def _fold_local(local: str) -> str:
    """Caseless NFKC (Unicode Standard, D146), where that is safe.

    A character outside ASCII that would become plain ASCII (a ligature, a superscript, a mathematical letter, the
    Kelvin sign) is refused: in a mailbox's name it is a look-alike of somebody else's, and folding would make it that
    one. Sharp s stays itself, as in domain names, because strauß and strauss are two mailboxes.
    """
    if any(not each.isascii() and any(part.isascii() for part in normalize("NFKC", each)) for each in local):
        raise InvalidIdentifierError
    for _ in range(4):
        previous, local = local, normalize("NFKC", _fold_case(normalize("NFKC", local)))
        if local == previous and not any(category(each)[0] in "CZ" for each in local):
            return local
    raise InvalidIdentifierError


def _fold_case(text: str) -> str:
    return "ß".join(part.casefold() for part in text.replace("ẞ", "ß").split("ß"))


def _fold_domain(domain: str) -> str:
    """The domain in lower-case A-labels (RFC 5891, mapped by Unicode Technical Standard 46, not transitional)."""
    if not domain.isascii():
        domain = _a_labels(domain)
    domain = domain.lower()
    labels = domain.split(".")
    if (
        len(labels) < 2  # noqa: PLR2004 - a name and its top-level domain
        or len(domain) > _LONGEST_DOMAIN
        or labels[-1].isdigit()
        or not all(map(_DOMAIN_LABEL.fullmatch, labels))
    ):
        raise InvalidIdentifierError
    return domain


def _a_labels(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode()
    except UnicodeError:  # idna's own errors are of this kind, and quote the domain
        pass
    raise InvalidIdentifierError


def _e164(number: str, region: str | None) -> str:
    try:
        parsed = phonenumbers.parse(number, region)
        possible = phonenumbers.is_possible_number_with_reason(parsed) == ValidationResult.IS_POSSIBLE
    except phonenumbers.NumberParseException:
        possible = False
    if not possible:
        raise InvalidIdentifierError
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
