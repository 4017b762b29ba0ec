"""What customers do here: they correct, choose, ask, take along and delete; and it holds and is recorded at once."""

import asyncio
import email
import email.policy
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import timedelta

import pytest

from audit import ProofInvalidError, Receipt, VerifierKey, parse_note
from audit.note import decode_base64
from audit.signing import verify_note
from audit.tree import verify_inclusion
from customers.identity.model import Identifier, IdentifierType
from schema.service import Asked
from server.portal.copy_counts import CopyCounts
from tests.schema.world import granted, order, person
from tests.server.portal.conftest import ORIGIN
from tests.server.test_nothing_left import access


async def test_a_corrected_value_holds_at_once_and_says_that_the_customer_did_it(place):
    mine = await place.create(1)
    visitor = place.visitor(mine)
    await visitor.post("/correct/city", {"value": "Bremerhaven"})
    assert visitor.status == 200
    assert "Changed: City" in visitor.text
    assert "Bremerhaven Correct City Came from yourself" in visitor.text
    assert (await place.records(kind="write"))[0].roles == ("customer",)
    for path, value in (("birth_date", "yesterday"), ("birth_date", "2026-02-31"), ("city", "x" * 201)):
        await visitor.post(f"/correct/{path}", {"value": value})
        assert visitor.status == 400, path
        assert "Nothing was changed" in visitor.text
        assert value in visitor.page.text, "nothing is lost"
    await visitor.post("/correct/city", {"value": ""})
    await visitor.get("/correct/city")
    assert "We have:" not in visitor.text


async def test_a_value_that_is_not_theirs_to_write_has_no_form(place, ada):
    visitor = place.visitor(ada)
    for field in ("national_id", "notes", "loyalty_tier", "version", "phone", "nonsense"):
        assert (await visitor.get(f"/correct/{field}")).status == 404, field
        assert (await visitor.post(f"/correct/{field}", {"value": "x"})).status == 404, field


def letters(place):
    return sorted((place.platform.settings.data_dir / "mail").glob("*.eml"), key=lambda each: each.stat().st_mtime_ns)


def newest_link(place):
    letter = email.message_from_bytes(letters(place)[-1].read_bytes(), policy=email.policy.default)
    return letter["to"], re.search(r"/portal(/prove/\S+)", letter.get_body(("plain",)).get_content())[1]


async def test_an_address_counts_once_its_letter_was_opened_by_the_same_customer(place):
    mine, other = await place.create(2), await place.create(3)
    visitor = place.visitor(mine)
    before = len(letters(place))
    await visitor.post("/correct/email", {"value": " New@Mail2.Example "})
    assert (visitor.status, len(letters(place))) == (200, before + 1)
    await visitor.get("/")
    assert "person2@mail2.example" in visitor.text, "nothing has changed yet"
    to, link = newest_link(place)
    assert to == "new@mail2.example"
    stranger = place.visitor(other)
    assert (await stranger.get(link)).status == 404
    assert (await stranger.post(link)).status == 404
    await visitor.get(link)
    assert "new@mail2.example" in visitor.text
    await visitor.get("/")
    assert "person2@mail2.example" in visitor.text, "a link that is only looked at does nothing"
    await visitor.post(link)
    assert "new@mail2.example" in visitor.text
    told = email.message_from_bytes(letters(place)[-1].read_bytes(), policy=email.policy.default)
    assert (told["to"], "new@" in told.as_string()) == ("person2@mail2.example", False), "the former address is told"
    assert (await visitor.post(link[:-2] + "xx")).status == 404


async def test_a_new_address_says_nothing_of_where_a_number_elsewhere_came_from(place):
    writer = place.platform.services.writer
    draft = writer.draft(person(40), [Identifier(IdentifierType.EXTERNAL_ID, "crm:40")], ())
    async with place.platform.vault.reading():
        (mine,) = await writer.create(access(place.platform, "client_app", "data_import"), [draft])
    visitor = place.visitor(mine)
    await visitor.post("/correct/email", {"value": "new@mail40.example"})
    await visitor.post(newest_link(place)[1])
    await visitor.get("/")
    assert "crm:40" in visitor.text
    assert visitor.text.count("Came from yourself") == 1, "of the address alone"


