"""The access log of a running deployment is signed by itself, witnessed, and refused when it is not whole."""

import asyncio
import re
import shutil
import time

from audit import AccessReader, KeyKind, RosterStore, SigningKey, parse_note
from audit.checkpoint import MAX_ROSTER_BYTES, Roster
from tests.server.processes.deployment import NAMES, READER, free_port, utc_now
from tests.server.processes.erasure_rounds import NAME

WITNESS_KEY = str(SigningKey.from_seed("confide.witness/away", bytes(32), KeyKind.COSIGNATURE).verifier)
OFTEN = {"CONFIDE_CHECKPOINT_SECONDS": "1"}


async def newest(site):
    """The newest roster of the deployment, 0 and none before the first."""
    rosters = RosterStore.over(site.audit)
    sequence = await rosters.newest()
    if not sequence:
        return None
    return Roster.parse(parse_note((await rosters.read(sequence)).note, max_bytes=MAX_ROSTER_BYTES).text)


async def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := await condition():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come to be")


async def documents_of(site):
    """Everything in the audit database."""
    return {name: await site.audit[name].find({}).to_list(None) for name in await site.audit.list_collection_names()}


async def put_back(site, documents):
    """Make the audit database hold these documents, and no others."""
    for name in await site.audit.list_collection_names():
        await site.audit[name].delete_many({})
        if documents.get(name):
            await site.audit[name].insert_many(documents[name])


async def read_once(site, server, customer):
    answer = await site.ask(server, READER, NAMES, id=customer)
    assert answer.code is None, answer.body
    return answer.body["extensions"]["privacy"]["entry"]


async def test_a_stopped_server_leaves_a_signed_log_with_its_shard_closed(site):
    server = await site.served()
    customer = await site.create(server, givenName=NAME)
    entry = await read_once(site, server, customer)
    assert await newest(site) is None, "the control: nothing was signed before it stopped"
    assert await server.stop() == 0
    roster = await newest(site)
    listed = roster.entry(entry.split(".")[0])
    assert listed.closed
    assert listed.size > int(entry.split(".")[1])
    assert (site.data / "witness" / "roster-000000000001.note").is_file()


async def test_a_running_server_signs_on_a_schedule_and_closes_what_a_killed_one_left_open(site):
    killed = await site.served()
    entry = await read_once(site, killed, await site.create(killed, givenName=NAME))
    await killed.kill()
    server = await site.served(**OFTEN)

    async def closed():
        roster = await newest(site)
        listed = None if roster is None else roster.entry(entry.split(".")[0])
        return listed is not None and listed.closed

    await until(closed)
    customer = await site.create(server, givenName=NAME)
    own = (await read_once(site, server, customer)).split(".")

    async def signed():
        listed = (await newest(site)).entry(own[0])
        return listed is not None and listed.size > int(own[1]) and not listed.closed

    assert await until(signed), "its own shard is signed, and stays open"


async def test_two_servers_leave_each_other_s_shards_open(site):
    first, second = await site.served(**OFTEN), await site.served(**OFTEN)
    customer = await site.create(first, givenName=NAME)
    before = {(await read_once(site, server, customer)).split(".")[0] for server in (first, second)}
    sequence = (await until(lambda: newest(site))).sequence
    for _ in range(4):
        await asyncio.sleep(0.7)
        await read_once(site, first, customer)
        await read_once(site, second, customer)
    after = {(await read_once(site, server, customer)).split(".")[0] for server in (first, second)}
    assert (await newest(site)).sequence > sequence, "the control: checkpoints were made meanwhile"
    assert len(before) == 2
    assert after == before


async def test_a_log_that_was_cut_off_is_not_served_from(site):
    server = await site.served()
    customer = await site.create(server, givenName=NAME)
    await read_once(site, server, customer)
    assert await server.stop() == 0
    kept = await documents_of(site)
    server = await site.served()
    entry = await read_once(site, server, customer)
    assert await server.stop() == 0
    later = await documents_of(site)
    await put_back(site, kept)
    refused = await site.confide("serve")
    assert refused.code == 1
    assert "the database holds less of the log than the witness has seen" in refused.err
    assert (await site.confide("audit", "check")).code == 1
    await put_back(site, later)
    assert (await site.confide("audit", "check")).code == 0, "the control: put back, it is whole"
    server = await site.served()
    assert (await read_once(site, server, customer)) != entry


async def test_without_its_witness_directory_nothing_is_served(site):
    server = await site.served()
    assert await server.stop() == 0
    shutil.rmtree(site.data / "witness")
    refused = await site.confide("serve")
    assert refused.code == 1
    assert "there is no directory at the witness's path" in refused.err


