import asyncio

import pytest

from tests.vault.conftest import utc_now
from vault import (
    BlindIndex,
    Claim,
    FleetError,
    IdentifierTakenError,
    InvalidIdentifierError,
    LeaseLostError,
    UnknownIndexError,
)
from vault.tokens import BlindTokens

EPOCH_1, EPOCH_2 = b"1" * 32, b"2" * 32
NEW = {1: EPOCH_1}
BOTH = {1: EPOCH_1, 2: EPOCH_2}
LATER = {2: EPOCH_2}


@pytest.fixture
def indexes(databases):
    """Blind indexes of several processes over one database; each knows the epochs that it was given."""

    def make(keys=NEW):
        index = BlindIndex(databases.main, now=utc_now, check_reading=lambda: None)
        index.use(BlindTokens(keys, tenant="main", region="DE"))
        return index

    return make


@pytest.fixture
async def index(indexes):
    index = indexes()
    await index.prepare()
    return index


async def rows(databases):
    return await databases.main["blind_index"].find({}).to_list(None)


async def leading(databases):
    return sorted((row["customer_id"], row.get("of", "")) for row in await rows(databases))


async def test_a_claimed_identifier_finds_its_customer_in_any_spelling(index):
    await index.claim("email", "Ada@Example.com", "ada")
    await index.claim("phone", "030 901820", "ada")
    await index.claim("external_id", "crm:17", "ada")
    assert await index.find("email", "ada@example.COM") == "ada"
    assert await index.find("phone", "+49 30 901820") == "ada"
    assert await index.find("external_id", "crm:17") == "ada"
    assert await index.find("email", "eve@example.com") is None


async def test_the_rows_hold_no_identifier(index, databases):
    await index.claim("email", "ada@example.com", "ada")
    (row,) = await rows(databases)
    assert set(row) == {"_id", "customer_id", "name", "epoch", "claimed_at", "mark", "moved"}
    assert b"ada@" not in row["_id"]
    assert len(row["_id"]) == 32


async def test_an_identifier_has_one_customer_until_it_is_released(index):
    await index.claim("email", "ada@example.com", "ada")
    await index.claim("email", "ada@example.com", "ada")
    with pytest.raises(IdentifierTakenError):
        await index.claim("email", "ADA@example.com", "eve")
    await index.release("email", "ada@example.com", "eve")
    assert await index.find("email", "ada@example.com") == "ada", "nobody releases what is another's"
    await index.release("email", "ada@example.com", "ada")
    await index.claim("email", "ada@example.com", "eve")
    assert await index.find("email", "ada@example.com") == "eve"


