"""What of a source may change after it was made, and what may not."""

import os

import pytest

from customers.collection.errors import PlanDeclassifiesError, PlanNotFoundError
from customers.collection.plan_file import parse_plan
from customers.collection.plans import PlanStore
from customers.collection.source_changes import SourceChange, change_source
from customers.collection.sources import SourceStore
from customers.errors import InputInvalidError, SourceNotFoundError
from policies import load_policies
from tests.schema.world import utc_now

CATALOGUE = load_policies().catalogue
PAGE, OTHER = "https://shop.example", "https://m.shop.example"
SEALING = b'{"name": "%s", "events": {"Seen": {"properties": {"sku": {"category": "user.behavior"%s}}}}}'


class Deployment:
    def __init__(self, database):
        self.sources = SourceStore(database, now=utc_now, random=os.urandom)
        self.elsewhere = SourceStore(database, now=utc_now, random=os.urandom, clock=lambda: 0.0)
        self.plans = PlanStore(database, catalogue=CATALOGUE, now=utc_now)
        self.recorded = []

    async def put(self, name, clear=b""):
        await self.plans.put(parse_plan(SEALING % (name, clear), CATALOGUE, is_toml=False), by="tester")

    async def change(self, name, *, declassify=False, fails=None, **values):
        async def record():
            if fails is not None:
                raise fails
            self.recorded.append((name, values, await self.stored(name)))

        return await change_source(
            self.sources, self.plans, name, SourceChange(**values), record=record, declassify=declassify
        )

    async def stored(self, name):
        return await self.sources._sources.find_one({"_id": name})


@pytest.fixture
async def site(databases):
    made = Deployment(databases.main)
    await made.put(b"sealing")
    await made.put(b"opening", b', "clear": true')
    await made.sources.create("web", origins=(PAGE,), consent={"ads": "marketing"})
    await made.sources.create("till", plan="sealing")
    return made


async def test_a_plan_may_change_and_nothing_else_does(site):
    before = await site.stored("web")
    changed = await site.change("web", plan="opening")
    assert (changed.plan, changed.origins, changed.consent) == ("opening", (PAGE,), {"ads": "marketing"})
    assert await site.stored("web") == {**before, "plan": "opening"}
    assert site.recorded[0][2]["plan"] is None, "it is recorded before it is so"
    assert (await site.change("web", plan=None)).plan is None
    assert (await site.elsewhere.named("web")).plan is None


async def test_origins_and_what_consent_categories_mean_are_replaced(site):
    changed = await site.change("web", origins=(OTHER, PAGE), consent={})
    assert (changed.origins, changed.consent) == ((OTHER, PAGE), {})


@pytest.mark.parametrize(
    ("name", "origins", "said"),
    [("web", (), "its key is known"), ("till", (PAGE,), "made for web pages"), ("web", ("shop.example",), "must be")],
)
async def test_a_source_of_pages_stays_one_and_another_becomes_none(site, name, origins, said):
    before = await site.stored(name)
    with pytest.raises(InputInvalidError, match=said):
        await site.change(name, origins=origins)
    assert (await site.stored(name), site.recorded) == (before, [])


async def test_a_plan_that_opens_what_the_one_before_it_seals_has_to_be_meant(site):
    with pytest.raises(PlanDeclassifiesError, match="Seen"):
        await site.change("till", plan="opening")
    assert ((await site.stored("till"))["plan"], site.recorded) == ("sealing", [])
    assert (await site.change("till", plan="opening", declassify=True)).plan == "opening"
    assert (await site.change("till", plan="sealing")).plan == "sealing", "the control: to seal more is no such thing"


async def test_what_is_not_there_is_told_and_what_changes_nothing_is_not_recorded(site):
    with pytest.raises(SourceNotFoundError):
        await site.change("nobodys", plan=None)
    with pytest.raises(PlanNotFoundError):
        await site.change("web", plan="sealnig")
    assert (await site.change("web", plan=None, origins=(PAGE,))).plan is None
    assert site.recorded == []


async def test_what_cannot_be_recorded_is_not_changed(site):
    with pytest.raises(ConnectionError):
        await site.change("web", plan="opening", fails=ConnectionError())
    assert (await site.stored("web"))["plan"] is None
