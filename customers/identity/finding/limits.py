"""Who may not be joined with nobody looking, however alike: what the rules of identifiers forbid. Pure.

The same limits as hold for events (`customers.identity.rules`): no two external ids of a system, no more addresses and
numbers than one person may have, no more profiles than can be read together.
"""

from customers.identity.model import IdentifierType
from customers.identity.rules import LIMITS, MAX_PARTS, Person


def within_limits(one: Person, other: Person) -> bool:
    """Whether two people would keep to the limits as one."""
    if one.parts + other.parts + 1 > MAX_PARTS or one.restricted or other.restricted:
        return False
    if one.contradicts(other.identifiers):
        return False
    every = {*one.identifiers, *other.identifiers}
    return all(
        sum(each.type is kind for each in every) <= LIMITS[kind]
        for kind in (IdentifierType.EMAIL, IdentifierType.PHONE)
    )
