"""Names all in capitals, or all without, as they are usually written where their bearer lives. A guess. Pure.

Whatever is in mixed case is left alone: nobody knows better than its bearer how DeShawn or van't Hoff is written.
"""

import re
from typing import Final

# The little words of family names, by how they are written in a country. Elsewhere (Italy, Belgium, the United States)
# they are capitalised like any other word.
_GERMAN: Final = "von vom zu zum zur der den dem und auf"
_DUTCH: Final = "van de den der het in op te ten ter 't 's"
_SPANISH: Final = "de del la las los y e"
_PORTUGUESE: Final = "de da do das dos e"
_FRENCH: Final = "de du des d'"
_PARTICLES: Final = {
    country: frozenset(words.split())
    for words, countries in (
        (_GERMAN, "DE AT CH LI LU"),
        (_DUTCH, "NL"),
        (_SPANISH, "ES MX AR CO PE CL VE EC GT CU BO DO HN PY SV NI CR PA UY PR"),
        (_PORTUGUESE, "PT BR AO MZ CV"),
        (_FRENCH, "FR MC"),
    )
    for country in countries.split()
}
# The little words of the names of towns: Frankfurt am Main, Rio de Janeiro, Boulogne-sur-Mer.
_OF_TOWNS: Final = {
    country: frozenset(words.split())
    for words, countries in (
        ("am an auf bei der dem im in ob vor zu zum zur", "DE AT CH"),
        ("aan bij de den der en het in op", "NL"),
        ("de del la las los y", "ES MX AR CO PE CL VE EC GT CU BO DO HN PY SV NI CR PA UY PR"),
        ("a da das de do dos e", "PT BR AO MZ CV"),
        ("au aux de des du en et la le les lès sous sur", "FR MC"),
        ("by in le next of on the under upon", "GB IE"),
    )
    for country in countries.split()
}
_WITH_STATES: Final = frozenset({"US", "CA"})  # Portland, OR
_TURKIC: Final = frozenset({"TR", "AZ"})
_WORD: Final = re.compile(r"[^\W\d_]+", re.UNICODE)
_LETTERS: Final = re.compile(r"[^\W\d_]")
_BETWEEN: Final = re.compile(r"([ -])")
_OF_STATE: Final = 2
_SHORTEST_CAPITALS: Final = 3  # JJ and AJ are names
_SHORTEST_SMALL: Final = 2
_AFTER_MC: Final = 5


def recased(name: str, country: str | None, *, is_family: bool = False, is_town: bool = False) -> str:
    """A name as it is usually written; unchanged where its case is mixed, or its script has none.

    Args:
        name: With single spaces.
        country: Where its bearer lives (ISO 3166-1 alpha-2), if that is known.
        is_family: Whether it is a family name, which has particles.
        is_town: Whether it is the name of a town, which has others.
    """
    letters = "".join(_LETTERS.findall(name))
    shouted = letters.isupper() and len(letters) >= _SHORTEST_CAPITALS
    whispered = letters.islower() and len(letters) >= _SHORTEST_SMALL
    if not shouted and not whispered:
        return name
    if shouted and all(len(word) == 1 for word in _WORD.findall(name)):
        return name  # initials
    if is_town:
        return _town(name, country)
    small = _PARTICLES.get(country or "", frozenset()) if is_family else frozenset()
    words = name.split(" ")
    return " ".join(
        lower if (lower := _lowered(word, country)) in small and len(words) > 1 and place < len(words) - 1
        else _capitalised(word, country)
        for place, word in enumerate(words)
    )  # fmt: skip


def _town(name: str, country: str | None) -> str:
    """The name of a town: its little words are small unless they begin it, and a state's letters are large."""
    body, comma, state = name.rpartition(", ")
    if comma and len(state) == _OF_STATE and country in _WITH_STATES:
        return f"{_town(body, country)}{comma}{state.upper()}"
    small = _OF_TOWNS.get(country or "", frozenset())
    words = _BETWEEN.split(name)
    return "".join(
        lower if place and (lower := _lowered(word, country)) in small else _capitalised(word, country)
        for place, word in enumerate(words)
    )


def _capitalised(word: str, country: str | None) -> str:
    """Each part of a word with its first letter large: Anne-Marie, O'Brien, McDonald, IJsbrand in the Netherlands."""
    parts = _WORD.sub(lambda found: _part(found.group(), country), word)
    head, apostrophe, rest = parts.partition("'") if "'" in parts else parts.partition("\u2019")
    # 's and 't are no names; the letter after O' or D' is one.
    return f"{head}{apostrophe}{rest[0].lower()}{rest[1:]}" if apostrophe and len(rest) == 1 else parts


def _part(part: str, country: str | None) -> str:
    lower = _lowered(part, country)
    if country == "NL" and lower.startswith("ij"):
        return "IJ" + lower[2:]
    if lower.startswith("mc") and len(lower) >= _AFTER_MC:
        return "Mc" + _large(lower[2], country) + lower[3:]
    return _large(lower[0], country) + lower[1:]


def _lowered(text: str, country: str | None) -> str:
    if country in _TURKIC:
        text = text.replace("I", "\u0131").replace("\u0130", "i")
    return text.replace("\u0130", "i").lower()


def _large(letter: str, country: str | None) -> str:
    if country in _TURKIC and letter == "i":
        return "\u0130"
    return letter.upper() if len(letter.upper()) == 1 else letter
