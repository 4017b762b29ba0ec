"""Nothing that signing in does, and no time it takes, depends on whether an address is a customer's.

`scripts/sign-in-timing` takes 2,000 samples; this a few.
"""

from dataclasses import replace
from functools import partial

from server.access.sign_in_links import Asking
from tests.schema.counting import counting_client
from tests.server.entry.doors import entry_of, uuid_bytes
from tests.server.entry.timing import LeakyKeeper, NaiveKeeper, compared, leaking, samples

TRYING = ["find sign_in_links", "update sign_in_links"]
WORK = ["find sign_in_links", "find sign_in_links", "insert sign_in_links", "insert jobs"]


async def work(door, mongo_uri, keeper_of, doing):
    """The commands that this sends, the look-ups of who has an address among them."""
    client, commands = counting_client(mongo_uri)
    main, keys = (client[each.name] for each in (door.platform.main, door.platform.keys))
    platform = replace(door.platform, main=main, keys=keys)
    vault = platform.vault
    rows, vault.blind._rows = vault.blind._rows, main["blind_index"]
    try:
        keeper = keeper_of(platform)
        commands.taken()
        await doing(keeper)
        return commands.taken()
    finally:
        vault.blind._rows = rows
        await client.close()


def _keeper(platform):
    return entry_of(platform).keeper


async def _try(browser, keeper):
    return await keeper.let_in_by_code(browser, "1", "?")


def asking(address):
    return lambda keeper: keeper.ask(address, "en", "203.0.113.0/24")


async def test_asking_sends_the_same_whoever_has_the_address(door, mongo_uri):
    for address in ("ada@door.example", "nobody@door.example"):
        assert await work(door, mongo_uri, _keeper, asking(address)) == WORK


async def test_a_keeper_that_looks_first_is_found_by_what_it_sends(door, mongo_uri):
    def made(platform):
        return LeakyKeeper(platform, uuid_bytes)

    assert (await work(door, mongo_uri, made, asking("ada@door.example")))[0] == "find blind_index"


async def test_trying_a_code_sends_the_same_whether_or_not_one_was_sent(door, mongo_uri):
    browsers = {}
    for name in ("ada", "nobody"):
        browsers[name] = await door.entry.keeper.ask(f"{name}@door.example", "en", "203.0.113.0/24")
    assert len(await door.send()) == 1
    for browser in (*browsers.values(), "no browser that asked"):
        sent = await work(door, mongo_uri, _keeper, partial(_try, browser))
        assert sent == TRYING[: 1 if browser == "no browser that asked" else 2]


async def test_asking_once_too_often_sends_the_same(door, mongo_uri):
    for _ in range(7):
        found = await work(door, mongo_uri, _keeper, asking("ada@door.example"))
        assert found == WORK
    kept = await door.platform.main["sign_in_links"].find({"kind": Asking.SIGN_IN.value}).to_list(None)
    assert sorted(each["silent"] for each in kept) == [False] * 5 + [True] * 2


async def test_time_does_not_tell_who_is_a_customer(door):
    verdict = compared(*await samples(door, 320))
    assert not verdict.tells, str(verdict)


async def test_time_tells_where_only_what_customers_ask_for_is_written(door, monkeypatch):
    monkeypatch.setattr(door.entry, "keeper", leaking(door, NaiveKeeper))
    monkeypatch.setattr(door, "app", door.made(door.entry))
    verdict = compared(*await samples(door, 320))
    assert verdict.tells, str(verdict)
