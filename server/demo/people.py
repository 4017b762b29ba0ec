"""Who the customers are: names, addresses, ways to reach them. Nothing here belongs to a living person."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from server.demo.dice import Dice
from server.demo.names import Name, family_name, given_name
from server.demo.national_ids import national_id
from server.demo.texts import City, Country, countries

_OLDEST = date(1921, 1, 1)
_YOUNGEST = date(1980, 12, 31)
# Names reserved for examples for ever (RFC 2606, section 3).
_DOMAINS = (("example.com", 50.0), ("example.org", 30.0), ("example.net", 20.0))


@dataclass(frozen=True, slots=True)
class Person:
    """The personal part of a customer."""

    region: str
    country: str
    language: str
    given_name: str
    family_name: str
    email: str
    phone: str | None
    street: str
    postal_code: str
    city: str
    birth_date: date | None
    national_id: str | None


class People:
    """Makes persons none of whom share an e-mail address or a phone number."""

    def __init__(self) -> None:
        self._emails: Counter[str] = Counter()
        self._phones: Counter[str] = Counter()

    def person(self, dice: Dice) -> Person:
        """The next person; the same dice after the same predecessors give the same one."""
        country = dice.weighted([(each, each.share) for each in countries()])
        city = dice.weighted([(each, each.weight) for each in country.cities])
        locale = dice.weighted(country.locales)
        female = dice.chance(0.48)
        given = given_name(dice, locale, "female" if female else "male")
        family = family_name(dice, locale)
        born = _OLDEST + timedelta(days=dice.between(0, (_YOUNGEST - _OLDEST).days))
        number = national_id(country.code, dice, born, female=female)
        phone = self._phone(city, dice)
        return Person(
            region=country.region,
            country=country.code,
            language=_language(country, locale),
            given_name=given.written,
            family_name=family.written,
            email=self._email(given, family, born, dice),
            phone=phone if dice.chance(0.93) else None,
            street=_street(country, dice),
            postal_code=dice.fill(city.postal_code),
            city=city.name,
            birth_date=born if dice.chance(0.88) else None,
            national_id=number if dice.chance(0.22) else None,
        )

    def _email(self, given: Name, family: Name, born: date, dice: Dice) -> str:
        local = dice.pick(
            (
                f"{given.latin}.{family.latin}",
                f"{given.latin[0]}{family.latin}",
                f"{given.latin}{born:%y}",
                f"{family.latin}.{given.latin}",
            )
        )
        local = f"{local}+cds" if dice.chance(0.04) else local
        address = f"{local}@{dice.weighted(_DOMAINS)}"
        self._emails[address] += 1
        if (seen := self._emails[address]) == 1:
            return address
        # A digit before the @ cannot clash with a first use: those end in a letter, a year of two digits or a tag.
        return address.replace("@", f".{seen}@")

    def _phone(self, city: City, dice: Dice) -> str | None:
        pattern = dice.pick(city.phones)
        used = self._phones[pattern]
        room = 10 ** pattern.count("#")
        if used == room:
            return None
        self._phones[pattern] += 1
        # 37 has no factor in common with a power of ten, so every number is met once, and neighbours lie apart.
        return pattern.rstrip("#") + f"{(used * 37 + 11) % room:0{pattern.count('#')}}"


def _language(country: Country, locale: str) -> str:
    if locale == "fr_FR":
        return "fr"
    return "es" if locale.startswith("es") else country.language


def _street(country: Country, dice: Dice) -> str:
    return dice.pick(country.houses).format(
        s=dice.pick(country.streets),
        n=dice.between(1, 220 if country.region != "amer" else 4200),
        m=dice.between(1, 48),
        a=dice.between(1, 6),
        b=dice.between(1, 30),
        c=dice.between(1, 20),
    )
