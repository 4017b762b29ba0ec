"""Where recipients may be, what is left in clear, and what becomes of those who cannot be told."""

from datetime import timedelta

import pytest
from bson import encode

from customers.outgoing import Allowed
from customers.rights.recipients import RecipientNotFoundError, State
from tests.customers.outgoing.answering import always, answering, response
from tests.schema.canaries import leaks

TAKEN = always(response("204 No Content", b""))
PRIVATE = [
    "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.9.9", "100.64.0.1", "169.254.169.254", "0.0.0.0",  # noqa: S104 - never bound
    "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fc00::1", "fe80::1%eth0", "fd00:ec2::254", "::",
    "2002:7f00:1::", "2001:db8::1",
]  # fmt: skip


async def dead_of(office, client):
    """What a delivery dies of, if it does at once."""
    await office.runner(client).run_due()
    [found] = await office.service.deliveries(None, None, 10)
    return found.standing, found.failure


async def test_a_name_that_stands_for_a_private_address_is_not_told_anything(office):
    asked, left = [], list(PRIVATE)

    async def resolve(host, port):
        asked.append(host)
        return [left.pop()]

    await office.service.add(office.recipient("https://paper.example/told"), Allowed())
    await office.erase(await office.world.one(1))
    [found] = await office.service.deliveries(None, None, 10)
    async with office.client(resolve=resolve) as client:
        for _ in PRIVATE:
            assert await dead_of(office, client) == ("dead", "address_refused")
            await office.service.retry(found.delivery.id)
    assert (asked, left) == (["paper.example"] * len(PRIVATE), [])


async def test_a_name_that_is_public_first_and_private_then_leads_nowhere(office):
    """The connection goes to an address that was checked; each connection checks anew."""
    async with answering(TAKEN) as server:
        answers = [["127.0.0.1", "93.184.216.34"], ["127.0.0.1"]]

        async def resolve(host, port):
            return answers.pop(0)

        url = f"https://paper.example:{server.port}/told"
        await office.service.add(office.recipient(url), Allowed())
        await office.erase(await office.world.one(1))
        async with office.client(resolve=resolve) as client:
            assert await dead_of(office, client) == ("dead", "address_refused")
            [found] = await office.service.deliveries(None, None, 10)
            await office.service.retry(found.delivery.id)
            assert await dead_of(office, client) == ("dead", "address_refused")
        assert server.heard == []


async def test_a_recipient_that_was_written_into_the_database_reaches_no_private_network_either(office):
    async with answering(TAKEN) as server:
        await office.add(server)
        for url in (
            server.url("/told"),
            f"https://[::ffff:127.0.0.1]:{server.port}/",
            "http://localhost/",
            "ftp://x/",
        ):
            await office.world.main["recipients"].update_one({"_id": "newsletter"}, {"$set": {"url": url}})
            await office.world.main["recipient_deliveries"].delete_many({})
            await office.world.main["jobs"].delete_many({})
            await office.erase(await office.world.one(1))
            async with office.client() as client:
                assert await dead_of(office, client) == ("dead", "address_refused")
        assert server.heard == []


async def test_a_redirect_is_not_followed_and_told_is_nobody(office):
    async with answering(TAKEN) as inner:
        moved = response("307 Temporary Redirect", b"", f"Location: {inner.url('/inner')}")
        async with answering(always(moved)) as server:
            await office.add(server)
            await office.erase(await office.world.one(1))
            await office.run(server, inner)
            [found] = await office.service.deliveries(None, None, 10)
            assert (found.standing, found.failure, inner.heard) == ("waiting", "answer_invalid", [])


async def test_who_asks_for_patience_gets_it_and_not_more_than_six_hours(office):
    answer = response("429 Too Many Requests", b"", "Retry-After: 999999")
    async with answering(always(answer)) as server:
        await office.add(server)
        await office.erase(await office.world.one(1))
        assert await office.run(server) == 1
        office.wait(hours=5)
        assert await office.run(server) == 0
        office.wait(hours=2)
        assert await office.run(server) == 1