async def test_an_address_of_somebody_else_is_told_only_to_who_showed_that_it_is_theirs(place):
    mine, other = await place.create(4), await place.create(5)
    visitor = place.visitor(mine)
    await visitor.post("/correct/email", {"value": "person5@mail5.example"})
    taken = visitor.text
    to, link = newest_link(place)
    await visitor.post("/correct/email", {"value": "nobody@mail5.example"})
    assert visitor.text.replace("nobody@", "person5@") == taken
    await visitor.post(link)
    assert (to, visitor.status) == ("person5@mail5.example", 400)
    assert "Another record of ours has this already." in visitor.text
    for _ in range(3):
        await visitor.post("/correct/email", {"value": "nobody@mail5.example"})
    assert visitor.status == 200
    assert (await visitor.post("/correct/email", {"value": "nobody@mail5.example"})).status == 400
    write = (
        'mutation W($id: ID!) { updateProfile(input: {id: $id, values: {email: "a@b.example"}}) { profile { id } } }'
    )
    for customer in (mine, other):
        asked = Asked(write, None, {"id": customer}, "self_service", None, None)
        answer = await place.graphql.answer(asked, visitor.session.caller)
        assert answer.errors[0]["extensions"]["code"] in ("WRITE_NOT_ALLOWED", "NOT_FOUND"), (
            "the control: no other way"
        )


async def test_what_needs_it_waits_until_it_was_shown_once_more_who_it_is(place, ada):
    visitor = place.visitor(ada, up=False)
    for path in ("/delete/confirm", "/correct/email", "/download/cop_x/file", "/download/cop_x/read"):
        page = await visitor.client.get(f"/portal{path}")
        assert page.status_code == 303, path
        assert page.headers["location"].startswith("/portal/confirm?next="), path
    for path in ("/download", "/delete/confirm", "/correct/email"):
        await visitor.post(path, {"word": "DELETE", "value": "a@b.example"}, follow=False)
        assert visitor.page.headers["location"].startswith("/portal/confirm"), path
    assert await visitor.client.get("/portal/requests")
    assert "Delete everything" not in (await visitor.get("/requests")).text


async def test_agreeing_and_taking_it_back_are_one_press_each_and_felt_by_the_next_read(place):
    mine = await place.create(6)
    visitor = place.visitor(mine)

    async def marketing_sees():
        answer = await place.look(mine, "marketer", "marketing", actor="mia", case=None)
        return answer.data["profile"]["givenName"]

    def said():
        return re.search(r"(?s)<h3>Marketing</h3>.*?</li>", visitor.page.text)[0]

    assert await marketing_sees() is None
    await visitor.get("/choices")
    assert "You did not agree" in said()
    await visitor.post("/choices", {"purpose": "marketing", "choice": "agree"})
    assert "Noted" in visitor.text
    assert await marketing_sees() == "Given6"
    await visitor.post("/choices", {"purpose": "marketing", "choice": "withdraw"})
    assert await marketing_sees() is None
    assert re.search(r"You took it back on \d{1,2} \w+ \d{4}", said())
    await visitor.post("/choices", {"purpose": "email_marketing", "choice": "agree"})
    await visitor.post("/choices/channels", {"purpose": "email_marketing", "email": "1", "post": "1"})
    held = re.findall(r'id="email_marketing-(\w+)"[^>]* checked', visitor.page.text)
    assert held == ["email", "post"]
    await visitor.post("/choices", {"purpose": "*", "choice": "stop"})
    assert "You had all use of your data stopped." in visitor.text
    seen = await place.look(mine)
    assert seen.data["profile"] is None or seen.data["profile"]["givenName"] is None
    await visitor.post("/choices", {"purpose": "*", "choice": "go-on"})
    assert (await place.look(mine)).data["profile"]["givenName"] == "Given6"
    for name, choice in (("analytics", "agree"), ("nonsense", "agree"), ("marketing", "stop"), ("*", "agree")):
        assert (await visitor.post("/choices", {"purpose": name, "choice": choice})).status == 404, name


