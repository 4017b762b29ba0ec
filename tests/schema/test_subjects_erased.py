"""Whom an entry is about: asked of a living customer it is one look-up, of an erased one nobody can answer it.

The entries stay, and the tree over them verifies, before and after.
"""

import base64
import io
import shutil

import pytest

from audit import AccessQuery, AccessReader, Decision, Kind, Outcome, Record, Verdict, timestamp, verify_bundle
from audit.export import export_bundle
from tests.audit.bundles import lines, pack, relisted, unpack
from tests.audit.signed_log import SignedLog
from tests.schema.counting import counting_client
from tests.schema.world import AUDITOR, CUSTOMER, SUPPORT, new_databases, new_world, open_world, utc_now
from vault import DataKey

READS = """query Reads($customer: ID!) {
  accessLog(filter: {customer: $customer, kind: READ}, first: 100) { nodes { id actor subjects } }
}"""
PAGE_OF_LOG = "{ accessLog { nodes { id } } }"
LOOK = "query ($id: ID!) { profile(id: $id) { email } }"
PAGE = "{ profiles { nodes { givenName } } }"


def code_of(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


def usual(number):
    """A read of nobody in particular, as a log is full of."""
    return Record(
        actor=f"agent-{number % 7}",
        roles=("support_agent",),
        kind=Kind.READ,
        outcome=Outcome.ALLOWED,
        policy="p1",
        purpose="customer_service",
        decisions=(Decision(decision=Verdict.CLEAR, fields=("profile.email",), rule=1),),
        subjects=(f"{number:022d}",),
        time=timestamp(utc_now()),
    )


@pytest.fixture
async def counted(mongo_uri, tmp_path):
    """A platform whose commands are counted."""
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path) as world:
        yield world, commands
    await client.close()


async def test_all_reads_of_a_living_person_are_one_look_up_however_long_the_log(counted):
    world, commands = counted
    ada, bob = await world.one(1), await world.one(2)
    reference = await world.reference(ada)
    for number in range(3):
        await world.told(LOOK, *SUPPORT, {"id": ada}, actor=f"ann-{number}")
    await world.told(PAGE, *SUPPORT, actor="pat")
    await world.told(LOOK, *SUPPORT, {"id": bob}, actor="bea")
    for grown in (0, 200):
        for number in range(grown):
            await world.log.append(usual(number))
        commands.taken()
        told = await world.told(READS, *AUDITOR, {"customer": ada})
        # Which profiles are this person; whether they live, and under which references; the batches; and the record
        # of this search.
        assert commands.taken() == ["find profiles", "find data_keys", "find batches", "insert batches"]
        assert [each["actor"] for each in told["accessLog"]["nodes"]] == ["pat", "ann-2", "ann-1", "ann-0"]
        assert all(reference in each["subjects"] for each in told["accessLog"]["nodes"])
    # Negative control: what is not asked of one person takes more look-ups, for there is no telling how far back.
    commands.taken()
    told = await world.told(
        '{ accessLog(filter: {actor: "ann-0"}, first: 100) { nodes { id } } }', *AUDITOR, {}, actor="tim"
    )
    assert commands.taken().count("find batches") > 1
    assert len(told["accessLog"]["nodes"]) == 1


async def copied(source, target):
    """Everything that one database holds, in another."""
    for name in await source.list_collection_names():
        if documents := await source[name].find({}).to_list(None):
            await target[name].insert_many(documents)


async def references(world):
    """Every audit reference that can be derived from the keys of a platform."""
    found = await world.keys["data_keys"].find({}, {"_id": 1}).to_list(None)
    async with world.vault.reading():
        keys = await world.vault.keys([each["_id"] for each in found])
    return {
        base64.urlsafe_b64encode(each.audit_reference)[:22].decode()
        for each in keys.values()
        if isinstance(each, DataKey)
    }


