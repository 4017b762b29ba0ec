"""The worker's search for profiles that are one person: as often as the settings say, by one process, where it may."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from customers.identity.finding import PURPOSE, MatchingRunningError
from policies import UnknownPurposeError
from server import matching
from server.matching import match_once, match_regularly
from tests.customers.identity.finding_people import values
from tests.server.test_nothing_left import create, opened


@pytest.fixture(scope="module")
async def platform(mongo_uri, mongo_client, tmp_path_factory):
    async with opened(
        mongo_uri, tmp_path_factory.mktemp("site"), mongo_client, identity_auto_merge=True, identity_match_minutes=7
    ) as made:
        yield made


def with_settings(platform, **changed):
    return replace(platform, settings=platform.settings.model_copy(update=changed))


async def test_sure_pairs_are_joined_where_the_settings_say_so_under_the_name_of_confide(platform):
    await create(platform, *((each, [], [], []) for each in (values(), values(street="Hafenweg 12a"))))
    report = await match_once(platform)
    assert (report.compared, report.sure, report.merged) == (2, 1, 1)
    (merge,) = await platform.main["merges"].find({}).to_list(None)
    assert (merge["actor"], merge["purpose"]) == ("confide", PURPOSE)


async def test_without_the_setting_nobody_is_joined(platform):
    careful = with_settings(platform, identity_auto_merge=False)
    await create(
        platform, *((values(given_name="Berta", city=each), [], [], []) for each in ("Bremen", "Bremen Mitte"))
    )
    report = await match_once(careful)
    assert (report.sure, report.merged) == (1, 0)
    assert (await match_once(platform)).merged == 1  # negative control: what waited is joined once it may be


async def test_where_another_process_is_at_it_or_the_policy_lets_nobody_it_is_left_alone(platform, monkeypatch):
    token = await platform.matching.records.claim()
    assert await match_once(platform) is None
    with pytest.raises(MatchingRunningError):  # negative control
        await platform.matching.run(platform.access("x", ("record_keeper",), PURPOSE, operation="test"))
    await platform.matching.records.release(token)
    assert await match_once(platform) is not None
    monkeypatch.setattr(matching, "PURPOSE", "no_purpose_of_this_policy")
    with pytest.raises(UnknownPurposeError):  # negative control
        platform.access("x", ("record_keeper",), matching.PURPOSE, operation="test")
    assert await match_once(platform) is None
    monkeypatch.setattr(matching, "PURPOSE", PURPOSE)
    monkeypatch.setattr(matching, "READER", ("product_analyst",))
    assert await match_once(platform) is None


@pytest.mark.parametrize("minutes", [7, 0])
async def test_it_is_tried_each_time_the_settings_say_and_never_where_they_say_never(platform, monkeypatch, minutes):
    platform = with_settings(platform, identity_match_minutes=minutes)
    slept, tried = [], []

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    async def note(work):
        tried.append(await work())

    monkeypatch.setattr(matching, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(matching, "match_once", lambda _platform: asyncio.wait_for(_done(), None))
    if minutes:
        with pytest.raises(asyncio.CancelledError):
            await match_regularly(platform, note)
    else:
        await match_regularly(platform, note)
    assert (slept, tried) == (([420.0] * 3, ["done"] * 2) if minutes else ([], []))


async def _done():
    return "done"
