"""Recipients are told of erasure and rectification: what, once, and with a receipt."""

import pytest
from standardwebhooks import Webhook

from customers.errors import InputInvalidError, ProfileNotFoundError
from customers.outgoing import Allowed
from customers.rights.recipients import NoticeKind, RecipientKind, RecipientTakenError, State
from customers.rights.recipients.deliveries import DELIVERIES, GROUP, VERSION
from tests.customers.outgoing.answering import always, answering, in_turn, response
from tests.customers.rights.recipients.office import heard
from tests.schema.world import CUSTOMER, OFFICER
from vault import KeyState

TAKEN = always(response("204 No Content", b""))


async def test_a_recipient_is_told_of_an_erasure_by_what_they_know_the_person_by(office):
    async with answering(TAKEN) as server:
        secret = await office.add(server, known_by=("email", "external_id:shop", "customer_id"))
        gone = await office.world.one(7, external=["shop:4711", "crm:9"])
        certificate = await office.erase(gone)
        assert certificate.recipients == ("newsletter",)
        assert await office.run(server) == 1
        [request] = server.heard
    headers, body = heard(request)
    assert request.startswith(b"POST /told HTTP/1.1")
    assert body["type"] == "customer.erased"
    assert body["data"]["person"] == [
        {"by": "email", "value": "person7@mail7.example"},
        {"by": "external_id:shop", "value": "4711"},
        {"by": "customer_id", "value": gone},
    ]
    assert headers["webhook-id"] == body["data"]["id"]
    [told] = await office.service.told_of_erasure(certificate.id)
    assert (told.state, told.told_at, told.receipt.status, told.receipt.attempt) == (State.TOLD, office.now, 204, 1)
    assert secret.startswith("whsec_")


async def test_what_is_sent_is_signed_as_standard_webhooks_has_it(office, monkeypatch):
    from datetime import UTC, datetime  # noqa: PLC0415 - the library knows no clock but the real one

    async with answering(TAKEN) as server:
        office.now = datetime.now(UTC)
        secret = await office.add(server)
        await office.erase(await office.world.one(1))
        await office.run(server)
        headers, _ = heard(server.heard[0])
        body = server.heard[0].partition(b"\r\n\r\n")[2].decode()
        assert Webhook(secret).verify(body, headers)["type"] == "customer.erased"
        from standardwebhooks.webhooks import WebhookVerificationError  # noqa: PLC0415

        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body.replace("erased", "erase"), headers)


async def test_the_key_of_what_was_told_is_destroyed_with_the_last_delivery(office):
    async with answering(TAKEN) as good, answering(in_turn(response("503 No"), response())) as slow:
        await office.add(good, name="good")
        await office.add(slow, name="slow")
        certificate = await office.erase(await office.world.one(1))
        key = certificate.id.replace("crt_", "ntc_")
        await office.run(good, slow)
        assert await office.sweep() == 0, "somebody is still to be told"
        office.wait(minutes=1)
        await office.run(good, slow)
        assert await office.states() == {"good": "told", "slow": "told"}
        assert await office.sweep() == 1
    async with office.world.vault.reading():
        assert (await office.world.vault.keys([key]))[key] is KeyState.ERASED
    assert await office.world.main["recipient_notices"].count_documents({}) == 0
    assert await office.world.main["recipient_deliveries"].count_documents({"sealed": {"$exists": True}}) == 0


async def test_nobody_is_told_of_an_erasure_before_it_has_happened(office):
    async with answering(TAKEN) as server:
        await office.add(server)
        gone = await office.world.one(1)
        erasure = await office.world.vault.shred(gone, office.notices_only)
        assert await office.run(server) == 0, "it is prepared, and the last step has not been told of"
        assert await office.states() == {"newsletter": "waiting"}
        await office.notices.release(erasure)
        assert await office.run(server) == 1


async def test_whoever_knows_nobody_by_what_we_hold_is_not_told_and_the_certificate_does_not_say_so(office):
    async with answering(TAKEN) as server:
        await office.add(server, known_by=("external_id:shop",))
        certificate = await office.erase(await office.world.one(1))
        assert certificate.recipients == ()
        assert await office.run(server) == 0
        assert await office.states() == {"newsletter": "not_known"}