async def test_an_http_witness_cosigns_and_a_log_that_does_not_follow_is_not_served(site):
    first = await site.served()
    customer = await site.create(first, givenName=NAME)
    assert await first.stop() == 0
    port, key = free_port(), (await site.confide("audit", "key")).out.strip()
    words = ["audit", "witness", "--dir", site.directory / "other", "--log", key, "--port", str(port)]
    witness = await site.start(*words, CONFIDE_DATA_DIR=str(site.directory / "other"))

    async def up():
        return re.search(r"confide\.witness/witness\+[0-9a-f]{8}\+\S+", witness.out)

    public = (await until(up))[0]
    settings = {"CONFIDE_WITNESS_URL": f"http://127.0.0.1:{port}", "CONFIDE_WITNESS_KEY": public, **OFTEN}
    server = await site.served(**settings)
    shard = (await read_once(site, server, customer)).split(".")[0]

    async def cosigned(more_than=0):
        notes = await site.audit["cosigned"].find({"_id": {"$gt": f"{shard}:", "$lt": f"{shard};"}}).to_list(None)
        sizes = [int(each["_id"].split(":")[1]) for each in notes]
        return max(sizes, default=0) if max(sizes, default=0) > more_than else None

    size = await until(cosigned)
    note = parse_note(bytes((await site.audit["cosigned"].find_one({"_id": f"{shard}:{size:012d}"}))["note"]))
    assert "confide.witness/witness" in {signature.name for signature in note.signatures}
    backup = await documents_of(site)
    shutil.copytree(site.data / "witness", site.directory / "kept")
    await read_once(site, server, customer)
    await until(lambda: cosigned(size))
    await server.kill()
    # The database *and* the directory go back to before: only the other machine knows better.
    await put_back(site, backup)
    shutil.rmtree(site.data / "witness")
    shutil.copytree(site.directory / "kept", site.data / "witness")
    refused = await site.confide("serve", **settings)
    assert refused.code == 1
    assert "the database holds less of a shard than an HTTP witness has signed" in refused.err
    witness.signal(15)
    assert await witness.wait() == 0
    unreachable = await site.served(**settings)
    assert "witness_unreachable" in unreachable.process.err, (
        "the control, and one that is away keeps nobody from serving"
    )


async def test_a_witness_refuses_what_is_not_the_key_of_a_log(site):
    ended = await site.confide("audit", "witness", "--dir", site.directory / "other", "--log", "nonsense")
    assert ended.code == 1
    assert "key" in ended.err


async def test_a_shard_that_a_process_had_to_move_to_is_announced_at_once(site):
    server = await site.served()
    customer = await site.create(server, givenName=NAME)
    shard = (await read_once(site, server, customer)).split(".")[0]
    log = AccessReader.over(site.audit, now=utc_now)

    async def announced():
        return {each.get("shard") for each in await site.keys["processes"].find({}).to_list(None)}

    assert await announced() == {shard}, "the control"
    await site.keys["processes"].update_many({}, {"$set": {"shard": "0" * 12}})  # as if it had just been moved to
    other = await site.served(**OFTEN)

    async def closed():
        return await site.audit["batches"].find_one({"shard": shard, "end": {"$exists": True}})

    await until(closed)
    assert await other.stop() == 0
    moved = (await read_once(site, server, customer)).split(".")[0]
    assert moved != shard
    assert moved in await log.shards()

    async def told():
        return moved in await announced()

    assert await until(told, 5.0), "long before its own next checkpoint"


async def test_a_witness_directory_that_lacks_rosters_is_filled_again_and_one_that_was_emptied_is_refused(site):
    server = await site.served(**OFTEN)
    customer = await site.create(server, givenName=NAME)
    for size in range(3):
        await read_once(site, server, customer)

        async def signed(size=size):
            return ((await newest(site)) or None) is not None and (await newest(site)).sequence > size

        await until(signed)
    assert await server.stop() == 0
    assert (await site.confide("audit", "check")).code == 0, "the control"
    whole = {each.name for each in (site.data / "witness").iterdir()}
    notes = sorted((site.data / "witness").glob("roster*.note"))
    notes[-1].unlink()
    checked = await site.confide("audit", "check")
    assert checked.code == 1
    assert f"the witness's directory has {len(notes) - 1} of" in checked.err
    server = await site.served()
    assert "witness_lacking" in server.process.err
    assert await server.stop() == 0
    assert whole <= {each.name for each in (site.data / "witness").iterdir()}
    assert (await site.confide("audit", "check")).code == 0
    for each in (site.data / "witness").glob("*.note"):
        each.unlink()
    for refusing in (("audit", "check"), ("serve",)):
        refused = await site.confide(*refusing)
        assert refused.code == 1
        assert "it was emptied" in refused.err
    assert (await site.confide("audit", "adopt-witness")).code == 0
    assert (await site.confide("audit", "check")).code == 0


async def test_a_change_of_keys_prints_the_new_key_also_where_no_witness_can_be_given_it(site):
    server = await site.served()
    await site.create(server, givenName=NAME)
    assert await server.stop() == 0
    before = (await site.confide("audit", "key")).out.strip()
    away = {
        "CONFIDE_WITNESS_URL": f"http://127.0.0.1:{free_port()}",
        "CONFIDE_WITNESS_KEY": WITNESS_KEY,
    }
    changed = await site.confide("audit", "rotate-key", **away)
    assert changed.code == 0, changed.err
    after = (await site.confide("audit", "key")).out.strip()
    assert changed.out.strip() == after != before
    signed = await site.confide("audit", "checkpoint", **away)
    assert signed.code == 0, signed.err
    assert "witness_unreachable" in signed.err
