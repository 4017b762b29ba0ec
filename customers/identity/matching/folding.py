"""Text folded to what a person would call the same writing, and to what it sounds like.

Nothing here is for display, or for an identifier that is looked up (`vault.normalise`): two people may well fold to
one text. Folded texts are compared in memory and never stored.
"""

import re
from functools import lru_cache
from unicodedata import category, normalize

__all__ = ["fold", "loosen", "sound", "words"]

_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\u0131": "i",
        "ħ": "h",
        "ŀ": "l",
    }
)
"""Letters that Unicode does not take apart into a plain letter and a mark."""
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`\u00b4]")
_NOT_WORD = re.compile(r"[\W_]+")
_UMLAUTS = re.compile("(?<=[a-z])(ae|oe|ue)|^(ae|oe|ue)")
_SOUNDS = (
    (re.compile(r"sch|sh|ch|cz|tz|zh|ts|[szxj]"), "s"),
    (re.compile(r"ph|[fvw]"), "f"),
    (re.compile(r"[cgkq]"), "k"),
    (re.compile(r"th|[dt]"), "t"),
    (re.compile(r"[bp]"), "p"),
    (re.compile(r"[mn]"), "n"),
    (re.compile(r"[lr]"), "l"),
)
_VOWELS = re.compile(r"[aeiouyh]+")
_TWICE = re.compile(r"(.)\1+")


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """Lower case without accents, apostrophes and punctuation; one space between words.

    Letters of other scripts stay what they are: nothing is transliterated, as that has many ways.
    """
    # Folded once more when taken apart: a mathematical A has no lower case, and the A that it is has.
    plain = normalize("NFKD", text.casefold().translate(_LETTERS)).casefold().translate(_LETTERS)
    bare = "".join(each for each in plain if category(each) != "Mn")
    return _NOT_WORD.sub(" ", normalize("NFC", _APOSTROPHES.sub("", bare))).strip()


def loosen(folded: str) -> str:
    """A folded text with umlauts one way (Mueller is muller, like Müller) and without spaces."""
    return _UMLAUTS.sub(lambda found: found.group()[0], folded.replace(" ", ""))


def words(folded: str) -> tuple[str, ...]:
    """The words of a folded text."""
    return tuple(folded.split())


def sound(folded: str) -> str:
    """A rough sound: groups of consonants that are confused are one, vowels after the first letter fall away.

    Coarse on purpose, for blocking: what sounds the same gets compared, and the comparison decides. A name of another
    script than Latin is its own sound.
    """
    loose = loosen(folded)
    if not loose.isascii():
        return loose
    for pattern, letter in _SOUNDS:
        loose = pattern.sub(letter, loose)
    first = "a" if loose and loose[0] in "aeiouyh" else ""
    return first + _TWICE.sub(r"\1", _VOWELS.sub("", loose))
