"""A copy of a person's data: whole, theirs, sealed, recorded, and harmless in a spreadsheet."""

import csv
import io
import json
import os
import zipfile
from datetime import timedelta

import pytest

from audit import Kind
from customers.errors import ExportNotAllowedError, ProfileNotFoundError
from customers.rights.copy_files import opened
from customers.rights.portability import LIFETIME, Copies
from customers.rights.recipients import Recipient, RecipientKind
from tests.schema.world import CUSTOMER, OFFICER, SUPPORT, granted, order, person, ticket, utc_now
from vault import EnvelopeError


@pytest.fixture
def copies(world, tmp_path):
    return copying(world, tmp_path)


def copying(world, tmp_path, **other):
    made = Copies(
        tmp_path / "copies",
        world.services.gateway,
        None,
        world.consents,
        world.log,
        world.vault,
        world.policies.catalogue,
        now=utc_now,
        random=os.urandom,
        **other,
    )
    made.directory = tmp_path / "copies"
    return made


async def whole(world, number=1, **values):
    draft = world.draft(
        person(number, **values),
        consents=granted("marketing"),
        orders=[order(each) for each in range(120)],
        tickets=[ticket(1, subject="=HYPERLINK(1)")],
    )
    return (await world.create(draft))[0]


def mine(world, customer_id):
    return world.access(*CUSTOMER, customer=customer_id)


async def fetched(world, copies, access, customer_id, copy_id):
    async with world.vault.reading():
        found = b"".join(await copies.parts(access, customer_id, copy_id))
    return zipfile.ZipFile(io.BytesIO(found))


async def test_a_copy_holds_everything_of_the_person_in_two_forms(world, copies):
    customer_id = await whole(world)
    await world.told("query ($id: ID!) { profile(id: $id) { email } }", *SUPPORT, {"id": customer_id})
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    bundle = await fetched(world, copies, mine(world, customer_id), customer_id, copy_id)
    told = {name: json.loads(bundle.read(name)) for name in bundle.namelist() if name.endswith(".json")}
    assert told["profile.json"]["email"] == "person1@mail1.example"
    assert told["profile.json"]["origins"]["email"]["source"]
    assert len(told["orders.json"]) == 120
    assert len({each["id"] for each in told["orders.json"]}) == 120
    assert told["consents.json"][0]["purpose"] == "marketing"
    assert "profile.email" in told["reads.json"][-1]["fields"] or any(
        each["fields"] == ["profile.email"] for each in told["reads.json"]
    )
    rows = list(csv.DictReader(io.StringIO(bundle.read("orders.csv").decode())))
    assert [each["id"] for each in rows] == [each["id"] for each in told["orders.json"]]


async def test_a_copy_names_to_whom_the_persons_data_is_given_and_nobody_who_has_none(world, tmp_path):
    """GDPR Art. 15(1)(c)."""

    class Giving:
        async def given(self, customer_ids):
            asked.extend(customer_ids)
            place = (RecipientKind.WEBHOOK, "https://zq.example/told", ("email",), ("profile.city",), utc_now())
            return [Recipient("parcels", *place), Recipient("mailer", *place, disabled=True, purposes=("marketing",))]

    asked = []
    copies = copying(world, tmp_path, recipients=Giving())
    customer_id = await whole(world)
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    bundle = await fetched(world, copies, mine(world, customer_id), customer_id, copy_id)
    told = json.loads(bundle.read("recipients.json"))
    assert set(asked) == {customer_id}
    assert [(each["recipient"], each["data"], each["still"]) for each in told] == [
        ("parcels", ["E-mail address", "City"], True),
        ("mailer", ["E-mail address", "City"], False),
    ]
    page = bundle.read("index.html").decode()
    assert "Whom we give your data to" in page
    assert "zq.example" not in page + bundle.read("recipients.csv").decode(), (
        "where they are told is nobody's business"
    )


async def test_no_cell_is_a_formula(world, copies):
    customer_id = await whole(world)
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    bundle = await fetched(world, copies, mine(world, customer_id), customer_id, copy_id)
    [row] = csv.DictReader(io.StringIO(bundle.read("tickets.csv").decode()))
    assert row["subject"] == "'=HYPERLINK(1)"
    assert json.loads(bundle.read("tickets.json"))[0]["subject"] == "=HYPERLINK(1)"