async def test_a_correction_is_told_with_what_holds_now_to_whoever_was_given_that_field(office):
    mine = await office.world.one(1)
    async with answering(TAKEN) as server, answering(TAKEN) as other:
        await office.add(server)
        await office.add(other, name="other", fields=("profile.phone",))
        await office.change(mine, {"email": "new@example.org", "city": "Ulm", "given_name": "Ada"})
        await office.run(server, other)
        [request] = server.heard
        assert other.heard == []
    _, body = heard(request)
    assert body["type"] == "customer.rectified"
    assert body["data"]["values"] == {"profile.city": "Ulm", "profile.email": "new@example.org"}
    assert body["data"]["person"] == [{"by": "email", "value": "person1@mail1.example"}], "what they know them by"
    assert await office.states() == {"newsletter": "told"}


async def test_what_came_from_a_source_of_data_is_no_correction(office):
    mine = await office.world.one(1)
    async with answering(TAKEN) as server:
        await office.add(server)
        await office.change(mine, {"city": "Ulm"}, "client_app", "data_import")
        assert await office.run(server) == 0
        await office.change(mine, {"city": "Kiel"}, *CUSTOMER, customer=mine)
        assert await office.run(server) == 1, "but what the person says themselves is"


async def test_a_change_that_was_not_made_is_told_to_nobody(office):
    mine = await office.world.one(1)
    async with answering(TAKEN) as server:
        await office.add(server)
        document = (await office.world.store.find([mine]))[0]
        async with office.world.vault.reading():
            key = (await office.world.vault.keys([mine]))[mine]
            await office.notices.correcting(document, key, (), ["profile.city"])
        await office.run(server)
        assert await office.states() == {"newsletter": "waiting"}
        office.wait(minutes=11)
        await office.run(server)
        assert await office.states() == {"newsletter": "void"}
        assert server.heard == []


async def test_of_somebody_who_was_erased_no_correction_is_told_any_more(office):
    mine = await office.world.one(1)
    async with answering(TAKEN) as server:
        await office.add(server)
        await office.change(mine, {"city": "Ulm"})
        await office.erase(mine)
        await office.run(server)
        kinds = [heard(each)[1]["type"] for each in server.heard]
    assert kinds == ["customer.erased"]
    [voided] = await office.service.deliveries(None, State.VOID, 10)
    assert (voided.delivery.kind, voided.delivery.customer_id) == (NoticeKind.RECTIFICATION, None)
    assert mine not in str(await office.world.main["recipient_deliveries"].find({}).to_list(None))


async def test_a_merged_persons_parts_are_named_too_in_one_delivery(office):
    first, second = await office.world.create(
        office.world.draft({"city": "Ulm", "email": "one@example.org"}),
        office.world.draft({"city": "Kiel", "email": "two@example.org"}),
    )
    async with office.world.vault.reading():
        await office.world.reviewer.merge(office.world.access("data_steward", "identity_resolution"), first, second)
    async with answering(TAKEN) as server:
        await office.add(server)
        await office.erase(second)
        await office.run(server)
        [request] = server.heard
    named = {each["value"] for each in heard(request)[1]["data"]["person"]}
    assert named == {"one@example.org", "two@example.org"}


async def test_a_correction_of_merged_profiles_names_the_other_no_more_once_they_were_taken_apart(office):
    steward = office.world.access("data_steward", "identity_resolution")
    first, second = await office.world.create(
        office.world.draft({"city": "Ulm", "email": "stays@example.org"}),
        office.world.draft({"city": "Kiel", "email": "goes@example.org"}),
    )
    async with office.world.vault.reading():
        await office.world.reviewer.merge(steward, first, second)
    async with answering(TAKEN) as server:
        await office.add(server)
        await office.change(first, {"city": "Bonn"})
        await office.run(server)
        await office.change(first, {"city": "Hamm"})
        async with office.world.vault.reading():
            await office.world.reviewer.unmerge(steward, second)
            key = (await office.world.vault.keys([first]))[first]
        [waiting] = [each.delivery for each in await office.service.deliveries(None, State.WAITING, 10)]
        opened = key.open(waiting.sealed, DELIVERIES, waiting.id, GROUP, VERSION)
        await office.erase(second)
        await office.run(server)
        bodies = [heard(each)[1] for each in server.heard]
    assert "stays@example.org" in str(opened)
    assert "goes@example.org" not in str(opened), "which would outlive the other's erasure"
    corrected = [each["data"]["person"] for each in bodies if each["type"] == "customer.rectified"]
    assert [sorted(one["value"] for one in each) for each in corrected] == [
        ["goes@example.org", "stays@example.org"],
        ["stays@example.org"],
    ]


