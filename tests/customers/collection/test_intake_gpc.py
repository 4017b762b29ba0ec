"""`Sec-GPC` is an objection to every sale and sharing, written down once, and not against what was said since."""

import pytest

from customers.collection.opting_out import SOURCE, sales
from customers.consent.model import ConsentDecision, ConsentState, Rights, refusal
from policies import Reason, load_policies
from tests.customers.collection.gathering import gathering, track
from tests.schema.world import OFFICER, granted, utc_now

PURPOSES = load_policies().purposes
SALE = "partner_advertising"


@pytest.fixture
async def gathered(world):
    async with gathering(world) as made:
        yield made
        assert made.errors == []


async def rights(gathered, customer_id):
    return Rights.of_document((await gathered.profile(customer_id))["rights"])


async def ledger(gathered):
    return await gathered.world.main["consent_ledger"].find({"source": SOURCE}).to_list(None)


def test_what_sells_is_said_by_the_policy():
    assert sales(PURPOSES) == [SALE]


async def test_the_signal_opts_out_once_and_events_without_it_do_not(gathered):
    await gathered.send(track())
    visitor = await gathered.customer()
    assert (await rights(gathered, visitor)).objected == frozenset()
    for _ in range(3):
        await gathered.send(track(), track(), gpc=True)
    assert (await rights(gathered, visitor)).objected == {SALE}
    assert [each["customer_id"] for each in await ledger(gathered)] == [visitor]
    written = [each for each in await gathered.world.records() if each.kind == "write"]
    assert any("profile.consents" in fields.fields for fields in written[-1].decisions)
    assert not any("profile.consents" in fields.fields for fields in written[0].decisions)


async def test_the_signal_is_felt_by_the_next_read_whatever_was_agreed_to(gathered):
    await gathered.send(track())
    one = await gathered.customer()
    async with gathered.world.vault.reading():
        for each in granted(SALE, "marketing"):
            await gathered.world.writer.record_consent(gathered.world.access(*OFFICER), one, each)
    assert refusal(await rights(gathered, one), PURPOSES[SALE], utc_now()) is None
    await gathered.send(track(), gpc=True)
    held = await rights(gathered, one)
    assert refusal(held, PURPOSES[SALE], utc_now()) is Reason.OBJECTION
    assert refusal(held, PURPOSES["email_marketing"], utc_now()) is None


async def test_who_takes_the_objection_back_in_so_many_words_is_not_opted_out_again(gathered):
    await gathered.send(track(), gpc=True)
    visitor = await gathered.customer()
    back = ConsentDecision(SALE, ConsentState.OBJECTION_WITHDRAWN, utc_now(), "portal")
    async with gathered.world.vault.reading():
        await gathered.world.writer.record_consent(gathered.world.access(*OFFICER), visitor, back)
    await gathered.send(track(), gpc=True)
    assert (await rights(gathered, visitor)).objected == frozenset()
    assert len(await ledger(gathered)) == 1
