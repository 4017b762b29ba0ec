"""Two databases that differ only in what the caller may not read give the caller the same answers to everything.

Data, order, counts, errors, explanations, access records, and what cursors lead to. Who may read sees the difference.
"""

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest

from customers.profiles.draft import OrderDraft, TicketDraft
from tests.schema.hand import REGION, Hand, rights_refusal, said
from tests.schema.selections import EVERY_PROFILE, ONE_PROFILE
from tests.schema.town import people, settle
from tests.schema.world import OFFICER, granted, new_world, order, ticket

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CALLERS = [
    ("support_agent", "order_support"),
    ("marketer", "email_marketing"),
    ("sales_rep", "account_management"),
    ("product_analyst", "analytics"),
    ("inventory_planner", "inventory_planning"),
    ("executive", "business_reporting"),
    ("auditor", "audit"),
    ("client_app", "personalisation"),
    ("client_app", "data_import"),
    ("customer", "self_service"),
]
SUMMARY = ("order_count", "total_spent", "currency", "first_order_at", "last_order_at")
PLAIN = ("given_name", "family_name", "street", "postal_code", "city", "birth_date", "language", "national_id")
PLAIN += ("notes", "traits", "country", "loyalty_tier", "acquisition_channel", "region")


class Other:
    """Makes of the town one that is another wherever a caller may not look, and the same wherever they may."""

    def __init__(self, role, purpose):
        self._hand = Hand(role, purpose)
        self._random = Random(f"{role} {purpose}")  # noqa: S311 - no secret
        self.changed = set()

    def town(self):
        return {who: self._person(who, spec) for who, spec in people().items()}

    def _hidden(self, who, *paths):
        """Whether the caller may neither read nor use any of this, masked or in clear."""
        hand = self._hand
        return all(
            hand.verdict(path, who)[0] == "withheld" and not hand.may_filter(path, who) for path in paths
        ) and self._note(paths)

    def _note(self, paths):
        self.changed.update(paths)
        return True

    def _masked(self, who, path):
        return (
            self._hand.verdict(path, who)[0] == "masked"
            and not self._hand.may_filter(path, who)
            and self._note([path])
        )

    def _person(self, who, spec):
        values = dict(spec["values"])
        for name in PLAIN:
            scoped = name == "region" and self._hand.role == "sales_rep"  # it decides over what is theirs to see
            if not scoped and self._hidden(who, f"profile.{name}"):
                values[name] = self._value(name)
        other = {**spec, "values": values, "external": spec.get("external", [])}
        self._identifiers(who, values, other)
        self._alike(who, values)
        if said(self._hand.purpose, "basis") not in ("consent", "legitimate_interests") and not spec.get(
            "restricted"
        ):
            self._consents(who, other)
        other["orders"] = self._children(who, "order", spec.get("orders", ()), order, SUMMARY)
        other["tickets"] = self._children(who, "ticket", spec.get("tickets", ()), ticket, ("ticket_count",))
        return other

    def _identifiers(self, who, values, other):
        if not self._hidden(who, "profile.identifiers"):
            return
        number = self._random.randrange(10**6)
        if self._hidden(who, "profile.email"):
            values["email"] = f"other{number}@else{number}.example"
        if self._hidden(who, "profile.phone"):
            values["phone"] = f"+4915113{number:06d}"
        other["external"] = [f"crm:{number}"]

    def _alike(self, who, values):
        """Values whose mask is the same, where the mask is all that may be seen."""
        if "given_name" not in values:
            return
        number = self._random.randrange(10**4)
        for name in ("given_name", "family_name"):
            if self._masked(who, f"profile.{name}"):
                values[name] = f"{values[name][0]}other{number}"
        if self._masked(who, "profile.birth_date"):
            values["birth_date"] = values["birth_date"][:4] + "-11-12"
        if self._masked(who, "profile.postal_code"):
            values["postal_code"] = values["postal_code"][:2] + "777"
        if self._masked(who, "profile.phone") and self._hidden(who, "profile.identifiers"):
            values["phone"] = "+4915114" + values["phone"][-6:]
        if self._masked(who, "profile.email") and self._hidden(who, "profile.identifiers"):
            values["email"] = f"{values['email'][0]}other{number}@{values['email'].partition('@')[2]}"

    def _consents(self, who, other):
        if self._hidden(who, "profile.consents"):
            other["consents"] = () if other.get("consents") else granted("marketing", "sales")

    def _children(self, who, owner, drafts, fresh, counted):
        names = list(fresh(1).values)
        summed = [f"profile.{each}" for each in counted]
        if self._hidden(who, *(f"{owner}.{each}" for each in names), *summed):
            return [fresh(self._random.randrange(50)) for _ in range(self._random.randrange(3, 6))]
        kept = ("total", "placed_at", "currency")  # what sums are made of
        kind = OrderDraft if owner == "order" else TicketDraft
        changed = []
        for each in drafts:
            values = dict(each.values)
            for name in names:
                if (name not in kept or self._hidden(who, *summed)) and self._hidden(who, f"{owner}.{name}"):
                    values[name] = fresh(self._random.randrange(50, 90)).values[name]
            changed.append(kind(values))
        return changed

    def _value(self, name):
        number = self._random.randrange(10**4)
        return {
            "birth_date": f"1970-01-{1 + number % 28:02d}",
            "language": "fr",
            "notes": [f"other note {number}"] * (1 + number % 3),
            "traits": {"other": number},
            "country": "FR",
            "region": "amer",
            "loyalty_tier": "tin",
            "acquisition_channel": "fair",
        }.get(name, f"Other {number}")