async def test_an_objection_holds_until_it_is_taken_back(place):
    mine = await place.create(7)
    visitor = place.visitor(mine)
    for choice, state in (("object", "You objected"), ("unobject", "Happens")):
        await visitor.post("/choices", {"purpose": "analytics", "choice": choice})
        row = re.search(r"(?s)<h3>Analytics</h3>.*?</li>", visitor.page.text)[0]
        assert state in row


async def test_a_receipt_of_a_decision_is_to_keep_and_nobody_elses_is(place):
    mine, other = await place.create(8, consents=granted("marketing")), await place.create(9)
    visitor, stranger = place.visitor(mine), place.visitor(other)
    await visitor.get("/choices")
    path = re.search(r'href="/portal(/choices/[^"]+/receipt)"', visitor.page.text)[1]
    receipt = (await visitor.get(path)).page
    assert "attachment" in receipt.headers["content-disposition"]
    assert "dpv" in json.dumps(receipt.json())
    assert (await stranger.get(path)).status == 404
    assert (await visitor.get("/choices/nonsense/receipt")).status == 404


async def test_requests_have_a_clock_and_are_taken_back_by_who_asked_alone(place):
    mine, other = await place.create(10), await place.create(11)
    visitor, stranger = place.visitor(mine), place.visitor(other)
    assert (await visitor.post("/requests/new", {"kind": "rectification"})).status == 400
    assert (await visitor.post("/requests/new", {"kind": "erasure", "reason": "x"})).status == 400
    await visitor.post("/requests/new", {"kind": "rectification", "reason": "My phone number is another"})
    assert "You have an answer by" in visitor.text
    assert "My phone number is another" in visitor.text
    path = visitor.page.url.path.removeprefix("/portal")
    assert (await stranger.get(path)).status == 404
    assert (await stranger.post(f"{path}/cancel")).status == 404
    await visitor.post(f"{path}/cancel")
    assert "Taken back" in visitor.text
    assert (await visitor.post(f"{path}/cancel")).status == 404
    assert (await visitor.get("/requests/req_nonsense")).status == 404


async def test_a_proof_binds_the_log_to_one_record_and_names_nobody(place):
    mine, other = await place.create(12), await place.create(13)
    await place.look(mine, actor="zoltan.secretname", case="CASE-77")
    visitor, stranger = place.visitor(mine), place.visitor(other)
    await visitor.get("/looked")
    assert "Support agent" in visitor.text
    for hidden in ("zoltan", "CASE-77", "Look\b"):
        assert hidden not in visitor.page.text
    path = re.search(r'href="/portal(/looked/[^"]+/proof)"', visitor.page.text)[1]
    proof = (await visitor.get(path)).page
    assert "zoltan" not in proof.text
    assert "CASE-77" not in proof.text
    told = proof.json()
    assert told["record"]["roles"] == ["support_agent"]
    key = VerifierKey.parse(str((await place.platform.signed.keys.load()).current.verifier))
    note = parse_note(told["checkpoint"].encode())
    verify_note(note, [key])
    receipt = Receipt(b"", told["index"], tuple(decode_base64(each) for each in told["proof"]), note)
    checked = {"index": told["index"], "size": receipt.checkpoint.size, "root": receipt.checkpoint.root}
    leaf = decode_base64(told["leaf"])
    verify_inclusion(leaf=leaf, proof=receipt.proof, **checked)
    with pytest.raises(ProofInvalidError):  # the negative control: another record's hash
        verify_inclusion(leaf=bytes(32), proof=receipt.proof, **checked)
    assert (await stranger.get(path)).status == 404
    assert (await visitor.get("/looked/nonsense/proof")).status == 404
    assert (await place.records(kind="export"))[0].roles == ("customer",), "taking it is recorded too"


