"""What people and programs write where they have nothing to write. Pure.

Null, Test and None are names of people too (and have been refused by many a form), so such words count only where
nothing beside them looks like a name.
"""

from typing import Final
from unicodedata import normalize

_NEVER = """
xxx yyy zzz asd asdf asdfg asdfgh qwe qwer qwert qwerty qwertz yxcv lorem ipsum dummy foobar blah blabla na nv ka tbd
tba unknown unbekannt inconnu desconocido sconosciuto onbekend anonymous anonym anonyme anonimo deleted geloscht
undefined firstname lastname vorname nachname prenom surname givenname familyname username yourname noname nolastname
notavailable notapplicable notprovided keineangabe entfallt
"""
_ALSO_NAMES = (
    "test tester testing null none nil nobody niemand foo bar admin user guest gast name person kunde customer"
)
NEVER: Final = frozenset(_NEVER.split())
ALSO_NAMES: Final = frozenset(_ALSO_NAMES.split())
MAILBOXES: Final = NEVER | {
    *("test", "tester", "testing", "none", "null", "nobody", "noemail", "nomail", "keine", "a", "aa", "abc", "x"),
    *("example", "beispiel", "user", "mail", "email", "fake", "invalid"),
}
"""What a mailbox or a domain made up for a form is called."""
DATES: Final = frozenset({"1900-01-01", "1901-01-01", "1970-01-01", "1911-11-11"})
"""Dates that programs fill in."""

_REPEATED: Final = 3


def plain(text: str) -> str:
    """A text as placeholders are compared: letters and digits alone, without accents, in lower case."""
    return "".join(each for each in normalize("NFKD", text.casefold()) if each.isalnum())


def is_placeholder(text: str, beside: str | None = None) -> bool:
    """Whether a name is none.

    Args:
        text: The name.
        beside: The person's other name, or None where there is none, or it may not be seen.
    """
    word = plain(text)
    if not word or word in NEVER or is_repeated(word):
        return True
    if word not in ALSO_NAMES:
        return False
    other = None if beside is None else plain(beside)
    return not other or other in NEVER or other in ALSO_NAMES or is_repeated(other)


def is_repeated(word: str) -> bool:
    """Whether a word is one letter or digit over and over, of scripts whose names are not written so."""
    return len(word) >= _REPEATED and word.isascii() and len(set(word)) == 1
