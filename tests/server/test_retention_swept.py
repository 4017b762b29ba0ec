"""The retention sweep on a whole platform: the worker's turn, when it is due and when not, and the commands."""

import json
from datetime import UTC, datetime, timedelta

from typer.testing import CliRunner

from audit import AccessQuery
from server.cli import retention as commands
from server.clock import utc_now
from server.logs import Event
from server.retention import limits_of, sweep, sweep_due, sweep_of
from tests.schema.world import ticket
from tests.server.test_nothing_left import create, opened

OLD = datetime(2019, 6, 1, tzinfo=UTC)
DAY = 24


async def talked(platform):
    """Somebody with an old request for help, and a new one."""
    old = ticket(1, opened_at=OLD, closed_at=OLD)
    new = ticket(2, opened_at=utc_now(), closed_at=utc_now())
    return (await create(platform, ({"city": "Bremen"}, [], [], [old, new])))[0]


async def contents(platform):
    found = await platform.main["tickets"].find({}).to_list(None)
    return sum("content" in each["sealed"] for each in found)


async def test_the_worker_sweeps_when_it_is_due_and_only_where_it_shall(
    mongo_uri, mongo_client, tmp_path, monkeypatch
):
    told = []
    monkeypatch.setattr("server.retention.log", lambda event, **fields: told.append((event, fields)))
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        await talked(platform)
        assert await sweep_due(platform) == []
        assert await contents(platform) == 2, "the control: by default nobody's data is removed without being asked"
    async with opened(mongo_uri, tmp_path / "other", mongo_client, retention_hours=DAY) as platform:
        await talked(platform)
        swept = {each.limit: each.removed for each in await sweep_due(platform)}
        assert swept == {"people": 0, "activity": 0, "correspondence": 1, "payment_details": 0}
        assert await contents(platform) == 1
        assert (Event.RETENTION_SWEPT, {"check": "correspondence", "count": 1}) in told
        assert await sweep_due(platform) == [], "not twice a day"
        yesterday = utc_now() - timedelta(hours=DAY + 1)
        await platform.main["retention_runs"].update_one({"_id": "activity"}, {"$set": {"finished_at": yesterday}})
        assert [each.limit for each in await sweep_due(platform)] == ["activity"]


async def test_the_commands_say_what_the_limits_are_and_how_far_each_sweep_came(
    mongo_uri, mongo_client, tmp_path, monkeypatch
):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        await talked(platform)
        before = await commands._status(platform)
        (limit,) = [each for each in limits_of(platform) if each.name == "correspondence"]
        told = []
        await sweep(platform, (limit,), actor="cli:test", progress=lambda _limit: lambda *each: told.append(each))
        assert told == [(1, 1)]
        after = await commands._status(platform)
        last = await sweep_of(platform).last()
        assert set(last) == {"correspondence"}
        record = (await platform.log.search(AccessQuery(), limit=1)).entries[0].record
        assert (record.actor, record.purpose, record.case) == ("cli:test", "retention", "limit:correspondence")
    rows = {each["limit"]: each for each in after}
    assert {each["state"] for each in before} == {None}
    assert (rows["correspondence"]["state"], rows["correspondence"]["removed"]) == ("done", 1)

    monkeypatch.setattr(commands, "with_platform", lambda _work: after)
    shown = CliRunner().invoke(commands.app, ["status"])
    assert "correspondence" in shown.output
    assert "never" in shown.output
    assert json.loads(CliRunner().invoke(commands.app, ["status", "--json"]).output) == after
    declined = CliRunner().invoke(commands.app, ["sweep"], input="n\n")
    assert declined.exit_code == 1
    monkeypatch.setattr(commands, "with_platform", lambda _work: list(last.values()))
    done = CliRunner().invoke(commands.app, ["sweep", "--yes", "--limit", "correspondence"])
    assert done.exit_code == 0, done.output
    assert '"removed": 1' in done.output
