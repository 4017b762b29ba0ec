"""An entry's page: what it says in words, the rules behind it, and its proof, over a log that is really signed."""

import os

import pytest

from audit import (
    AuditUnavailableError,
    Checkpointer,
    Decision,
    EntryId,
    Kind,
    Outcome,
    Receipt,
    Record,
    SigningKeys,
    Verdict,
    WitnessDirectory,
    timestamp,
)
from server.console import Check, LogProofs, Verification
from tests.audit.sealer import MemorySealer
from tests.schema.world import utc_now
from tests.server.console.conftest import entry_of


async def open_entry(desk, browser, **query):
    entry = await entry_of(desk.world, **query)
    await browser.get(f"/console/audit/{entry}")
    return entry


async def test_an_entry_tells_everything_in_plain_words(desk):
    browser = await desk.auditor()
    await open_entry(desk, browser, actor="mia")
    assert "mia, a marketer, read 3 of 4 fields of 2 customers for marketing." in browser.text
    assert "4 fields: 2 in clear, 1 masked and 1 withheld, but for the exceptions below." in browser.text
    assert "◐ Masked E-mail address profile.email domain only Rule 36 lets a marketer see a mask of" in browser.text
    assert "p, marketer, marketing, user.contact.email, read_masked, any, allow (rules.csv, line" in browser.text
    assert "○ Withheld for 1 customer only E-mail address profile.email First name" in browser.text
    assert "No consent to this purpose." in browser.text
    reference = await desk.world.reference(desk.world.ids["ada"])
    for text in (
        "Program test",
        "Case none",
        "operation Mail",
        reference,
        desk.world.policies.version,
        "in force now",
    ):
        assert text in browser.text
    assert "This look at it is recorded as" in browser.text


async def test_every_decision_has_the_rule_that_the_policy_explains(desk):
    from policies import explain  # noqa: PLC0415 - only here

    browser = await desk.auditor()
    await open_entry(desk, browser, actor="ana")
    (record,) = await desk.world.records(actor="ana")
    for decision in record.decisions:
        for path in decision.fields:
            why = explain(desk.world.policies, "support_agent", "customer_service", path)
            assert {each.number for each in why.rules} >= ({decision.rule} - {None})
            rule = None if decision.rule is None else desk.world.policies.rules[decision.rule - 1]
            assert ("No rule allows it" if rule is None else rule.text) in browser.text
            assert path in browser.text


async def old_entry(world, **values):
    given = {
        "actor": "old.timer",
        "kind": Kind.READ,
        "outcome": Outcome.ALLOWED,
        "policy": "0123456789abcdef",
        "roles": ("marketer",),
        "purpose": "marketing",
        "time": timestamp(utc_now()),
        "decisions": (Decision(decision=Verdict.CLEAR, fields=("profile.email",), rule=3),),
        **values,
    }
    return await world.log.append(Record(**given))


async def test_the_rule_of_an_older_policy_is_not_made_up(desk):
    entry = await old_entry(desk.world)
    browser = await desk.auditor()
    await browser.get(f"/console/audit/{entry}")
    assert "Rule 3 of policy 0123456789abcdef. That is not the policy in force now" in browser.text
    assert desk.world.policies.rules[2].text not in browser.text
    # Control: under the policy in force the same number has a text.
    entry = await old_entry(desk.world, policy=desk.world.policies.version)
    await browser.get(f"/console/audit/{entry}")
    assert desk.world.policies.rules[2].text in browser.text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"outcome": Outcome.REFUSED},
            "old.timer, a marketer, asked for 1 field of customers for marketing, and was",
        ),
        ({"outcome": Outcome.NOT_FOUND}, "asked for 1 field of customers for marketing, and found nobody."),
        ({"kind": Kind.WRITE}, "changed 1 field of customers for marketing."),
        ({"kind": Kind.SEARCH, "decisions": ()}, "searched the access log for marketing."),
        ({"kind": Kind.EXPORT}, "exported 1 field of customers"),
        (
            {"kind": Kind.EXPORT, "decisions": (Decision(decision=Verdict.CLEAR, fields=("access_entry.id",)),)},
            "exported entries of the access log for marketing.",
        ),
        ({"kind": Kind.ERASURE_INTENT, "subjects": ("A" * 22,)}, "began to erase 1 customer for marketing."),
        (
            {"kind": Kind.POLICY_CHANGE, "outcome": Outcome.FAILED},
            "tried to change the policy for marketing, and the",
        ),
        ({"kind": Kind.ADMIN, "roles": ("auditor", "marketer")}, "in the roles auditor and marketer, administered"),
        (
            {"roles": (), "purpose": None, "case": "T-9"},
            "old.timer, without any role, read 1 field of customers (case T-9).",
        ),
        ({"roles": ("executive",)}, "old.timer, an executive, read"),
        ({"roles": ("juggler",), "purpose": "circus"}, "old.timer, a juggler, read 1 field of customers for circus."),
    ],
)
async def test_a_sentence_says_what_happened(desk, values, text):
    entry = await old_entry(desk.world, **values)
    browser = await desk.auditor()
    await browser.get(f"/console/audit/{entry}")
    assert text in browser.text


