"""Commands that change who may call are in the access log; those that change nothing are not."""

import getpass

import pytest

from audit import Kind, Outcome


async def admin_records(site):
    """The records of what administrators did, in order of time."""
    found = [each for each in (await site.records()).values() if each.kind is Kind.ADMIN]
    return sorted(found, key=lambda each: each.time)


@pytest.mark.timeout(90)
async def test_every_change_of_who_may_call_is_recorded_and_names_no_customer(shared):
    made = await shared.confide("accounts", "create", "Web shop", "--role", "client_app")
    account = made.out.split("_")[2]
    assert (await shared.confide("accounts", "disable", account)).code == 0
    assert (await shared.confide("accounts", "disable", "ana@example.org")).code == 1
    assert (await shared.confide("revoke", "--subject", "cus_aaaa")).code == 0
    assert (await shared.confide("revoke", "--token-id", "cus_bbbb")).code == 0
    found = await admin_records(shared)
    assert [(each.operation, each.outcome) for each in found] == [
        (f"confide accounts create {account}", Outcome.ALLOWED),
        (f"confide accounts disable {account}", Outcome.ALLOWED),
        ("confide accounts disable", Outcome.NOT_FOUND),
        ("confide revoke --subject", Outcome.ALLOWED),
        ("confide revoke --token-id", Outcome.ALLOWED),
    ]
    assert {each.actor for each in found} == {f"cli:{getpass.getuser()}"}


async def test_a_command_that_only_looks_is_not_recorded(shared):
    before = await admin_records(shared)
    assert (await shared.confide("accounts", "list")).code == 0
    assert await admin_records(shared) == before


async def test_without_the_log_no_account_is_made(shared):
    ended = await shared.confide(
        "accounts", "create", "Late", "--role", "client_app", CONFIDE_AUDIT_URI="mongodb://127.0.0.1:1/"
    )
    assert (ended.code, ended.out) == (1, "")
    assert await shared.keys["service_accounts"].find_one({"name": "Late"}) is None