async def test_who_looked_leaves_the_customer_out_unless_they_want_it_and_goes_on_over_pages(place):
    mine = await place.create(14)
    for _ in range(22):
        await place.look(mine)
    visitor = place.visitor(mine)
    await visitor.get("/looked")
    assert (visitor.text.count("Support agent"), "You yourself" in visitor.text) == (20, False)
    older = re.search(r'href="/portal(/looked\?after=[^"]+)"', visitor.page.text)[1]
    await visitor.get(older)
    assert visitor.text.count("Support agent") == 2
    assert "Client application" in visitor.text
    assert "You yourself" in (await visitor.get("/looked?own=1")).text
    assert (await visitor.get("/looked?after=nonsense")).status == 404


async def test_of_merged_profiles_every_look_at_any_of_them_is_shown_once_with_its_proof(place):
    first, second, other = [await place.create(each) for each in (71, 72, 73)]
    await place.look(first, case="T-1")
    await place.look(second, role="marketer", purpose="marketing", case=None)
    await place.look(other, role="auditor", purpose="audit", case="T-3")
    steward = access(place.platform, "data_steward", "identity_resolution")
    async with place.platform.vault.reading():
        await place.platform.reviewer.merge(steward, first, second)
    await place.look(first, case="T-4")
    # Whoever was signed in as the one that became part of the other sees the same.
    for whose in (first, second):
        visitor = place.visitor(whose)
        await visitor.get("/looked")
        assert visitor.text.count("Support agent") == 2
        assert visitor.text.count("Marketer") == 1
        assert "Auditor" not in visitor.text, "control: what is of nobody else"
        proofs = re.findall(r'href="/portal(/looked/[^"]+/proof)"', visitor.page.text)
        assert {(await visitor.get(each)).status for each in proofs} == {200}
    assert {(await place.visitor(other).get(each)).status for each in proofs} == {404}


async def test_a_copy_has_everything_and_is_fetched_by_the_customer_alone(place):
    mine, other = await place.create(15, orders=(order(1),)), await place.create(16)
    visitor, stranger = place.visitor(mine), place.visitor(other)
    await visitor.post("/download")
    assert "Your copy is ready." in visitor.text
    path = re.search(r'href="/portal(/download/cop_\w+)/file"', visitor.page.text)[1]
    with zipfile.ZipFile(io.BytesIO((await visitor.get(f"{path}/file")).page.content)) as bundle:
        assert {"index.html", "profile.json", "orders.csv", "orders.json"} <= set(bundle.namelist())
        assert b"person15@mail15.example" in bundle.read("profile.json")
    readable = (await visitor.get(f"{path}/read")).page
    assert "person15@mail15.example" in readable.text
    assert "sha256-" in readable.headers["content-security-policy"]
    assert "unsafe" not in readable.headers["content-security-policy"]
    for end in ("file", "read"):
        assert (await stranger.get(f"{path}/{end}")).status == 404
        assert (await visitor.get(f"/download/cop_nonsense/{end}")).status == 404
        assert (await visitor.get(f"/download/..%2f..%2froot.key/{end}")).status == 404


