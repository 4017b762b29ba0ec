"""`confide audit export|receipt|verify`: what leaves is recorded first, and verifies without a database."""

import os
import re

from audit import Kind, Receipt, VerifierKey
from tests.server.processes.deployment import NAMES, READER
from tests.server.processes.erasure_rounds import NAME


async def exports_of(site):
    return [record for record in (await site.records()).values() if record.kind is Kind.EXPORT]


async def test_an_export_is_recorded_and_verifies_with_the_key_and_nothing_else(shared):
    server = await shared.served()
    customer = await shared.create(server, givenName=NAME)
    answer = await shared.ask(server, READER, NAMES, id=customer)
    entry = answer.body["extensions"]["privacy"]["entry"]
    assert await server.stop() == 0
    assert await exports_of(shared) == [], "the control"
    bundle = shared.directory / "all.zip"
    exported = await shared.confide("audit", "export", bundle)
    assert exported.code == 0
    (record,) = await exports_of(shared)
    assert (record.operation, record.roles, record.purpose) == ("confide audit export", ("auditor",), "audit")
    (shared.directory / "audit.pub").write_text((await shared.confide("audit", "key")).out)
    nowhere = {"CONFIDE_MONGO_URI": "mongodb://127.0.0.1:9/"}
    verified = await shared.confide("audit", "verify", bundle, "--key", shared.directory / "audit.pub", **nowhere)
    assert verified.code == 0, verified.err
    assert verified.out.startswith("OK: ")
    assert "FULL: no entry is missing" in verified.out
    assert "No witness was compared" in verified.out
    told = exported.err.strip().splitlines()[-1].split()
    assert told[:3] == ["confide", "audit", "verify"]
    known = {"AUDIT.PUB": shared.directory / "audit.pub", "DIRECTORY": shared.data / "witness"}
    beside = [known.get(word, word) for word in told[1:]]
    assert (await shared.confide(*beside, **nowhere)).code == 0, "what it said to type is right, word for word"
    assert (await shared.confide(*beside[:-2], **nowhere)).code == 1, "the control: the witness has heard more since"
    receipt = shared.directory / "one.tlog-proof"
    assert (await shared.confide("audit", "receipt", entry, "--to", receipt)).code == 0
    assert len(await exports_of(shared)) == 2
    key = VerifierKey.parse((shared.directory / "audit.pub").read_text())
    assert Receipt.parse(receipt.read_bytes()).verify([key]).size > int(entry.split(".")[1])


async def test_a_part_is_exported_by_what_was_decided(shared):
    bundle = shared.directory / "part.zip"
    words = ("--client", "nobody", "--decision", "masked", "--outcome", "allowed", "--since", "2026-01-01")
    ended = await shared.confide("audit", "export", bundle, *words)
    assert ended.code == 0, ended.err
    assert "Wrote 0 records" in ended.err
    assert f"confide audit verify {bundle} --key AUDIT.PUB --filtered\n" in ended.err
    used = ["access_entry.client", "access_entry.fields", "access_entry.outcome", "access_entry.time"]
    assert used in [sorted(record.filters) for record in await exports_of(shared)]
    verify = ("audit", "verify", bundle, "--key", (await shared.confide("audit", "key")).out.strip())
    unasked = await shared.confide(*verify)
    assert unasked.code == 4, "a full export can be made into such a one, and records left out"
    assert unasked.out.startswith("FILTERED: 0 records")
    assert "FILTERED by client 'nobody', decision 'masked', outcome 'allowed', since '2026-01-01" in unasked.out
    assert "that none was left out is not proved" in unasked.out
    assert "say --filtered if that is what you asked for" in unasked.out
    told = await shared.confide(*verify, "--json")
    assert (told.code, told.json["ok"], told.json["full"]) == (4, False, False)
    assert told.json["filter"]["decision"] == "masked"
    as_of = re.search(r"--filtered --witness DIRECTORY --as-of (\S+)", ended.err)[1]
    words = ("--filtered", "--witness", shared.data / "witness", "--as-of", as_of)
    asked = await shared.confide(*verify, *words)
    assert asked.code == 0, asked.out
    assert asked.out.startswith("OK: 0 records")
    assert "is not proved" in asked.out
    assert f"rosters that the witness '{shared.data / 'witness'}' has" in asked.out
    assert re.search(r"The witness has \d+ newer rosters", asked.out)
    again = await shared.confide("audit", "export", bundle)
    assert again.code == 1
    assert "choose another name" in again.err