async def test_of_many_who_claim_an_identifier_at_once_one_has_it(indexes, index):
    several = [indexes() for _ in range(6)]
    answers = await asyncio.gather(
        *(one.claim("email", "ada@example.com", f"customer {at}") for at, one in enumerate(several)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["IdentifierTakenError"] * 5 + ["NoneType"]
    assert await index.find("email", "ada@example.com") == f"customer {answers.index(None)}"


async def test_claims_made_together_are_all_made_or_none(index, databases):
    await index.claim("email", "taken@example.com", "eve")
    claims = [Claim("email", f"{number}@example.com", "ada") for number in range(20)]
    with pytest.raises(IdentifierTakenError):
        await index.claim_many([*claims[:10], Claim("email", "taken@example.com", "ada"), *claims[10:]])
    assert len(await rows(databases)) == 1
    with pytest.raises(InvalidIdentifierError):
        await index.claim_many([*claims, Claim("email", "no address", "ada")])
    assert len(await rows(databases)) == 1
    await index.claim_many([*claims, *claims])
    assert len(await rows(databases)) == 21
    found = await index.find_many([("email", "3@example.com"), ("email", "TAKEN@example.com"), ("email", "no@x.org")])
    assert found == {("email", "3@example.com"): "ada", ("email", "TAKEN@example.com"): "eve"}
    assert await index.find_many([]) == {}


async def test_a_failed_claim_takes_nothing_away_that_was_there_before(index):
    await index.claim("email", "own@example.com", "ada")
    await index.claim("email", "taken@example.com", "eve")
    with pytest.raises(IdentifierTakenError):
        await index.claim_many([Claim("email", each, "ada") for each in ("own@example.com", "taken@example.com")])
    assert await index.find("email", "own@example.com") == "ada"


async def test_two_customers_claimed_for_one_identifier_together_are_refused(index, databases):
    with pytest.raises(IdentifierTakenError):
        await index.claim_many([Claim("email", "a@example.com", "ada"), Claim("email", "A@example.com", "eve")])
    assert await rows(databases) == []


async def test_releasing_everything_of_a_customer_leaves_the_others(index, databases):
    await index.claim_many([Claim("email", f"{number}@example.com", "ada") for number in range(5)])
    await index.claim("email", "eve@example.com", "eve")
    await index.release_all("ada")
    assert [row["customer_id"] for row in await rows(databases)] == ["eve"]


async def test_what_finds_a_customer_who_was_merged_finds_the_survivor_and_goes_with_the_one_who_held_it(
    index, databases
):
    for name in ("ada", "eve", "sam"):
        await index.claim("email", f"{name}@example.com", name)
    await index.lead_to({"ada": "eve"})
    await index.lead_to({"eve": "sam"})
    await index.lead_to({"eve": "sam"})
    emails = [("email", f"{name}@example.com") for name in ("ada", "eve", "sam")]
    assert set((await index.find_many(emails)).values()) == {"sam"}
    await index.claim("email", "ada@example.com", "sam")  # it is the survivor's own
    with pytest.raises(IdentifierTakenError):
        await index.claim("email", "ada@example.com", "ada")
    await index.release_all("sam")
    assert set(await index.find_many(emails)) == set(emails[:2]), "the survivor takes no more than its own"
    await index.lead_back("eve", ["ada"])
    await index.lead_back("eve", ["ada"])
    assert await leading(databases) == [("eve", ""), ("eve", "ada")]
    await index.lead_back("ada", [])
    assert await leading(databases) == [("ada", ""), ("eve", "")]
    await index.lead_to({"ada": "eve"})
    await index.release_all("ada")
    assert [row["customer_id"] for row in await rows(databases)] == ["eve"]


async def test_confirming_those_of_several_notices_one_that_another_of_them_took(index):
    claims = [Claim("email", f"{name}@example.com", name) for name in ("ada", "eve")]
    await index.claim_many(claims)
    await index.confirm_many(claims)
    await index.release("email", "ada@example.com", "ada")
    await index.claim("email", "ada@example.com", "eve")
    with pytest.raises(IdentifierTakenError):
        await index.confirm_many(claims)


async def test_releasing_many_gives_each_up_for_its_own_customer(index, databases):
    claims = [Claim("email", "a@example.com", "ada"), Claim("email", "e@example.com", "eve")]
    await index.claim_many(claims)
    await index.release_many(await index.seen([claims[0], Claim("email", "e@example.com", "ada")]))
    assert [row["customer_id"] for row in await rows(databases)] == ["eve"]


async def test_what_was_confirmed_after_it_was_seen_is_not_released(indexes, index, databases):
    claim = Claim("email", "a@example.com", "ada")
    await index.claim_many([claim])
    seen = await index.seen([claim])
    await indexes().confirm_many([claim])
    await index.release_many(seen)
    assert await index.find("email", "a@example.com") == "ada"
    await index.release_many(await index.seen([claim]))  # negative control: seen since, and so released
    assert await rows(databases) == []
    await index.confirm_many([claim])
    assert await index.find("email", "a@example.com") == "ada", "what is gone is claimed again"
    with pytest.raises(IdentifierTakenError):
        await index.confirm_many([Claim("email", "a@example.com", "eve")])


async def test_a_row_from_before_there_were_marks_is_released_unless_confirmed(index, databases):
    claims = [Claim("email", f"{number}@example.com", "ada") for number in range(2)]
    await index.claim_many(claims)
    await databases.main["blind_index"].update_many({}, {"$unset": {"mark": ""}})
    seen = await index.seen(claims)
    await index.confirm_many(claims[:1])
    await index.release_many(seen)
    assert await index.find_many([("email", each.value) for each in claims]) == {("email", "0@example.com"): "ada"}


async def test_bad_input_is_a_typed_error_that_does_not_hold_it(index):
    for call in (index.claim("email", "not an address", "ada"), index.find("email", "not an address")):
        with pytest.raises(InvalidIdentifierError) as caught:
            await call
        assert "not an" not in str(caught.value)
    with pytest.raises(UnknownIndexError):
        await index.find("shoe_size", "44")


async def test_without_keys_or_outside_of_a_read_nothing_is_claimed(index, databases):
    index.use(None)
    with pytest.raises(LeaseLostError):
        await index.find("email", "ada@example.com")

    def refuse():
        raise FleetError

    outside = BlindIndex(databases.main, now=utc_now, check_reading=refuse)
    outside.use(BlindTokens(NEW, tenant="main"))
    with pytest.raises(FleetError):
        await outside.claim("email", "ada@example.com", "ada")
    assert await rows(databases) == []


# ---- while epochs change


async def test_processes_that_know_different_epochs_agree_on_who_has_an_identifier(indexes, index):
    """The three states that processes can be in at once; who rotates keeps the first and the last apart."""
    before, during, after = index, indexes(BOTH), indexes(LATER)
    await before.claim("email", "a@example.com", "ada")
    assert await during.find("email", "a@example.com") == "ada"
    with pytest.raises(IdentifierTakenError):
        await during.claim("email", "a@example.com", "eve")
    assert await after.find("email", "a@example.com") is None, "nothing was left behind under the newer epoch"
    await during.claim("email", "b@example.com", "ada")
    for one in (before, during, after):
        assert await one.find("email", "b@example.com") == "ada"
        with pytest.raises(IdentifierTakenError):
            await one.claim("email", "b@example.com", "eve")
    await during.release("email", "b@example.com", "ada")
    for one in (before, during, after):
        assert await one.find("email", "b@example.com") is None


async def test_a_confirmation_in_two_epochs_counts_in_both(indexes, index, databases):
    claim = Claim("email", "a@example.com", "ada")
    await index.claim_many([claim])
    during = indexes(BOTH)
    seen = await during.seen([claim])
    await during.confirm_many([claim])
    assert len({row["mark"] for row in await rows(databases)}) == 1
    assert {row["epoch"] for row in await rows(databases)} == {1, 2}
    await during.release_many(seen)
    assert len(await rows(databases)) == 2


async def test_a_moved_identifier_is_found_under_the_newer_epoch(indexes, index):
    await index.claim("email", "a@example.com", "ada")
    during, after = indexes(BOTH), indexes(LATER)
    assert await during.any_left_behind()
    await during.move("ada", "email", "a@example.com")
    await during.move("ada", "email", "a@example.com")
    assert not await during.any_left_behind()
    assert await after.find("email", "a@example.com") == "ada"
    await during.drop_before(2)
    assert await index.find("email", "a@example.com") is None
    assert await after.find("email", "a@example.com") == "ada"


async def test_moving_brings_back_nothing_that_was_released_meanwhile(indexes, index, databases, monkeypatch):
    await index.claim("email", "a@example.com", "ada")
    during = indexes(BOTH)
    insert = type(during._rows).insert_one

    async def erased_just_before(self, row):
        await during.release_all("ada")
        return await insert(self, row)

    monkeypatch.setattr(type(during._rows), "insert_one", erased_just_before)
    await during.move("ada", "email", "a@example.com")
    monkeypatch.undo()
    assert await rows(databases) == []
    await during.move("ada", "email", "a@example.com")
    assert await rows(databases) == []


async def test_what_a_move_that_died_left_is_removed_by_the_next(indexes, index, databases, monkeypatch):
    await index.claim("email", "a@example.com", "ada")
    during = indexes(BOTH)

    async def die(*_, **__):
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(type(during._rows), "update_many", die)
        with pytest.raises(asyncio.CancelledError):
            await during.move("ada", "email", "a@example.com")
    assert len(await rows(databases)) == 2
    await during.forget_pending()
    assert len(await rows(databases)) == 1
    await during.move("ada", "email", "a@example.com")
    await during.forget_pending()
    assert len(await rows(databases)) == 2
