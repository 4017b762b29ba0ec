"""Recipients are told that somebody restricts what is done with their data, and that they do no more (GDPR Art. 18, 19)."""

from customers.consent.model import EVERY_PURPOSE, ConsentDecision, ConsentState
from customers.rights.recipients import NoticeKind, RecipientKind, State
from tests.customers.outgoing.answering import always, answering, in_turn, response
from tests.customers.rights.recipients.office import heard
from tests.schema.world import CUSTOMER

TAKEN = always(response("204 No Content", b""))


async def choose(office, customer_id, state):
    decision = ConsentDecision(EVERY_PURPOSE, state, office.now, "portal")
    async with office.world.vault.reading():
        access = office.world.access(*CUSTOMER, customer=customer_id)
        await office.writer.record_consent(access, customer_id, decision)


async def test_a_restriction_is_told_and_so_is_its_end_and_each_once(office):
    mine = await office.world.one(1)
    reference = await office.world.reference(mine)
    async with answering(TAKEN) as server, answering(TAKEN) as other:
        await office.add(server, name="restricting")
        await office.add(other, name="asked-to-erase", kind=RecipientKind.OPENDSR)
        await choose(office, mine, ConsentState.RESTRICTED)
        await office.run(server, other)
        office.wait(minutes=1)
        await choose(office, mine, ConsentState.RESTRICTED)
        assert await office.run(server, other) == 0, "nothing has changed by that"
        await choose(office, mine, ConsentState.RESTRICTION_LIFTED)
        await office.run(server, other)
        bodies = [heard(each)[1] for each in server.heard]
        assert other.heard == [], "OpenDSR has no word for it"
    assert [each["type"] for each in bodies] == ["customer.restricted", "customer.restriction_lifted"]
    assert [each["data"].keys() for each in bodies] == [{"id", "person"}, {"id", "person"}]
    assert bodies[0]["data"]["person"] == [{"by": "email", "value": "person1@mail1.example"}]
    told = await office.world.records(client="recipient:restricting")
    assert [each.subjects for each in told] == [(reference,), (reference,)]


async def test_what_holds_when_it_is_told_is_told_and_nothing_that_holds_no_more(office):
    mine = await office.world.one(1)
    async with answering(in_turn(response("503 No"), response())) as server:
        await office.add(server)
        await choose(office, mine, ConsentState.RESTRICTED)
        await office.run(server)
        office.wait(seconds=1)
        await choose(office, mine, ConsentState.RESTRICTION_LIFTED)
        office.wait(minutes=11)
        await office.run(server)
        kinds = [heard(each)[1]["type"] for each in server.heard]
    assert kinds == ["customer.restricted", "customer.restriction_lifted"], "the first was not taken, the second was"
    ended = {each.delivery.kind: each.standing for each in await office.service.deliveries(None, None, 10)}
    assert ended == {NoticeKind.RESTRICTION: "void", NoticeKind.RESTRICTION_LIFTED: "told"}


async def test_of_somebody_who_was_erased_no_restriction_is_told_any_more(office):
    mine = await office.world.one(1)
    async with answering(TAKEN) as server:
        await office.add(server)
        await choose(office, mine, ConsentState.RESTRICTED)
        await office.erase(mine)
        await office.run(server)
        assert [heard(each)[1]["type"] for each in server.heard] == ["customer.erased"]
    [voided] = await office.service.deliveries(None, State.VOID, 10)
    assert (voided.delivery.kind, voided.delivery.customer_id) == (NoticeKind.RESTRICTION, None)


async def test_a_change_that_another_one_overtook_is_told_of_once_it_is_made(office):
    """Somebody changes the profile between what is prepared and what is written: the version moves, and not by this."""
    mine = await office.world.one(1)
    async with answering(TAKEN) as server:
        await office.add(server)
        [document] = await office.world.store.find([mine])
        async with office.world.vault.reading():
            key = (await office.world.vault.keys([mine]))[mine]
            await office.notices.restricting(document, key, (), restricted=True)
        await office.world.store.update(mine, document["version"], {"$set": {"country": "AT"}})
        await office.run(server)
        assert (server.heard, await office.states()) == ([], {"newsletter": "waiting"})
        await choose(office, mine, ConsentState.RESTRICTED)
        office.wait(seconds=3)
        await office.run(server)
        assert {heard(each)[1]["type"] for each in server.heard} == {"customer.restricted"}
        assert await office.states() == {"newsletter": "told"}


async def test_a_restricted_persons_parts_are_named_too(office):
    first, second = await office.world.create(
        office.world.draft({"city": "Ulm", "email": "one@example.org"}),
        office.world.draft({"city": "Kiel", "email": "two@example.org"}),
    )
    async with office.world.vault.reading():
        await office.world.reviewer.merge(office.world.access("data_steward", "identity_resolution"), first, second)
    async with answering(TAKEN) as server:
        await office.add(server)
        await choose(office, first, ConsentState.RESTRICTED)
        await office.run(server)
        [request] = server.heard
    assert {each["value"] for each in heard(request)[1]["data"]["person"]} == {"one@example.org", "two@example.org"}