async def test_a_record_with_ten_thousand_customers_stays_a_page(desk):
    subjects = tuple(f"{number:022d}" for number in range(9000))
    entry = await old_entry(desk.world, subjects=subjects)
    browser = await desk.auditor()
    await browser.get(f"/console/audit/{entry}")
    assert len(browser.page.content) < 60_000
    assert "of 9,000 customers" in browser.text
    assert "And 8,950 more, not shown here" in browser.text
    await browser.get("/console/audit?actor=old.timer")
    assert len(browser.page.content) < 60_000


async def test_an_entry_that_is_not_there_is_not_found(desk):
    browser = await desk.auditor()
    entry = EntryId.parse(await entry_of(desk.world, actor="mia"))
    nowhere = (
        "0a1b2c3d4e5f.0",
        f"{entry.shard}.999999",
        f"{entry.shard}.999999999999",
        "nonsense",
        f"{entry.shard}.01",
    )
    for each in nowhere:
        await browser.get(f"/console/audit/{each}")
        assert (browser.status, "Nothing is here" in browser.text) == (404, True), each
        await browser.get(f"/console/audit/{each}/receipt")
        assert browser.status == 404


async def test_the_officer_sees_an_entry_without_who_made_it_and_gets_no_receipt(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token("gro", "privacy_officer"))
    await browser.state("privacy_request")
    entry = await open_entry(desk, browser, actor="mia")
    assert "Somebody whose name you may not see, a marketer, read" in browser.text
    assert "mia" not in browser.text
    assert "Your role does for the purpose Audit" in browser.text
    assert "Download receipt" not in browser.text
    await browser.get(f"/console/audit/{entry}/receipt")
    assert (browser.status, desk.proofs.given) == (403, [])
    auditor = await desk.auditor()
    await auditor.get(f"/console/audit/{entry}/receipt")  # control
    assert (auditor.status, desk.proofs.given) == (200, [(entry, "hugo.audit", "audit", "AUD-7")])
    assert auditor.page.headers["content-disposition"] == f'attachment; filename="entry-{entry}.tlog-proof"'
    assert "sandbox" in auditor.page.headers["content-security-policy"]


async def test_an_entry_says_under_which_checkpoint_it_is_proved_or_that_it_is_not_yet(desk):
    browser = await desk.auditor()
    await open_entry(desk, browser, actor="mia")
    assert "● Proved under checkpoint 7 of 2026-05-14 09:30:00 UTC" in browser.text
    desk.proofs.covered = False
    await browser.get(str(browser.page.url))
    assert "◐ Not proved yet It will be in the next checkpoint, within 5 minutes." in browser.text
    desk.proofs.broken = AuditUnavailableError("the database does not answer")
    await browser.get(str(browser.page.url))
    assert (browser.status, "Its proof state cannot be told" in browser.text) == (200, True)


async def test_a_server_that_signs_nothing_says_so(house, tmp_path):
    desk = house.desk(tmp_path, proofs=None, exports=None)
    browser = await desk.auditor()
    entry = await open_entry(desk, browser, actor="mia")
    assert "signs no checkpoints yet" in browser.text
    assert "Verify now" not in browser.text
    await browser.post(f"/console/audit/{entry}/verify")
    assert browser.status == 501
    for path in (f"/console/audit/{entry}/receipt", "/console/audit/export"):
        assert (await browser.get(path)).status == 501
    await desk.close()


def test_a_verification_without_checks_does_not_hold():
    assert not Verification("2026-05-14T09:30:00.000000Z").held
    assert Verification("2026-05-14T09:30:00.000000Z", (Check("a", held=True, found=""),)).held


# ---- over a log that is really signed ----


@pytest.fixture
async def signed(own_desk, tmp_path):
    """A desk whose proofs are the log's own; `signed.checkpointer` signs."""
    world = own_desk.world
    (tmp_path / "witness").mkdir()
    directory = WitnessDirectory(tmp_path / "witness", "main")
    keys = SigningKeys(tmp_path / "audit.keys", "main", [MemorySealer()], random=os.urandom)
    await keys.create()
    checkpointer = Checkpointer(world.audit, keys, now=utc_now, directory=directory)
    await checkpointer.prepare()
    proofs = LogProofs(
        world.audit,
        log=world.log,
        checkpointer=checkpointer,
        keys=keys,
        policies=lambda: world.policies,
        now=utc_now,
        directory=directory,
        due="within 5 minutes",
    )
    desk = own_desk.house.desk(tmp_path, proofs=proofs)
    desk.house.checkpointer, desk.house.keys = checkpointer, keys
    yield desk
    await desk.close()