async def test_what_is_told_is_in_the_access_log_before_it_leaves_and_names_no_erased_person(office):
    gone, stays = await office.world.one(1), await office.world.one(2)
    reference = await office.world.reference(stays)
    async with answering(TAKEN) as server:
        await office.add(server, name="audited")
        await office.erase(gone)
        await office.change(stays, {"city": "Ulm"})
        await office.run(server)
    told = await office.world.records(client="recipient:audited")
    of_erasure = [each for each in told if each.case is not None]
    of_change = [each for each in told if each.case is None]
    assert [each.subjects for each in of_erasure] == [()]
    assert [each.subjects for each in of_change] == [(reference,)]
    assert {path for each in of_change[0].decisions for path in each.fields} == {"profile.city", "profile.email"}
    assert {each.kind.value for each in told} == {"export"}


async def test_a_person_sees_what_was_told_of_them_and_nobody_elses(office):
    mine, other = await office.world.one(1), await office.world.one(2)
    async with answering(TAKEN) as server:
        await office.add(server)
        await office.change(mine, {"city": "Ulm"})
        await office.run(server)
    async with office.world.vault.reading():
        own = office.world.access(*CUSTOMER, customer=mine)
        [told] = await office.service.told_of(own, mine)
        assert (told.recipient, told.fields, told.told_at) == ("newsletter", ("profile.city",), office.now)
        with pytest.raises(ProfileNotFoundError):
            await office.service.told_of(own, other)
        assert len(await office.service.told_of(office.world.access(*OFFICER), mine)) == 1


async def test_an_opendsr_recipient_is_asked_to_erase_and_one_who_refuses_what_they_have_counts_as_told(office):
    async def refusing(request, write):
        if request.startswith(b"GET"):
            name = request.split(b" ")[1].rsplit(b"/", 1)[1]
            await write(response("200 OK", b'{"subject_request_id": "%s", "request_status": "pending"}' % name))
        else:
            await write(response("400 Bad Request", b'{"error": {"code": 400}}'))

    async with answering(refusing) as server:
        told = {"kind": RecipientKind.OPENDSR, "authorisation": "Bearer zq-secret"}
        assert await office.add(server, known_by=("email", "customer_id"), **told) == ""
        gone = await office.world.one(1)
        await office.erase(gone)
        await office.run(server)
        headers, body = heard(server.heard[0])
    assert headers["authorization"] == "Bearer zq-secret"
    assert body["subject_request_type"] == "erasure"
    assert {each["identity_type"]: each["identity_value"] for each in body["subject_identities"]} == {
        "email": "person1@mail1.example",
        "controller_customer_id": gone,
    }
    assert await office.states() == {"newsletter": "told"}


async def test_a_recipient_who_cannot_be_one_is_refused_and_nothing_is_repeated(office):
    wrong = {
        "url": [
            "http://shop.example/told",
            "https://user:zq@shop.example/",
            "file:///etc/passwd",
            "https://2130706433/",
        ],
        "known_by": [(), ("shoe_size",), ("external_id:",)],
        "fields": [("profile.shoe",)],
        "name": ["", "A B"],
    }
    for name, values in wrong.items():
        for value in values:
            made = office.recipient(**{"url": "https://shop.example/told", name: value})
            with pytest.raises(InputInvalidError) as raised:
                await office.service.add(made, Allowed())
            assert "zq" not in str(raised.value)
    good = office.recipient("https://shop.example/told")
    await office.service.add(good, Allowed())
    with pytest.raises(RecipientTakenError):
        await office.service.add(good, Allowed())