async def test_a_dead_letter_is_tried_again_when_a_person_says_so(office):
    answers = [response("500 No")] * 20 + [response()]

    async def script(_request, write):
        await write(answers.pop(0))

    async with answering(script) as server:
        await office.add(server)
        certificate = await office.erase(await office.world.one(1))
        for _ in range(22):
            office.wait(hours=10)
            await office.run(server)
        [found] = await office.service.deliveries(None, None, 10)
        assert (found.standing, found.attempts, found.failure) == ("dead", 20, "status_500")
        with pytest.raises(RecipientNotFoundError):
            await office.service.retry("dlv_none")
        await office.service.retry(found.delivery.id)
        await office.run(server)
        [told] = await office.service.told_of_erasure(certificate.id)
        assert told.state is State.TOLD
        with pytest.raises(RecipientNotFoundError):
            await office.service.retry(told.id)


async def test_what_nobody_took_in_thirty_days_is_destroyed_unread(office):
    async with answering(always(response("500 No"))) as server:
        await office.add(server)
        certificate = await office.erase(await office.world.one(1))
        await office.run(server)
        office.wait(days=29)
        assert await office.sweep() == 0
        office.wait(days=2)
        assert await office.sweep() == 1
        [given_up] = await office.service.told_of_erasure(certificate.id)
        assert (given_up.state, given_up.sealed) == (State.GIVEN_UP, None)
        assert await office.run(server) == 0
        assert len(server.heard) == 1, "only once, before"


async def test_whoever_is_disabled_is_told_nothing_until_they_are_not(office):
    async with answering(TAKEN) as server:
        await office.add(server)
        await office.erase(await office.world.one(1))
        await office.service.disable("newsletter", disabled=True)
        await office.run(server)
        [found] = await office.service.deliveries(None, None, 10)
        assert (found.standing, found.failure, server.heard) == ("dead", "recipient_disabled", [])
        assert (await office.erase(await office.world.one(2))).recipients == ()
        await office.service.disable("newsletter", disabled=False)
        await office.service.retry(found.delivery.id)
        assert await office.run(server) == 1
        with pytest.raises(RecipientNotFoundError):
            await office.service.disable("nobody", disabled=True)


async def test_nothing_of_the_person_is_in_clear_before_or_after_they_are_told(office, caplog):
    canaries = ["zqmailbox", "zqshopper", "zqulmcity"]
    values = {"email": "zqmailbox@canary.example", "city": "Kiel"}
    [gone] = await office.world.create(office.world.draft(values, external=["shop:zqshopper"]))

    async def found():
        told = []
        for database in (office.world.main, office.world.keys, office.world.audit):
            for name in await database.list_collection_names():
                documents = await database[name].find({}).to_list(None)
                told += [(name, each) for each in documents if leaks(canaries, encode(each))]
        return told

    async with answering(always(response("503 No"))) as server:
        await office.add(server, known_by=("email", "external_id:shop", "customer_id"))
        await office.change(gone, {"city": "zqulmcity"})
        await office.erase(gone)
        await office.run(server)
        assert server.heard, "it was tried"
        assert await found() == []
        jobs = await office.world.main["jobs"].find({}).to_list(None)
        assert not leaks([gone, *canaries], encode({"jobs": jobs})), "nor is who it is in a job of an erasure"
        assert not leaks(canaries, caplog.text.encode())
        planted = {"city": "zqulmcity"}
        await office.world.main["jobs"].insert_one({"_id": "planted", **planted})
        assert len(await found()) == 1, "the search finds what is there"


async def test_an_erasure_that_came_to_nothing_is_told_to_nobody(office):
    """The key store was restored to a moment before the erasure, whose notice the main database still has."""
    async with answering(TAKEN) as server:
        await office.add(server)
        stays = await office.world.one(1)
        async with office.world.vault.reading():
            key = (await office.world.vault.create_keys(["ntc_lost"]))["ntc_lost"]
        record = await office.world.keys["data_keys"].find_one({"_id": stays})
        await office.deliveries.hold(key.customer_id, record["leaf"], "crt_lost", office.now)
        assert await office.sweep() == 1
        assert await office.run(server) == 0
        assert await office.world.main["recipient_notices"].count_documents({}) == 0


async def test_proof_of_what_was_told_goes_after_two_years(office):
    async with answering(TAKEN) as server:
        await office.add(server)
        await office.erase(await office.world.one(1))
        await office.run(server)
        office.now += timedelta(days=700)
        await office.sweep()
        assert len(await office.service.deliveries(None, None, 10)) == 1
        office.now += timedelta(days=40)
        await office.sweep()
        assert await office.service.deliveries(None, None, 10) == []
