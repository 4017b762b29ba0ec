"""Given and family names in the customer's own script, each with a spelling in plain Latin letters."""

import importlib
import unicodedata
from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, Literal

from server.demo.dice import Dice
from server.demo.errors import DemoDataMissingError

Sex = Literal["female", "male"]

_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ä": "ae", "ö": "oe", "ü": "ue"}
)


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it is written, and as it stands in an e-mail address."""

    written: str
    latin: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """Names with the running sums of how common they are."""

    names: tuple[Name, ...]
    marks: tuple[float, ...]

    def draw(self, dice: Dice) -> Name:
        return self.names[min(bisect(self.marks, dice.fraction() * self.marks[-1]), len(self.names) - 1)]


def given_name(dice: Dice, locale: str, sex: Sex) -> Name:
    """A given name that is usual in the locale.

    Raises:
        DemoDataMissingError: Faker, from whose lists the names come, is not installed.
    """
    return _choices(locale)[sex].draw(dice)


def family_name(dice: Dice, locale: str) -> Name:
    """A family name that is usual in the locale; raises like `given_name`."""
    return _choices(locale)["family"].draw(dice)


def latin(text: str) -> str:
    """The text in the letters a to z: `Müller` gives `mueller`, `O'Neil` gives `oneil`."""
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text.lower()).translate(_LETTERS))
    return "".join(sign for sign in spread if "a" <= sign <= "z")


@cache
def _choices(locale: str) -> dict[str, _Choice]:
    """Faker's lists, not its calls: the lists are fixed by the lock, the drawing is ours."""
    try:
        lists: Any = importlib.import_module(f"faker.providers.person.{locale}").Provider
    except ModuleNotFoundError as error:
        raise DemoDataMissingError("the lists of names are not installed: run scripts/setup demo") from error
    if locale == "ja_JP":
        return {
            "female": _from_triples(lists.first_name_female_pairs),
            "male": _from_triples(lists.first_name_male_pairs),
            "family": _from_triples(lists.last_name_pairs),
        }
    return {
        "female": _from_words(lists.first_names_female),
        "male": _from_words(lists.first_names_male),
        "family": _from_words(lists.last_names),
    }


def _from_words(words: Iterable[str]) -> _Choice:
    weights = words if isinstance(words, Mapping) else dict.fromkeys(words, 1)
    # Lists hold a few entries with honorifics or several words; they are kept, spelt as they are.
    return _Choice(tuple(Name(word, latin(word)) for word in weights), tuple(accumulate(weights.values())))


def _from_triples(triples: Iterable[tuple[str, str, str]]) -> _Choice:
    """Kanji, kana and romanised spellings, alike common or with weights."""
    weights = triples if isinstance(triples, Mapping) else dict.fromkeys(triples, 1)
    names = tuple(Name(kanji, latin(romanised)) for kanji, _, romanised in weights)
    return _Choice(names, tuple(accumulate(weights.values())))
