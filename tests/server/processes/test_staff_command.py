"""`confide staff`: accounts are made, listed and disabled, each recorded, and no secret is said twice."""

import asyncio

from tests.server.processes.starting import PROGRAM

PASSWORD = "quiet harbour lantern seven"


async def added(site, *arguments, password=PASSWORD):
    command = [str(PROGRAM), "staff", *arguments, "--password-stdin"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    process = await asyncio.create_subprocess_exec(*command, env=site.environment, cwd=site.directory, **pipes)
    out, err = await process.communicate(f"{password}\n".encode())
    return process.returncode, out.decode(), err.decode()


async def test_an_account_is_made_listed_and_disabled_and_each_is_recorded(site):
    code, out, err = await added(site, "add", "ana", "--role", "support_agent")
    assert code == 0, err
    secret, address = out.split()
    assert address.startswith("otpauth://totp/Confide:ana?")
    code, _, err = await added(site, "add", "ana", "--role", "support_agent")
    assert (code, "there is such an account" in err) == (1, True)
    code, _, err = await added(site, "add", "bob", "--role", "king")
    assert (code, "there is no such role" in err) == (1, True)
    (listed,) = (await site.confide("staff", "list")).json
    assert (listed["name"], listed["actor"], listed["roles"]) == ("ana", "staff:ana", ["support_agent"])
    assert (await site.confide("staff", "disable", "ana")).code == 0
    listing = await site.confide("staff", "list")
    assert listing.json[0]["disabled"]
    assert secret not in listing.out
    assert (await site.confide("staff", "disable", "nobody")).code == 1
    code, invitation, err = await added(site, "reset", "ana", "--invite", password="")
    assert (code, len(invitation.strip().replace("-", "")), "/console/enrol" in err) == (0, 28, True)
    records = [(each.operation, each.outcome.value) for each in (await site.records()).values()]
    # What was not made is recorded as refused.
    assert sorted(how for what, how in records if what == "confide staff add ana") == ["allowed", "refused"]
    assert ("confide staff disable staff:ana", "allowed") in records
    assert ("confide staff reset ana", "allowed") in records
    assert not any(secret in each.operation or PASSWORD in each.operation for each in (await site.records()).values())