PAGE = """query ($filter: ProfileFilter, $sort: ProfileSort, $first: Int!, $after: String) {
  profiles(filter: $filter, sort: $sort, first: $first, after: $after) {
    nodes { id version givenName orderCount orders(first: 1) { nodes { status } pageInfo { hasNextPage } } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}"""
FIND = """query ($type: IdentifierType!, $value: String!) {
  profileByIdentifier(type: $type, value: $value) { id email }
}"""
LISTED = """query ($type: IdentifierType!, $value: String!) {
  profiles(filter: {identifier: {type: $type, value: $value}}) { nodes { id } pageInfo { hasNextPage } }
}"""
FILTERS = [
    None,
    {"region": {"equals": REGION}},
    {"region": {"oneOf": ["apac", "amer"]}},
    {"country": {"equals": "DE"}},
    {"country": {"equals": "FR"}},
    {"loyaltyTier": {"equals": "gold"}},
    {"loyaltyTier": {"equals": "tin"}},
    {"acquisitionChannel": {"equals": "web"}},
    {"orderCount": {"atLeast": 1}},
    {"orderCount": {"atLeast": 3}},
    {"totalSpent": {"below": "60.00"}},
    {"lastOrderAt": {"since": "2025-03-05T00:00:00Z"}},
    {"createdAt": {"since": "2020-01-01T00:00:00Z"}},
]
SORTS = [
    {"by": by, "descending": descending}
    for by in ("ORDER_COUNT", "TOTAL_SPENT", "LAST_ORDER_AT", "CREATED_AT")
    for descending in (False, True)
]


