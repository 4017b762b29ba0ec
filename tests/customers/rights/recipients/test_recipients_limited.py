"""A recipient that is given only some people's data is told of those alone; what an OpenDSR recipient answers is proven."""

import base64
import json

import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey

from customers.consent.model import ConsentDecision, ConsentState
from customers.errors import InputInvalidError
from customers.outgoing import Allowed
from customers.profiles.provenance import Origin, OriginKind
from customers.rights.recipients import RecipientKind
from server.errors import SettingsError
from server.signed_answers import check_certificate, proven
from tests.customers.outgoing.answering import always, answering, response
from tests.customers.rights.recipients.office import heard
from tests.schema.world import CUSTOMER, DECIDED, OFFICER, granted

TAKEN = always(response("204 No Content", b""))


async def from_source(office, email, source):
    origin = Origin(OriginKind.EVENT, source, DECIDED)
    draft = office.world.writer.draft({"email": email, "city": "Ulm"}, origin=origin)
    [made] = await office.world.create(draft)
    return made


async def test_a_recipient_of_one_purpose_is_told_of_whoever_ever_allowed_it(office):
    said, other, basis = [
        await office.world.one(number, consents=granted(*purposes))
        for number, purposes in ((1, ("email_marketing",)), (2, ("personalisation",)), (3, ()))
    ]
    async with answering(TAKEN) as server, answering(TAKEN) as wide:
        await office.add(server, name="mailer", purposes=("email_marketing",))
        await office.add(wide, name="parcel", purposes=("email_marketing", "order_support"))
        async with office.world.vault.reading():
            took_back = ConsentDecision("email_marketing", ConsentState.WITHDRAWN, office.now, "portal")
            await office.writer.record_consent(office.world.access(*CUSTOMER, customer=said), said, took_back)
        names = {each: (await office.erase(each)).recipients for each in (said, other, basis)}
    assert names == {said: ("mailer", "parcel"), other: ("parcel",), basis: ("parcel",)}


async def test_a_recipient_of_one_source_is_told_of_whoever_a_value_or_an_event_is_from_it(office):
    shop = await from_source(office, "shop@example.org", "web-shop")
    till = await from_source(office, "till@example.org", "till")
    walked = await from_source(office, "walked@example.org", "till")
    events = office.world.main["events"]
    await events.insert_one({"_id": "evt_walked", "customer_id": walked, "at": DECIDED, "source": "web-shop"})
    async with answering(TAKEN) as server:
        await office.add(server, sources=("web-shop",))
        for each in (shop, till, walked):
            await office.change(each, {"city": "Kiel"})
        await office.run(server)
        told = [heard(each)[1]["data"]["person"][0]["value"] for each in server.heard]
        assert sorted(told) == ["shop@example.org", "walked@example.org"]
        async with office.world.vault.reading():
            given = [await office.service.given_of(office.world.access(*OFFICER), each) for each in (shop, till)]
        assert [[one.name for one in each] for each in given] == [["newsletter"], []]
        # What would tell is damaged: rather one too many than one who keeps what is gone.
        await office.world.main["profiles"].update_one({"_id": till}, {"$set": {"sealed.provenance": b"zq"}})
        assert (await office.erase(till)).recipients == ("newsletter",)


async def test_a_limit_or_a_proof_that_can_be_none_is_refused(office):
    place = "https://shop.example/told"
    for wrong in ({"purposes": ("shoe",)}, {"sources": ("",)}, {"sources": ("x" * 201,)}, {"certificate": "zq"}):
        with pytest.raises(InputInvalidError):
            await office.service.add(office.recipient(place, **wrong), Allowed())


def key_pair():
    key = RSAKey.generate_key(2048)
    return key, key.as_pem(private=False).decode()


@pytest.fixture(scope="module")
def pair():
    return key_pair()


def signing(key, *, names=None):
    """An OpenDSR processor that takes everything, and signs what it answers."""

    async def script(request, write):
        _, asked = heard(request)
        body = json.dumps({"subject_request_id": names or asked["subject_request_id"]}).encode()
        signature = base64.b64encode(jws.JWSRegistry.algorithms["RS256"].sign(body, key)).decode()
        await write(response("201 Created", body, f"X-OpenDSR-Signature: {signature}"))

    return script


async def test_an_opendsr_answer_counts_where_it_is_proven_and_without_a_certificate_is_noted_as_unproven(
    office, pair
):
    key, public = pair
    other, _ = key_pair()
    kind = {"kind": RecipientKind.OPENDSR}
    async with (
        answering(signing(key)) as good,
        answering(signing(other)) as forged,
        answering(signing(key, names="another")) as replayed,
        answering(TAKEN) as silent,
    ):
        for name, server in (("good", good), ("forged", forged), ("replayed", replayed), ("silent", silent)):
            await office.add(server, name=name, certificate=public, **kind)
        await office.add(silent, name="unproven", **kind)
        await office.add(silent, name="webhook")
        await office.erase(await office.world.one(1))
        await office.run(good, forged, replayed, silent)
    found = {each.delivery.recipient: each for each in await office.service.deliveries(None, None, 10)}
    told = {name: each.delivery.receipt.verified for name, each in found.items() if each.delivery.receipt}
    assert told == {"good": True, "unproven": False, "webhook": None}
    failed = {name: each.failure for name, each in found.items() if not each.delivery.receipt}
    assert failed == {"forged": "not_signed", "silent": "not_signed", "replayed": "not_confirmed"}


def test_only_a_public_key_of_rsa_that_is_long_enough_proves_anything(pair):
    key, public = pair
    made = base64.b64encode(jws.JWSRegistry.algorithms["RS256"].sign(b"said", key)).decode()
    assert proven(public, b"said", made)
    assert not any(
        proven(public, *each) for each in ((b"sai", made), (b"said", ""), (b"said", "ß"), (b"said", made[4:]))
    )
    check_certificate(public)
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024).as_pem(private=False).decode()
    for wrong in (key.as_pem(private=True).decode(), short, "", "zq", public.replace("MII", "MIJ", 1)):
        assert not proven(wrong, b"said", made)
        with pytest.raises(SettingsError) as raised:
            check_certificate(wrong)
        assert "zq" not in str(raised.value)
