"""The words and places of the demo company, read once from the TOML files beside this one."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class City:
    """A city with its postal code and the phone numbers that may be given out there, as patterns."""

    name: str
    weight: int
    postal_code: str
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Country:
    """A country with its share of the customers, and what an address there looks like."""

    code: str
    region: str
    language: str
    share: int
    locales: tuple[tuple[str, int], ...]
    houses: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[City, ...]


@cache
def countries() -> tuple[Country, ...]:
    """Every country that customers live in."""
    return tuple(
        Country(
            code,
            each["region"],
            each["language"],
            each["share"],
            tuple((locale, share) for locale, share in each["names"]),
            tuple(each["houses"]),
            tuple(each["streets"]),
            tuple(City(name, weight, postal, tuple(phones)) for name, weight, postal, phones in each["cities"]),
        )
        for code, each in _data("places.toml").items()
    )


@cache
def texts() -> Mapping[str, Any]:
    """Titles, notes, traits, gift messages and tickets: see the comment on top of texts.toml."""
    return _data("texts.toml")


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("server.demo").joinpath("data", name).read_text(encoding="utf-8"))