def normal(value, *, children=False):
    """A value without what is random: cursors and entries, of which is kept that there is one, and children's ids."""
    if isinstance(value, list):
        return [normal(each, children=children) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, each in value.items():
        if name in ("endCursor", "entry"):
            found[name] = each is not None
        elif name == "id" and children:
            found[name] = each[:2]
        else:
            found[name] = normal(each, children=children or name in ("orders", "tickets"))
    return found


async def answers_of(world, role, purpose, values):
    """The answers to every kind of question, and the records they left, each in one order."""
    who = {"regions": [REGION], "customer": world.ids["agreed"] if role == "customer" else None}
    records = []
    append = world.log.append

    async def noted(record):
        records.append(record)
        return await append(record)

    async def ask(query, **variables):
        answer = await world.ask(query, role, purpose, variables, **who)
        return answer.data, [normal(answer.data), answer.errors, normal(answer.extensions)]

    async def pages(shape):
        found, after, more = [], None, True
        while more:
            data, told = await ask(PAGE, **shape, after=after)
            found.append(told)
            info = ((data or {}).get("profiles") or {}).get("pageInfo") or {}
            more, after = info.get("hasNextPage", False), info.get("endCursor")
        return found

    shapes = [{"filter": each, "first": 3} for each in FILTERS] + [{"sort": each, "first": 3} for each in SORTS]
    world.log.append = noted
    told = await asyncio.gather(
        ask(EVERY_PROFILE),
        *(ask(ONE_PROFILE, id=each) for each in world.ids.values()),
        *(ask(FIND, type=kind, value=value) for kind, value in values[::2]),
        *(ask(LISTED, type=kind, value=value) for kind, value in values[::7]),
    )
    paged = await asyncio.gather(*map(pages, shapes))
    world.log.append = append
    return [each for _, each in told] + paged, sorted(map(repr, records))


def identifiers(*towns):
    """Every identifier of anybody in these towns."""
    found = {}
    for spec in (spec for town in towns for spec in town.values()):
        found |= {("EMAIL", spec["values"]["email"]): None} | {("PHONE", spec["values"].get("phone")): None}
        found |= {("EXTERNAL_ID", each): None for each in spec.get("external", ())}
    return [(kind, value) for kind, value in found if value]


def fixed_time():
    return NOW


@pytest.fixture(scope="module")
async def original(mongo_client, tmp_path_factory):
    async with new_world(mongo_client, tmp_path_factory.mktemp("one"), seed=1, now=fixed_time) as world:
        await settle(world)
        yield world


@pytest.fixture
async def other(mongo_client, tmp_path):
    async with new_world(mongo_client, tmp_path, seed=1, now=fixed_time) as world:
        yield world


@pytest.mark.parametrize(("role", "purpose"), CALLERS)
async def test_what_a_caller_may_not_read_changes_no_answer(original, other, role, purpose):
    changed = Other(role, purpose)
    town = changed.town()
    await settle(other, town)
    assert other.ids == original.ids
    values = identifiers(people(), town)
    told, records = await answers_of(original, role, purpose, values)
    told_other, records_other = await answers_of(other, role, purpose, values)
    for one, another in zip(told, told_other, strict=True):
        assert one == another
    assert records == records_other
    # Negative control: the databases do differ, in everything that was to be changed, and who may read sees it.
    assert len(changed.changed) >= 6
    both = [await each.told(EVERY_PROFILE, *OFFICER) for each in (original, other)]
    assert normal(both[0]) != normal(both[1])


async def test_the_comparison_finds_one_visible_difference(original, other):
    """Negative control: one field of one customer that the caller may read."""
    town = people()
    town["silent"]["values"]["loyalty_tier"] = "tin"
    await settle(other, town)
    values = identifiers(town)
    told, _ = await answers_of(original, *CALLERS[0], values)
    told_other, _ = await answers_of(other, *CALLERS[0], values)
    different = [at for at, pair in enumerate(zip(told, told_other, strict=False)) if pair[0] != pair[1]]
    assert len(different) >= 2
    # The marketer may filter by it, but not of a customer who did not consent: there it makes no difference.
    told, _ = await answers_of(original, "marketer", "email_marketing", values)
    told_other, _ = await answers_of(other, "marketer", "email_marketing", values)
    assert told == told_other


def test_each_caller_of_the_town_has_somebody_who_refuses():
    refused = {purpose: {who for who in people() if rights_refusal(who, purpose)} for _, purpose in CALLERS}
    assert refused["email_marketing"] == {"silent", "objecting", "restricted", "stocked"}
    assert refused["data_import"] == {"restricted"}
    assert refused["self_service"] == set()