async def test_the_proof_state_is_that_of_the_newest_roster(signed):
    browser = await signed.auditor()
    entry = await open_entry(signed, browser, actor="mia")
    assert "Not proved yet" in browser.text
    roster = await signed.checkpointer.checkpoint()
    await browser.get(f"/console/audit/{entry}")
    assert "● Proved under checkpoint 1" in browser.text
    assert f"Shard 1, {EntryId.parse(entry).shard} , index {EntryId.parse(entry).index}" in browser.text
    listed = roster.entry(EntryId.parse(entry).shard)
    assert f"Tree {listed.size} entries" in browser.text
    assert "Witness has this checkpoint too" in browser.text


async def test_verify_now_recomputes_and_says_what_it_found(signed):
    await signed.checkpointer.checkpoint()
    browser = await signed.auditor()
    entry = await open_entry(signed, browser, actor="mia")
    await browser.post(f"/console/audit/{entry}/verify")
    assert (browser.status, "Verified: the entry is what was logged" in browser.text) == (200, True)
    for check in ("The record: holds", "The receipt: holds", "The path to the root: holds", "The signature: holds"):
        assert check in browser.text
    record = (await signed.world.records(actor="hugo.audit"))[-1]
    assert record.operation == "ConsoleVerifyEntry"


async def test_verify_now_covers_an_entry_that_no_checkpoint_covers_yet(signed):
    browser = await signed.auditor()
    entry = await open_entry(signed, browser, actor="mia")
    await browser.post(f"/console/audit/{entry}/verify")
    assert "Verified" in browser.text
    assert "● Proved under checkpoint 1" in browser.text


async def test_verify_now_does_not_hold_when_the_log_was_changed_before_the_entry(signed):
    await signed.checkpointer.checkpoint()
    browser = await signed.auditor()
    entry = await open_entry(signed, browser, actor="mia")
    place = EntryId.parse(entry)
    # The edge of the batch before: the entry itself reads as ever, and leads to another root.
    batches = signed.world.audit.batches
    before = await batches.find_one({"shard": place.shard, "size": place.index})
    edge = [bytes(before["edge"][0][:-1]) + b"!", *before["edge"][1:]]
    await batches.update_one({"_id": before["_id"]}, {"$set": {"edge": edge}})
    await browser.post(f"/console/audit/{entry}/verify")
    assert (browser.status, "Not verified" in browser.text) == (200, True)
    assert "The path to the root: does not hold" in browser.text
    assert "mia, a marketer, read" in browser.text
    # Control: as it was, it holds.
    await batches.update_one({"_id": before["_id"]}, {"$set": {"edge": before["edge"]}})
    await browser.post(f"/console/audit/{entry}/verify")
    assert "Verified: the entry is what was logged" in browser.text


async def test_an_entry_whose_own_bytes_were_changed_is_not_shown_at_all(signed):
    browser = await signed.auditor()
    entry = await open_entry(signed, browser, actor="mia")
    place = EntryId.parse(entry)
    batches = signed.world.audit.batches
    batch = await batches.find_one({"shard": place.shard, "first": place.index})
    records = [bytes(each).replace(b'"mia"', b'"eve"') for each in batch["records"]]
    await batches.update_one({"_id": batch["_id"]}, {"$set": {"records": records}})
    await browser.get(f"/console/audit/{entry}")
    assert browser.status == 503
    assert "eve" not in browser.text


async def test_a_receipt_verifies_offline_and_fetching_it_is_recorded(signed):
    await signed.checkpointer.checkpoint()
    browser = await signed.auditor()
    entry = await open_entry(signed, browser, actor="mia")
    await browser.get(f"/console/audit/{entry}/receipt")
    receipt = Receipt.parse(browser.page.content)
    public = (await signed.keys.load()).first
    assert receipt.verify([public]).size > EntryId.parse(entry).index
    assert b'"actor":"mia"' in receipt.record
    (record,) = await signed.world.records(kind=Kind.EXPORT)
    assert (record.actor, record.operation, record.case) == ("hugo.audit", "ConsoleReceipt", "AUD-7")
    assert {"access_entry.actor", "access_entry.subjects"} <= {f for each in record.decisions for f in each.fields}
