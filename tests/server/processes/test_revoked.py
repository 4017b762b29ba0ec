"""What is revoked is gone with the next request, in every process, once the command has returned."""

import csv
import shutil
from pathlib import Path

import pytest

import policies
from audit import Kind
from tests.server.processes.deployment import NAMES, READER

NAME = "Wilhelmina"
AGENT = ("support_agent", "customer_service")


@pytest.fixture(scope="module")
async def pair(shared, tmp_path_factory):
    """Two servers with policy files of their own, and a customer."""
    shared.rules = tmp_path_factory.mktemp("policies") / "rules.csv"
    shutil.copy(Path(policies.__file__).with_name("rules.csv"), shared.rules)
    shared.environment["CONFIDE_POLICY_DIR"] = str(shared.rules.parent)
    shared.servers = [await shared.serve(), await shared.serve()]
    for server in shared.servers:
        await server.ready()
    shared.customer = await shared.create(shared.servers[0], givenName=NAME, email="wilhelmina@example.org")
    return shared


async def everywhere(site, token, purpose="customer_service"):
    """What each server answers to one who asks for a name."""
    return [await server.ask(NAMES, {"id": site.customer}, token=token, purpose=purpose) for server in site.servers]


async def test_a_revoked_subject_is_refused_by_every_server_with_the_next_request(pair):
    token, other = pair.token("ana", "support_agent"), pair.token("ben", "support_agent")
    for _ in range(2):
        assert [each.status for each in await everywhere(pair, token)] == [200, 200], "not yet revoked"
    ended = await pair.confide("revoke", "--subject", "ana")
    assert ended.code == 0, ended.err
    for answer in await everywhere(pair, token):
        assert answer.status == 401
        assert answer.code == "UNAUTHENTICATED"
        assert answer.data is None
    assert [each.status for each in await everywhere(pair, other)] == [200, 200], "somebody else's token"
    late = await pair.served()
    assert (await late.ask(NAMES, {"id": pair.customer}, token=token, purpose="customer_service")).status == 401
    await late.stop()


async def test_a_disabled_account_is_refused_by_every_server_with_the_next_request(pair):
    made = await pair.confide("accounts", "create", "Web shop", "--role", "client_app", "--purpose", "order_support")
    kept = await pair.confide("accounts", "create", "Help pages", "--role", "client_app")
    assert (made.code, kept.code) == (0, 0)
    secret, other = made.out.strip(), kept.out.strip()
    assert [each.status for each in await everywhere(pair, secret, "order_support")] == [200, 200]
    listed = {each["name"]: each for each in (await pair.confide("accounts", "list")).json}
    assert secret.rpartition("_")[2] not in str(listed)
    ended = await pair.confide("accounts", "disable", listed["Web shop"]["id"])
    assert ended.code == 0, ended.err
    assert [each.status for each in await everywhere(pair, secret, "order_support")] == [401, 401]
    assert [each.status for each in await everywhere(pair, other, "order_support")] == [200, 200]
    assert (await pair.confide("accounts", "disable", "sa_none")).code == 1


def forbid(site, *row):
    """Add a rule; gives the rules as they were."""
    before = site.rules.read_text()
    with site.rules.open("a", newline="") as file:
        csv.writer(file).writerow(row)
    return before


async def test_changed_rules_decide_the_next_request_in_every_server_once_they_were_reloaded(pair):
    token = pair.token("carla", "support_agent")
    before = await everywhere(pair, token)
    assert [each.data["profile"]["givenName"] for each in before] == [NAME, NAME]
    rules = forbid(pair, "p", "support_agent", "customer_service", "user.name", "read", "any", "deny")
    try:
        unloaded = await everywhere(pair, token)
        assert [each.data["profile"]["givenName"] for each in unloaded] == [NAME, NAME], "not yet reloaded"
        ended = await pair.confide("policy", "reload")
        assert ended.code == 0, ended.err
        after = await everywhere(pair, token)
        assert [each.data["profile"]["givenName"] for each in after] == [None, None]
        versions = {each.body["extensions"]["privacy"]["policy"] for each in after}
        assert len(versions) == 1
        assert versions.isdisjoint(each.body["extensions"]["privacy"]["policy"] for each in before)
        changes = [each for each in (await pair.records()).values() if each.kind is Kind.POLICY_CHANGE]
        assert {each.policy for each in changes} == versions
    finally:
        pair.rules.write_text(rules)
    assert (await pair.confide("policy", "reload")).code == 0
    assert [each.data["profile"]["givenName"] for each in await everywhere(pair, token)] == [NAME, NAME]


async def test_broken_rules_are_refused_before_any_server_hears_of_them(pair):
    epochs = await pair.keys["control"].find_one({"_id": "epochs"})
    rules = forbid(pair, "p", "support_agent", "no_such_purpose", "user.name", "read", "any", "deny")
    try:
        ended = await pair.confide("policy", "reload")
        assert ended.code == 1
        assert "nothing was loaded" in ended.err
        assert "rules.csv" in ended.err
        assert await pair.keys["control"].find_one({"_id": "epochs"}) == epochs
        answers = await everywhere(pair, pair.token("dora", "support_agent"))
        assert [each.data["profile"]["givenName"] for each in answers] == [NAME, NAME]
    finally:
        pair.rules.write_text(rules)


async def test_a_server_that_cannot_load_the_new_rules_is_told_of_and_keeps_its_own(pair, tmp_path):
    elsewhere = tmp_path / "policies"
    shutil.copytree(pair.rules.parent, elsewhere)
    third = await pair.served(CONFIDE_POLICY_DIR=str(elsewhere))
    (elsewhere / "rules.csv").write_text("p, nobody\n")
    rules = forbid(pair, "p", "marketer", "customer_service", "user.name", "read", "any", "deny")
    try:
        ended = await pair.confide("policy", "reload")
        assert ended.code == 1
        assert "1 processes still decide by other policies" in ended.err
        answer = await pair.ask(third, READER, NAMES, id=pair.customer)
        assert answer.data["profile"]["givenName"] == NAME
        await third.stop()
        assert (await pair.confide("policy", "reload")).code == 0, "without it all follow"
    finally:
        pair.rules.write_text(rules)


async def test_only_trusted_documents_run_where_that_is_set_and_what_is_removed_does_not_with_the_next_request(pair):
    token = pair.token("dora", "support_agent")
    strict = await pair.served(CONFIDE_TRUSTED_DOCUMENTS_ONLY="true")

    async def asked():
        return await strict.ask(NAMES, {"id": pair.customer}, token=token, purpose="customer_service")

    refused = await asked()
    assert (refused.code, refused.data) == ("PERSISTED_QUERY_ONLY", None)
    files = [pair.rules.with_name("names.graphql"), pair.rules.with_name("broken.graphql")]
    files[0].write_text(NAMES)
    files[1].write_text("query Broken { nothing }")
    broken = await pair.confide("documents", "add", *files)
    assert (broken.code, "Broken: " in broken.err) == (1, True)
    assert (await asked()).code == "PERSISTED_QUERY_ONLY", "all of these or none"
    added = await pair.confide("documents", "add", files[0])
    assert added.code == 0, added.err
    assert (await asked()).data["profile"]["givenName"] == NAME
    removed = await pair.confide("documents", "remove", added.out[:12])
    assert removed.code == 0, removed.err
    assert (await asked()).code == "PERSISTED_QUERY_ONLY"
    said = [each.operation for each in (await pair.records()).values() if each.kind is Kind.ADMIN]
    assert {"confide documents add (1)", f"confide documents remove {added.out[:64]}"} <= set(said)
    await strict.stop()
