"""Breaking the glass raises an alarm that reaches people: a line of the log, and a letter to each."""

import logging
import os
import uuid

from customers.caller import Caller
from customers.oversight.break_glass import Judgement
from server.alarm_letters import alarm_runner
from server.alarms import ALARM, REMINDER
from server.logs import Event
from server.mail import mailer_of
from server.platform import open_platform
from server.settings import Settings

REASON = "Somebody on line two is hurt, and the ambulance must know where to go."
ADDRESSES = ("dpo@example.org", "cso@example.org")


async def test_everybody_who_is_to_know_has_a_letter_once(mongo_client, mongo_uri, tmp_path, caplog):
    run = f"a{uuid.uuid4().hex[:12]}"
    names = {f"{part}_database": f"{run}_{part}" for part in ("main", "keys", "audit")}
    letters = tmp_path / "letters"
    settings = Settings(
        mongo_uri=mongo_uri, data_dir=tmp_path / "data", alarm_addresses=ADDRESSES, mail_directory=letters, **names
    )
    ana = Caller("staff:ana", ("support_agent",), None, None, None, frozenset(), None)
    try:
        async with open_platform(settings) as platform:
            with caplog.at_level(logging.WARNING):
                opening = await platform.break_glass.open(ana, REASON, 15)
            assert Event.BREAK_GLASS in caplog.text
            dead = alarm_runner(platform, None)  # control: without a mailer nothing is sent, and it is tried again
            await dead.run_due()
            assert not letters.exists()
            jobs = platform.main["jobs"]
            await jobs.update_many({"kind": ALARM}, {"$set": {"due": platform.now()}})
            runner = alarm_runner(platform, mailer_of(settings, now=platform.now, random=os.urandom))
            for _ in range(2):
                await runner.run_due()
            written = sorted(letters.glob("*.eml"))
            told = b"".join(each.read_bytes() for each in written)
            assert len(written) == len(ADDRESSES)
            assert all(each.encode() in told for each in (*ADDRESSES, opening.id, "staff:ana"))
            assert b"ambulance" not in told
            # Nobody has reviewed it: they are told again, as the server's log is.
            await jobs.update_many(
                {"_id": {"$regex": f"^{REMINDER}:{opening.id}:1:"}}, {"$set": {"due": platform.now()}}
            )
            with caplog.at_level(logging.WARNING):
                await runner.run_due()
            assert "not_reviewed" in str([getattr(each, "confide", None) for each in caplog.records])
            again = [each.read_bytes() for each in set(letters.glob("*.eml")) - set(written)]
            assert len(again) == len(ADDRESSES)
            assert all(b"waits to be reviewed" in each and b"ambulance" not in each for each in again)
            await platform.break_glass.end(ana, opening.id)
            hugo = platform.access("staff:hugo", ("auditor",), "audit")
            await platform.break_glass.review(hugo, opening.id, Judgement.JUSTIFIED, "On tape.")
            await jobs.update_many({"kind": REMINDER}, {"$set": {"due": platform.now()}})
            assert await runner.run_due() > 0
            assert len(list(letters.glob("*.eml"))) == len(written) + len(again), "reviewed, it is told of no more"
    finally:
        for name in names.values():
            await mongo_client.drop_database(name)
