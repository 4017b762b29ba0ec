"""What names and words say that a number is. Pure."""

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache


class Hint(StrEnum):
    """What a name or a word beside a number says that the number is."""

    PHONE = "phone"
    NATIONAL_ID = "national_id"
    # The number of a record, of goods or of a moment: the weaker checks, which one number in a hundred passes by
    # chance, are not made.
    RECORD = "record"


Hints = frozenset[Hint]
NO_HINTS: Hints = frozenset()
IS_NATIONAL_ID = frozenset({Hint.NATIONAL_ID})

# Words that say what the number beside them is; a national id's number may stand a little further off. The fragments
# are looked for first, because that is quick.
_PHONE_FRAGMENTS = ("phon", "téléph", "mobil", "cell", "tel", "handyn", "whats", "fax", "sms")
_NATIONAL_FRAGMENTS = (
    *("ssn", "social", "bsn", "burger", "sofi", "aadha", "uidai", "person", "pesel", "cpf", "nin", "national", "nif"),
    *("dni", "nie", "steuer", "tax", "codice", "nir", "samord", "identity"),
)
_PHONE_WORD = (
    r"(?:\b(?:tele|cell ?|mobile ?)?phones?\b|\bmobile?\b|\bcell(?:ular)?\b|\btel\b|\btelef\w{0,8}|"
    r"\bt[ée]l[ée]phone\b|\bhandyn\w{0,5}|\bwhats ?app\b|\bfax\b|\bsms\b)"
)
_NATIONAL_WORD = (
    r"(?:\bssn\b|\bsocial ?security|\bbsn\b|burgerservice|\bsofi(?:nummer)?\b|\baadha+r|\buidai\b|"
    r"\bperson(?:al)? ?(?:n|id)|\bpesel\b|\bcpf\b|\bnino?\b|\bnational ?(?:ins|id)|\bnif\b|\bdni\b|\bnie\b|"
    r"\bsteuer ?id|\btax ?(?:id|n)|\bcodice ?f|\bnir\b|\bsamordning|\bidentity ?n)"
)
_RECORD_WORD = (
    r"\b(?:order|sku|product|item|variant|transaction|invoice|cart|checkout|session|event|message|ean|gtin|upc|isbn|"
    r"barcode|imei|tracking|shipment|ticket|time|timestamp|date|at|ms|price|amount|total|revenue)s?\b"
)
_WORDS = re.compile(
    f"(?P<phone>{_PHONE_WORD})|(?P<national_id>{_NATIONAL_WORD})|(?P<record>{_RECORD_WORD})", re.IGNORECASE
)
_WORDED_PHONE = re.compile(
    _PHONE_WORD + r"[ .-]?(?:no|nr|num|number|nummer)?[ .:=#]{0,3}(?:is|at|on)?[ :(]{0,2}"
    r"(?![0-9]{4}-[0-9]{2}-[0-9]{2})\+?[0-9](?:[ .\-/()]{0,2}[0-9]){6,14}+(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_NEAR = re.compile(_NATIONAL_WORD, re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^0-9A-Za-z\u00c0-\u024f]+")


@lru_cache(maxsize=4096)
def hints_of(name: str) -> Hints:
    """What the name of a property says of its values: `mobilePhone` and `order_id` say something, `value` nothing."""
    words = _NOT_WORD.sub(" ", _CAMEL.sub(" ", name[:200]))
    found = {Hint(word.lastgroup) for word in _WORDS.finditer(words) if word.lastgroup}
    # A word for a person's number outweighs a word for a record's: "phone at time of order".
    return frozenset(found - {Hint.RECORD} if len(found) > 1 else found)


def after_national_words(text: str) -> Iterator[int]:
    """Where each word ends that announces a number of a person's."""
    lowered = text.lower()
    if any(map(lowered.__contains__, _NATIONAL_FRAGMENTS)):
        yield from (word.end() for word in _NEAR.finditer(text))


def has_worded_phone(text: str) -> bool:
    """Whether a number stands right beside a word that announces a phone number."""
    lowered = text.lower()
    return any(map(lowered.__contains__, _PHONE_FRAGMENTS)) and bool(_WORDED_PHONE.search(text))
