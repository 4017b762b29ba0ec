"""Every governed field of a type as GraphQL text, and what a hand reading of the policy files says of each."""

from policies.source import read_sources
from tests.policies.naive_reading import NaiveReading
from tests.schema.world import BUILT

_BELOW = {"identifiers": "{type value}", "consents": "{purpose state at source}"}
READING = NaiveReading(read_sources())


def fields_of(type_name):
    """GraphQL field → catalogue path."""
    return {field: path for (name, field), path in BUILT.paths.items() if name == type_name}


def selection_of(type_name):
    return " ".join(f"{field} {_BELOW.get(field, '')}" for field in fields_of(type_name))


EVERYTHING = (
    selection_of("Profile")
    + " orders(first: 100) { nodes { "
    + selection_of("Order")
    + " } } tickets(first: 100) { nodes { "
    + selection_of("Ticket")
    + " } }"
)
EVERY_PROFILE = f"{{ profiles(first: 100) {{ nodes {{ {EVERYTHING} }} }} }}"
ONE_PROFILE = f"query ($id: ID!) {{ profile(id: $id) {{ {EVERYTHING} }} }}"
