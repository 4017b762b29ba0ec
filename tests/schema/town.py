"""Customers of every kind that decisions tell apart: by region, consent, objection, restriction, emptiness."""

from tests.schema.world import granted, objected, order, person, ticket

_FAR = {"region": "apac", "country": "JP", "loyalty_tier": "silver"}


def people():
    """What `World.draft` takes, by a short name; the hand reading (hand.py) knows them by these names."""
    both = {"orders": [order(1), order(2)], "tickets": [ticket(1)]}
    agreement = granted("marketing")
    refusal = (*agreement, *objected("marketing", "analytics", "sales"))
    return {
        "agreed": {"values": person(1), "consents": agreement, "external": ["crm:4711"], **both},
        "silent": {"values": person(2), "external": ["crm:4712"], **both},
        "emailed": {"values": person(3), "consents": granted("email_marketing"), **both},
        "objecting": {"values": person(4), "consents": refusal, **both},
        "restricted": {"values": person(5), "consents": agreement, "restricted": True, **both},
        "abroad": {"values": person(6, **_FAR), "consents": agreement, **both},
        "bare": {"values": {"email": "bare@bare.example"}, "consents": agreement},
        "stocked": {"values": person(8, **_FAR), "consents": objected("inventory_planning"), **both},
    }


async def settle(world, specs=None):
    """Create them, all at once; `world.ids` names them."""
    specs = specs or people()
    drafts = [world.draft(**each) for each in specs.values()]
    world.ids = dict(zip(specs, await world.create(*drafts), strict=True))