async def test_making_and_fetching_a_copy_are_exports_in_the_log(world, copies):
    customer_id = await whole(world)
    access = world.access(*OFFICER)
    copy_id = await copies.make(access, customer_id)
    await fetched(world, copies, access, customer_id, copy_id)
    records = await world.records(kind=Kind.EXPORT)
    reference = await world.reference(customer_id)
    assert [each.subjects for each in records] == [(reference,), (reference,)]
    assert any("profile.email" in decision.fields for decision in records[0].decisions)


async def test_nobody_makes_or_fetches_a_copy_of_somebody_else(world, copies):
    customer_id, other = await whole(world), await whole(world, 2)
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    with pytest.raises(ProfileNotFoundError):
        await copies.make(mine(world, other), customer_id)
    with pytest.raises(ExportNotAllowedError):
        await copies.make(world.access(*SUPPORT), customer_id)
    for access, whose, which in (
        (mine(world, other), customer_id, copy_id),
        (mine(world, other), other, copy_id),
        (mine(world, customer_id), customer_id, "../key.ring"),
        (mine(world, customer_id), customer_id, "cop_" + "a" * 26),
    ):
        with pytest.raises(ProfileNotFoundError):
            await fetched(world, copies, access, whose, which)


async def test_a_copy_lies_sealed_and_goes_with_the_person(world, copies):
    customer_id = await whole(world)
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    [file] = copies.directory.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert b"PK" not in file.read_bytes()[:16]
    await world.erase(customer_id)
    with pytest.raises(ProfileNotFoundError):
        await fetched(world, copies, mine(world, customer_id), customer_id, copy_id)


async def test_a_copy_that_was_cut_off_does_not_open(world, copies):
    customer_id = await whole(world)
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    file = copies.directory / copy_id
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ProfileNotFoundError):
        await fetched(world, copies, mine(world, customer_id), customer_id, copy_id)


async def test_a_copy_of_merged_profiles_opens_to_nobody_once_they_were_taken_apart(world, copies):
    first, second = await whole(world), await whole(world, 2, email="zqother@canary.example")
    steward = "data_steward", "identity_resolution"

    async def bring(step, *profiles):
        async with world.vault.reading():
            await step(world.access(*steward), *profiles)

    await bring(world.reviewer.merge, first, second)
    copy_id = await copies.make(mine(world, first), first)

    async def read():
        return (await fetched(world, copies, mine(world, first), first, copy_id)).read("profile.json")

    assert b"zqother@canary.example" in await read()
    streamed = b"".join([each async for each in copies.stream(mine(world, first), first, copy_id)])
    assert b"zqother@canary.example" in zipfile.ZipFile(io.BytesIO(streamed)).read("profile.json")
    await bring(world.reviewer.unmerge, second)
    for whose in (first, second):
        with pytest.raises(ProfileNotFoundError):
            await fetched(world, copies, mine(world, whose), whose, copy_id)
    await bring(world.reviewer.merge, first, second)
    assert b"zqother@canary.example" in await read(), "it was only that a key was lacking"
    await bring(world.reviewer.unmerge, second)
    await world.erase(second)
    async with world.vault.reading():
        key = (await world.vault.keys([first]))[first]
        with pytest.raises(EnvelopeError):
            list(opened(copies.directory, copy_id, key, {}))
    alone = await copies.make(mine(world, first), first)
    async with world.vault.reading():
        key = (await world.vault.keys([first]))[first]
        assert list(opened(copies.directory, alone, key, {})), "and a copy of one needs no other"


async def test_copies_are_removed_when_their_time_is_over(world, copies):
    customer_id = await whole(world)
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    assert copies.sweep() == 0
    past = (utc_now() - LIFETIME - timedelta(seconds=1)).timestamp()
    os.utime(copies.directory / copy_id, (past, past))
    assert copies.sweep() == 1
    assert list(copies.directory.iterdir()) == []
