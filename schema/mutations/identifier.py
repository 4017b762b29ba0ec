"""Identifiers as GraphQL input."""

import strawberry

from customers.identity.model import Identifier
from customers.identity.model import IdentifierType as Kind
from customers.profiles.writing import ProfileWriter
from schema.filters import IdentifierType


@strawberry.input(description="An identifier of a profile.")
class IdentifierInput:
    """A kind and a value in any usual spelling."""

    type: IdentifierType = strawberry.field(description="What kind of identifier it is.")
    value: str = strawberry.field(description="The value, in any usual spelling.")


def identifier_of(writer: ProfileWriter, given: IdentifierInput) -> Identifier:
    """The identifier in its normal form."""
    return writer.identifier(Kind(str(given.type.value)), given.value, "identifiers")
