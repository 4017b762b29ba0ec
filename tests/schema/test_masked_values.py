"""A role that sees only masks sees of every field its mask, whatever kind of value it is, and nothing of the value."""

import json
from decimal import Decimal

import pytest

from policies.loading import build
from policies.source import read_sources
from tests.schema.selections import EVERY_PROFILE, ONE_PROFILE
from tests.schema.world import OFFICER, SUPPORT, granted, new_world, order, person, ticket

_MASKED = b"\np, support_agent, customer_service, user, read_masked, any, allow\n"
_OFFICER = b"\n".join(
    line
    for line in read_sources()["rules.csv"].splitlines()
    if line.startswith((b"p, privacy_officer", b"p, client"))
)


@pytest.fixture
async def masked(mongo_client, tmp_path):
    policies = build({**read_sources(), "rules.csv": _OFFICER + _MASKED})
    async with new_world(mongo_client, tmp_path, policies=policies) as world:
        drafts = [
            world.draft(
                person(7, given_name="Hildegard", street="Hafenweg 12", city="Bremen", national_id="DE-77-4711-0815"),
                consents=granted("marketing"),
                external=["crm:4711"],
                orders=[order(1, total=123_456, extra={"engraving": "For Hildegard"})],
                tickets=[ticket(1, extra={"place": "Hafenweg"})],
            )
        ]
        world.ids["one"] = (await world.create(*drafts))[0]
        yield world


async def test_every_field_about_a_person_can_be_masked(masked):
    variables = {"id": masked.ids["one"]}
    clear = (await masked.told(ONE_PROFILE, *OFFICER, variables))["profile"]
    (seen,) = (await masked.told(EVERY_PROFILE, *SUPPORT))["profiles"]["nodes"]
    assert seen["orders"]["nodes"]
    assert seen["tickets"]["nodes"]
    unmaskable = {
        "version",
        "createdAt",
        "updatedAt",
        "consents",
    }  # no mask, or a list of objects that no text fits in
    objects = [(seen, clear)]
    objects += [(seen[part]["nodes"][0], clear[part]["nodes"][0]) for part in ("orders", "tickets")]
    for masks, values in objects:
        for name in values.keys() - unmaskable - {"orders", "tickets"}:
            if name in {"firstEventAt", "lastEventAt", "eventCount"}:
                continue  # this customer has no events
            assert masks[name] is not None, name
            assert masks[name] != values[name], name
    assert seen["identifiers"] == [{"type": "masked", "value": "•••"}]
    assert seen["notes"] == ["•••"]
    assert seen["consents"] is None
    everything = json.dumps(seen, ensure_ascii=False)
    for value in (
        "ildegard",
        "Family7",
        "person7",
        "Hafenweg",
        "Bremen",
        "DE-77",
        "crm:4711",
        "4711-0815",
        "size 7",
        '"sku"',
        "1234.56",
    ):
        assert value not in everything, value
        assert value in json.dumps(clear, ensure_ascii=False), value


async def test_a_masked_amount_is_a_range_and_never_its_digits(masked):
    seen = (await masked.told("{ profiles { nodes { totalSpent orders { nodes { total } } } } }", *SUPPORT))[
        "profiles"
    ]
    assert seen["nodes"] == [{"totalSpent": "1000–2000", "orders": {"nodes": [{"total": "1000–2000"}]}}]  # noqa: RUF001
    officer = (await masked.told("{ profiles { nodes { totalSpent } } }", *OFFICER))["profiles"]["nodes"][0]
    assert Decimal(officer["totalSpent"]) == Decimal("1234.56")
