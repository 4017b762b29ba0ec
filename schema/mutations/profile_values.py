"""The fields of a profile that can be written, as GraphQL input."""

from typing import Any

import strawberry
from strawberry.scalars import JSON
from strawberry.types.unset import UNSET, UnsetType

from schema.scalars import Day


def _value(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


@strawberry.input(description="Fields to write. Those left out stay as they are; null removes a value.")
class ProfileValues:
    """Every writable field; each needs the permission `write` for the stated purpose."""

    region: str | UnsetType | None = _value("The sales region, such as emea.")
    country: str | UnsetType | None = _value("The country of residence, ISO 3166.")
    loyalty_tier: str | UnsetType | None = _value("The level in the loyalty programme.")
    acquisition_channel: str | UnsetType | None = _value("How the customer came to us.")
    given_name: str | UnsetType | None = _value("The given name.")
    family_name: str | UnsetType | None = _value("The family name.")
    email: str | UnsetType | None = _value("The primary e-mail address; no other profile may have it.")
    phone: str | UnsetType | None = _value("The primary phone number; no other profile may have it.")
    street: str | UnsetType | None = _value("Street and house number.")
    postal_code: str | UnsetType | None = _value("The postal code.")
    city: str | UnsetType | None = _value("The city.")
    birth_date: Day | UnsetType | None = _value("The date of birth.")
    language: str | UnsetType | None = _value("The preferred language, BCP 47.")
    national_id: str | UnsetType | None = _value("A number given by a state.")
    notes: list[str] | UnsetType | None = _value("All notes; they replace those there are.")
    traits: JSON | UnsetType | None = _value(
        "Values that nobody has classified, merged into those there are; sealed."
    )


def given(values: ProfileValues) -> dict[str, Any]:
    """The values that were given, by field name."""
    return {name: value for name, value in vars(values).items() if value is not UNSET}