async def test_five_copies_a_day_are_made_however_many_are_asked_for_at_once(place):
    mine, other = await place.create(74), await place.create(75)
    visitor = place.visitor(mine)
    asked = {"data": {"form_key": visitor.session.key}, "headers": {"origin": ORIGIN}}
    answers = [await visitor.client.post("/portal/download", **asked) for _ in range(4)]
    answers += await asyncio.gather(*(visitor.client.post("/portal/download", **asked) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [303] * 5 + [429] * 3
    await visitor.post("/download")
    assert "No copy was made" in visitor.text
    assert "You made 5 copies today." in visitor.text
    kept = await place.platform.main["copy_counts"].find({}).to_list(None)
    assert mine not in repr(kept)
    # Controls: another's are not counted with them, nor is one that could not be made, nor those of the day before.
    assert "Your copy is ready." in (await place.visitor(other).post("/download")).text
    counts = CopyCounts(
        place.platform.main, place.platform.services.gateway, place.platform.vault, place.platform.now
    )
    for _ in range(6):
        with pytest.raises(OSError, match="full"):
            async with counts.one_more(other):
                raise OSError("full")
    later = CopyCounts(
        place.platform.main,
        place.platform.services.gateway,
        place.platform.vault,
        lambda: place.platform.now() + timedelta(days=3),
    )
    async with later.one_more(mine):
        pass
    await later.prune()
    assert await place.platform.main["copy_counts"].count_documents({}) == 1


async def test_everything_is_deleted_once_the_word_was_typed_and_the_certificate_is_found_afterwards(place):
    mine = await place.create(17, orders=(order(1), order(2)))
    visitor = place.visitor(mine)
    await visitor.get("/delete")
    assert "2 orders until 31 December 2035" in visitor.text
    assert "HGB § 257" in visitor.text
    await visitor.post("/delete/confirm", {"word": "yes"})
    assert (visitor.status, "Type the word DELETE" in visitor.text) == (400, True)
    assert "Delete everything" not in re.sub(r"(?s)<nav.*?</nav>", "", (await visitor.get("/requests")).page.text)
    await visitor.post("/delete/confirm", {"word": "delete "})
    assert "You have an answer by" in visitor.text
    name = visitor.page.url.path.rpartition("/")[2]
    progress = re.search(r'href="/portal(/progress/[^"]+)"', visitor.page.text)[1]
    told = email.message_from_bytes(letters(place)[-1].read_bytes(), policy=email.policy.default)
    link = re.search(r"/portal(/progress/\S+)", told.get_body(("plain",)).get_content())[1]
    assert told["to"] == "person17@mail17.example"
    await visitor.get("/delete")
    assert "You asked for it." in visitor.text
    outside = place.browser()
    waiting = await outside.get(f"/portal{progress}")
    assert (waiting.status_code, "certificates" in waiting.text) == (200, False)
    requests = place.platform.requests
    for who in ("olga", "piet"):
        officer = access(place.platform, "privacy_officer", "privacy_request")
        officer = replace(officer, caller=replace(officer.caller, actor=who))
        if who == "olga":
            async with place.platform.vault.reading():
                await requests.begin(officer, name)
        await requests.complete(officer, name)
    assert (await outside.get(f"/portal{link}")).status_code == 200
    done = await outside.get(f"/portal{progress}")
    assert "Everything was deleted on" in done.text
    assert re.search(r'href="/certificates/crt_[a-z2-7]{26}"', done.text)
    assert (await outside.get("/portal/progress/nonsense")).status_code == 404
    assert (await visitor.get("/")).status == 404, "whoever is erased sees nothing, whatever their browser holds"


async def test_sessions_are_ended_by_the_customer(place, ada):
    visitor = place.visitor(ada)
    await visitor.get("/sessions")
    assert "Firefox <b>" in visitor.text
    await visitor.post("/sessions", {"session": "another"})
    assert place.door.ended[-1] == (ada, "another")


async def test_a_copy_that_was_asked_for_is_fetched_from_the_request(place):
    visitor = place.visitor(await place.create(18))
    await visitor.post("/requests/new", {"kind": "portability"})
    path = visitor.page.url.path.removeprefix("/portal")
    assert "To your copy" not in visitor.text
    officer = access(place.platform, "privacy_officer", "privacy_request")
    async with place.platform.vault.reading():
        await place.platform.requests.begin(officer, path.rpartition("/")[2])
    await place.platform.requests.complete(officer, path.rpartition("/")[2])
    await visitor.get(path)
    copy = re.search(r'href="/portal(/download\?copy=cop_\w+)"', visitor.page.text)[1]
    await visitor.get(copy)
    assert "Your copy is ready." in visitor.text
    file = re.search(r'href="/portal(/download/cop_\w+/file)"', visitor.page.text)[1]
    assert zipfile.is_zipfile(io.BytesIO((await visitor.get(file)).page.content))