async def bundle_verdict(signed, path, public):
    """The verdict on an export of everything, as of a new checkpoint."""
    await signed.checkpointer().checkpoint()
    out = io.BytesIO()
    reader = AccessReader.over(signed.database, now=utc_now)
    await export_bundle(reader, signed.rosters(), out, now=utc_now, query=AccessQuery())
    path.write_bytes(out.getvalue())
    return verify_bundle(path, public, witness=signed.witness_path)


async def test_after_an_erasure_nobody_can_tell_whom_entries_are_about_and_the_tree_verifies(mongo_client, tmp_path):
    directory = tmp_path / "live"
    directory.mkdir()
    async with (
        new_databases(mongo_client) as parts,
        new_databases(mongo_client) as copies,
        new_databases(mongo_client) as controls,
    ):
        async with open_world(*parts, directory) as world:
            signed = SignedLog(world.audit, tmp_path)
            signed.time = utc_now()
            await signed.start()
            public = str(signed.public)
            ada, bob = await world.one(1), await world.one(2)
            for who in (ada, bob):
                await world.told(LOOK, *SUPPORT, {"id": who})
            reference, others = await world.reference(ada), await world.reference(bob)
            assert {reference, others} == await references(world)
            before = await bundle_verdict(signed, tmp_path / "before.zip", public)
            assert before
            for part, *copied_to in zip(parts, copies, controls, strict=True):
                for copy in copied_to:
                    await copied(part, copy)
            old_ring = (directory / "key.ring").read_bytes()

            await world.erase(ada)

            # Asked of her, there is nothing; the entries are there, and say the same as ever.
            for who, role in ((None, AUDITOR), (ada, CUSTOMER)):
                answer = await world.ask(
                    READS if who is None else PAGE_OF_LOG, *role, {"customer": ada}, customer=who
                )
                assert (code_of(answer), answer.data) == (["NOT_FOUND"], None)
            assert len((await world.told(READS, *AUDITOR, {"customer": bob}))["accessLog"]["nodes"]) == 1
            kept = await world.records(subject=reference, kind=Kind.READ)
            assert [each.subjects for each in kept] == [(reference,)]
            assert await references(world) == {others}
            after = await bundle_verdict(signed, tmp_path / "after.zip", public)
            assert after

        # The copy of all three databases from before it, with the key ring of today: hers cannot be derived.
        assert (await copies[1]["data_keys"].find_one({"_id": ada}))["state"] == "active"
        async with open_world(*copies, directory) as restored:
            assert await references(restored) == {others}
            answer = await restored.ask(READS, *AUDITOR, {"customer": ada})
            assert (code_of(answer), answer.data) == (["NOT_FOUND"], None)
            assert len((await restored.told(READS, *AUDITOR, {"customer": bob}))["accessLog"]["nodes"]) == 1
            assert len(await restored.records(subject=reference, kind=Kind.READ)) == 1

        # Negative control: with the ring of before it, which must not survive, the same copy tells all.
        (directory / "key.ring").write_bytes(old_ring)
        async with open_world(*controls, directory) as undone:
            assert await references(undone) == {reference, others}
            assert len((await undone.told(READS, *AUDITOR, {"customer": ada}))["accessLog"]["nodes"]) == 1


async def test_a_log_whose_erased_entries_were_taken_out_does_not_verify(mongo_client, tmp_path):
    """Negative control of the verdict: to erase somebody is not to take out their entries."""
    async with new_world(mongo_client, tmp_path) as world:
        signed = SignedLog(world.audit, tmp_path)
        await signed.start()
        ada = await world.one(1)
        await world.told(LOOK, *SUPPORT, {"id": ada})
        reference = await world.reference(ada)
        await world.erase(ada)
        path = tmp_path / "log.zip"
        assert await bundle_verdict(signed, path, str(signed.public))
        taken_out = tmp_path / "taken-out.zip"
        shutil.copy(path, taken_out)
        members = unpack(path.read_bytes())
        kept = [line for line in lines(members) if reference.encode() not in line]
        assert len(kept) < len(lines(members))
        taken_out.write_bytes(pack(relisted(members, kept)))
        assert not verify_bundle(taken_out, str(signed.public))
