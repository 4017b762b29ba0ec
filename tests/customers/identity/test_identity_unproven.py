"""Whoever has a browser can name an address before its owner is known, and gets nothing of what comes for the owner."""

import pytest

from customers.collection import ImportKind
from customers.collection.model import Fault, ProfileRow
from customers.collection.service import ImportWriter
from customers.identity.model import Identifier, IdentifierType
from customers.identity.proving import proved, usurped
from customers.identity.rules import CaseKind, Identified
from customers.profiles.made import UNPROVEN, identifiers_of
from tests.customers.collection.importing import ORDERS, imported, written
from tests.customers.collection.test_import_orders import HEADER, order
from tests.customers.identity.finding_people import cases
from tests.schema.world import utc_now

EMAIL, PHONE = IdentifierType.EMAIL, IdentifierType.PHONE
MAIL = Identifier(EMAIL, "ada@post.example")
USER, OTHERS = (Identifier(IdentifierType.EXTERNAL_ID, f"user:{each}") for each in ("mallory", "ada"))
DEVICE = Identifier(IdentifierType.ANONYMOUS_ID, "device-1")


async def resolve(world, *identifiers, proven):
    async with world.vault.reading():
        (found,) = await world.resolver.resolve(world.access(), [Identified(identifiers, (), proven)])
    return found.customer_id


async def held(world, customer_id):
    (document,) = await world.store.find([customer_id])
    async with world.vault.reading():
        key = (await world.vault.keys([customer_id]))[customer_id]
        return {each: each.proven for each in identifiers_of(document, key)}


async def owner(world, identifier):
    async with world.vault.reading():
        return await world.vault.blind.find(identifier.type, identifier.value)


@pytest.mark.parametrize("mail", [MAIL, Identifier(PHONE, "+4915112345678")])
async def test_what_a_server_says_of_an_address_does_not_go_to_who_claimed_it_from_a_page(world, mail):
    mallory = await resolve(world, USER, mail, proven=False)
    assert await held(world, mallory) == {USER: True, mail: False}
    ada = await resolve(world, mail, proven=True)
    assert ada != mallory
    assert (await held(world, mallory), await held(world, ada)) == ({USER: True}, {mail: True})
    assert await owner(world, mail) == ada
    (case,) = await cases(world)
    assert (case.kind, set(case.customers)) == (CaseKind.TWO_PEOPLE, {mallory, ada}), "a person sees to it"
    (mallorys,) = await world.store.find([mallory])
    assert mallorys["sealed"].keys() == {"identifiers"}, "and nothing of the address is left there"
    # Neither does it come back: the page's word is worth no more than before.
    assert await resolve(world, USER, mail, proven=False) == mallory
    assert await owner(world, mail) == ada
    assert await resolve(world, mail, OTHERS, proven=True) == ada
    assert await held(world, ada) == {mail: True, OTHERS: True}


async def test_an_address_that_a_server_named_beside_the_id_stays(world):
    """The negative control, and the way to have what pages say believed: a server or an import says it once."""
    customer = await resolve(world, USER, MAIL, proven=False)
    assert await resolve(world, USER, MAIL, proven=True) == customer
    assert await held(world, customer) == {USER: True, MAIL: True}
    assert await resolve(world, MAIL, proven=True) == customer
    assert await cases(world) == []


async def test_what_a_server_said_from_the_beginning_is_proven(world):
    customer = await resolve(world, USER, MAIL, proven=True)
    assert await resolve(world, MAIL, proven=True) == customer
    (document,) = await world.store.find([customer])
    async with world.vault.reading():
        key = (await world.vault.keys([customer]))[customer]
        stored = key.open(document["sealed"]["identifiers"], "profiles", customer, "identifiers", 1)
    assert all(UNPROVEN not in each for each in stored["identifiers"])


async def test_who_left_an_address_on_a_page_and_no_id_is_found_by_it(world):
    visitor = await resolve(world, DEVICE, MAIL, proven=False)
    assert await held(world, visitor) == {DEVICE: True, MAIL: False}
    assert await resolve(world, MAIL, proven=True) == visitor
    assert await held(world, visitor) == {DEVICE: True, MAIL: True}


async def test_a_batch_names_many_and_each_is_seen_to(world):
    claimed = [
        await resolve(
            world, Identifier(USER.type, f"user:m{each}"), Identifier(EMAIL, f"a{each}@post.example"), proven=False
        )
        for each in range(3)
    ]
    items = [Identified((Identifier(EMAIL, f"a{each}@post.example"),)) for each in range(3) for _ in range(2)]
    async with world.vault.reading():
        found = [each.customer_id for each in await world.resolver.resolve(world.access(), items)]
    assert found[::2] == found[1::2]
    assert set(found).isdisjoint(claimed)
    assert len(await cases(world)) == 3


async def test_an_imported_row_is_not_added_to_who_claimed_its_address_from_a_page(world):
    mallory = await resolve(world, USER, MAIL, proven=False)
    writer = ImportWriter(world.writer, world.vault, world.access(), now=utc_now)
    row = ProfileRow(2, 2, {"given_name": "Ada", "birth_date": "1990-01-02"}, (MAIL,), {})
    (outcome,) = await writer.write([row])
    ada = await owner(world, MAIL)
    assert (outcome.result.value, ada != mallory) == ("created", True)
    assert await held(world, mallory) == {USER: True}
    (document,) = await world.store.find([mallory])
    assert document["sealed"].keys() == {"identifiers", "provenance"}
    (again,) = await writer.write([row])  # negative control: the row is hers, so it is hers again
    assert (again.result.value, await owner(world, MAIL)) == ("unchanged", ada)


async def test_an_imported_order_does_not_go_to_who_claimed_its_customers_address_from_a_page(world, tmp_path):
    path = written(tmp_path / "orders.csv", HEADER, order("A-1", mail=MAIL.value))
    mallory = await resolve(world, USER, MAIL, proven=False)
    refused = await imported(world, path, ImportKind.ORDERS, ORDERS)
    assert (refused.created, list(refused.by_reason)) == (0, [Fault.UNKNOWN_CUSTOMER])
    assert (
        await resolve(world, USER, MAIL, proven=True) == mallory
    )  # the negative control: now it is said to be theirs
    assert (await imported(world, path, ImportKind.ORDERS, ORDERS)).created == 1


def test_one_thing_more_of_theirs_is_enough_and_a_mark_makes_no_other_identifier():
    said = Identifier(EMAIL, MAIL.value, proven=False)
    assert said == MAIL
    assert usurped([MAIL], [USER, said]) == (MAIL,)
    for named, holding in (
        ([MAIL, USER], [USER, said]),
        ([MAIL, DEVICE], [USER, said, DEVICE]),
        ([MAIL], [said, DEVICE]),
        ([MAIL], [USER, MAIL]),
        ([DEVICE], [USER, said]),
    ):
        assert usurped(named, holding) == ()
    assert [each.proven for each in proved([USER, said], [DEVICE])] == [True, False]
    assert [each.proven for each in proved([USER, said], [MAIL])] == [True, True]
