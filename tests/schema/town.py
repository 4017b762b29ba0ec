"""Customers of every kind that decisions tell apart: by region, consent, objection, restriction, emptiness."""

from tests.schema.world import granted, objected, order, person, ticket


async def settle(world):
    """Create them; `world.ids` names them."""
    both = {"orders": [order(1), order(2)], "tickets": [ticket(1)]}
    far = {"region": "apac", "country": "JP", "loyalty_tier": "silver"}
    drafts = {
        "agreed": world.draft(person(1), consents=granted("marketing"), external=["crm:4711"], **both),
        "silent": world.draft(person(2), **both),
        "emailed": world.draft(person(3), consents=granted("email_marketing"), **both),
        "objecting": world.draft(
            person(4), consents=(*granted("marketing"), *objected("marketing", "analytics", "sales")), **both
        ),
        "restricted": world.draft(person(5), consents=granted("marketing"), restricted=True, **both),
        "abroad": world.draft(person(6, **far), consents=granted("marketing"), **both),
        "bare": world.draft({"email": "bare@bare.example"}, consents=granted("marketing")),
        "stocked": world.draft(person(8, **far), consents=objected("inventory_planning"), **both),
    }
    world.ids = dict(zip(drafts, await world.create(*drafts.values()), strict=True))