async def test_the_verifier_says_by_its_exit_code_what_is_wrong(shared):
    bundle, key = shared.directory / "codes.zip", shared.directory / "codes.pub"
    assert (await shared.confide("audit", "export", bundle)).code == 0
    key.write_text((await shared.confide("audit", "key")).out)
    assert (await shared.confide("audit", "verify", bundle, "--key", key)).code == 0, "the control"
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    changed, cut, empty = (shared.directory / name for name in ("changed.zip", "cut.zip", "empty.zip"))
    changed.write_bytes(data)
    cut.write_bytes(bundle.read_bytes()[:200])
    empty.write_bytes(b"")
    for path, codes in ((changed, {1, 2}), (cut, {2}), (empty, {2})):
        ended = await shared.confide("audit", "verify", path, "--key", key)
        assert ended.code in codes, (path, ended.out)
        assert "NOT OK" in ended.out
    nothing = shared.directory / "nothing.pub"
    nothing.write_bytes(os.urandom(40))
    for bad in ("no key", "confide.audit/main+00000000+AAAA", nothing):
        ended = await shared.confide("audit", "verify", bundle, "--key", bad)
        assert ended.code == 3, ended.out
        assert "--key" in ended.err
        assert ended.out == ""


async def test_a_receipt_is_verified_by_a_command_that_reads_no_database(shared):
    entry = next(iter(await shared.records()))
    receipt, key = shared.directory / "proof.tlog-proof", (await shared.confide("audit", "key")).out.strip()
    assert (await shared.confide("audit", "receipt", entry, "--to", receipt)).code == 0
    nowhere = {"CONFIDE_MONGO_URI": "mongodb://127.0.0.1:9/"}
    proved = await shared.confide("audit", "verify-receipt", receipt, "--key", key, "--json", **nowhere)
    assert proved.code == 0, proved.err
    assert proved.json["index"] == int(entry.split(".")[1])
    assert proved.json["record"]["actor"]
    lines = receipt.read_text().splitlines(keepends=True)
    other = next(each for each in await shared.records() if each != entry)
    again = shared.directory / "other.tlog-proof"
    assert (await shared.confide("audit", "receipt", other, "--to", again)).code == 0
    lines[1] = again.read_text().splitlines(keepends=True)[1]
    receipt.write_text("".join(lines))
    assert (await shared.confide("audit", "verify-receipt", receipt, "--key", key)).code == 1, "another's record"
    receipt.write_text("no receipt")
    assert (await shared.confide("audit", "verify-receipt", receipt, "--key", key)).code == 2
    assert (await shared.confide("audit", "verify-receipt", receipt, "--key", "none")).code == 3


async def test_changing_the_key_and_taking_a_new_witness_are_recorded(shared):
    async def recorded():
        return [record.operation for record in (await shared.records()).values() if record.kind is Kind.ADMIN]

    assert await recorded() == [], "the control"
    before = (await shared.confide("audit", "key")).out
    changed = await shared.confide("audit", "rotate-key")
    assert changed.code == 0, changed.err
    assert changed.out not in ("", before)
    assert await recorded() == ["confide audit rotate-key"]
    (shared.directory / "new").mkdir()
    adopted = await shared.confide("audit", "adopt-witness", CONFIDE_WITNESS_DIR=str(shared.directory / "new"))
    assert adopted.code == 0, adopted.err
    assert sorted(await recorded()) == ["confide audit adopt-witness", "confide audit rotate-key"]


async def test_everything_that_is_stored_can_be_recomputed(shared):
    filled = await shared.confide("audit", "checkpoint")  # the test before this one signed for another directory
    assert filled.code == 0, filled.err
    whole = await shared.confide("audit", "check", "--records")
    assert whole.code == 0, whole.out + whole.err
    batch = await shared.audit["batches"].find_one({"records": {"$exists": True}})
    records = [bytes(each) for each in batch["records"]]
    changed = [records[0].replace(b"2", b"3"), *records[1:]]
    await shared.audit["batches"].update_one({"_id": batch["_id"]}, {"$set": {"records": changed}})
    found = await shared.confide("audit", "check", "--records")
    assert found.code == 1
    assert batch["shard"] in found.out or "shard" in found.out
    assert (await shared.confide("audit", "check")).code == 0, "the control: heads alone do not show it"
    await shared.audit["batches"].update_one({"_id": batch["_id"]}, {"$set": {"records": records}})
    assert (await shared.confide("audit", "check", "--records")).code == 0
