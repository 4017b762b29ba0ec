"""Free text in which customers and staff mention personal data, as they do everywhere."""

from collections.abc import Sequence
from datetime import date
from string import Formatter

from server.demo.dice import Dice
from server.demo.people import Person
from server.demo.texts import texts

_FIRST_HALF = ("January", "February", "March", "April", "May", "June")
_MONTHS = (*_FIRST_HALF, "July", "August", "September", "October", "November", "December")


def write(template: str, person: Person, **extra: str) -> str | None:
    """The template with the person's own data in it, or None when it asks for something they do not have."""
    known = {
        "given": person.given_name,
        "family": person.family_name,
        "phone": person.phone,
        "email": person.email,
        "city": person.city,
        "street": person.street,
        "birth": person.birth_date and day(person.birth_date, person.language),
        **extra,
    }
    if any(name and not known[name] for _, name, _, _ in Formatter().parse(template)):
        return None
    return template.format_map(known)


def first_written(dice: Dice, templates: Sequence[str], person: Person, **extra: str) -> str:
    """One of the templates that can be written for this person; each list has one that needs a name only or less."""
    written = [text for template in templates if (text := write(template, person, **extra)) is not None]
    return dice.pick(written)


def day(when: date, language: str) -> str:
    """A date as people who speak the language write it; free of the machine's locale."""
    if language == "en":
        return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"
    if language == "ja":
        return f"{when.year}年{when.month}月{when.day}日"
    return f"{when.day:02}.{when.month:02}.{when.year}" if language == "de" else when.strftime("%d/%m/%Y")


def notes(dice: Dice, person: Person) -> tuple[str, ...]:
    """What staff noted, in English, for about a third of the customers."""
    count = dice.weighted(((0, 66.0), (1, 26.0), (2, 8.0)))
    found = [first_written(dice, texts()["notes"]["texts"], person) for _ in range(count)]
    return tuple(dict.fromkeys(found))


def traits(dice: Dice) -> dict[str, str | int | bool]:
    """Things that somebody once added and nobody classified."""
    options: dict[str, list[str | int | bool]] = texts()["traits"]
    return {name: dice.pick(values) for name, values in options.items() if dice.chance(0.06)}
