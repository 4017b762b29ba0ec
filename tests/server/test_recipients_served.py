"""Recipients on a whole platform: the commands, the worker's part, and what a person is shown of them."""

import asyncio
import io
import json
import zipfile

from typer.testing import CliRunner

from audit import AccessQuery
from audit import Kind as RecordKind
from customers.outgoing import Allowed
from customers.rights.recipients import Recipient, RecipientKind
from schema.service import Asked, GraphQLService
from server.cli import recipients as commands
from server.cli.running import operator
from server.recipients import recipients, tell_recipients
from tests.customers.outgoing.answering import always, answering, response
from tests.schema.world import BUILT, DOCUMENTS, caller
from tests.server.test_nothing_left import access, create, opened

TOLD = "{ myRecipients { name fields } myRecipientNotices { recipient kind state fields toldAt entry } }"
FIELDS = ("profile.city", "profile.email")


async def added(platform, server):
    made = Recipient("paper", RecipientKind.WEBHOOK, server.url("/told"), ("email",), FIELDS, platform.now())
    return await recipients(platform).add(made, Allowed([server.url("")]))


async def corrected(platform, email="zqfirst@canary.example"):
    [mine] = await create(platform, ({"email": email, "city": "Kiel"}, [], [], []))
    async with platform.vault.reading():
        support = access(platform, "support_agent", "customer_service")
        await platform.services.writer.update(support, mine, {"city": "Ulm"})
    return mine


async def asked(platform, query, who, purpose="self_service"):
    service = GraphQLService(BUILT, DOCUMENTS, platform.services)
    return await service.answer(Asked(query, None, None, purpose, None, None), who)


async def test_the_worker_tells_recipients_and_a_person_sees_who_was_told(
    mongo_uri, mongo_client, tmp_path, monkeypatch
):
    async with (
        opened(mongo_uri, tmp_path, mongo_client) as platform,
        answering(always(response())) as server,
    ):
        monkeypatch.setattr("server.recipients.allowed_hosts", lambda _: Allowed([server.url("")]))
        await added(platform, server)
        mine = await corrected(platform)

        async def tried(job):
            await job()

        working = asyncio.create_task(tell_recipients(platform, tried, look_seconds=0.05))
        person = caller("customer", customer=mine)
        answer = await asked(platform, TOLD, person)
        while answer.data["myRecipientNotices"][0]["state"] != "TOLD":
            await asyncio.sleep(0.1)
            answer = await asked(platform, TOLD, person)
        working.cancel()
        assert answer.errors is None
        assert answer.data["myRecipients"] == [{"name": "paper", "fields": list(FIELDS)}]
        [told] = answer.data["myRecipientNotices"]
        assert (told["recipient"], told["kind"], told["fields"]) == ("paper", "RECTIFICATION", ["profile.city"])
        assert told["toldAt"] is not None
        async with platform.vault.reading():
            [shown] = await recipients(platform).told_of(access(platform, "privacy_officer", "privacy_request"), mine)
        assert shown.receipt.entry == told["entry"]
        own = access(platform, "privacy_officer", "privacy_request")
        made = await platform.copies.make(own, mine)
        async with platform.vault.reading():
            copy = b"".join(await platform.copies.parts(own, mine, made))
        [given] = json.loads(zipfile.ZipFile(io.BytesIO(copy)).read("recipients.json"))
        assert (given["recipient"], given["data"]) == ("paper", ["E-mail address", "City"])


async def test_nobody_is_shown_what_was_told_of_somebody_else(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform, answering(always(response())) as server:
        await added(platform, server)
        mine = await corrected(platform)
        other = await corrected(platform, "zqother@canary.example")
        query = f'{{ recipientNotices(customer: "{mine}") {{ recipient }} }}'
        officer = await asked(platform, query, caller("privacy_officer"), "privacy_request")
        assert officer.data == {"recipientNotices": [{"recipient": "paper"}]}
        for who, purpose in ((caller("customer", customer=other), "self_service"), (caller("marketer"), "marketing")):
            answer = await asked(platform, query, who, purpose)
            assert (answer.data, bool(answer.errors)) == (None, True)
        restricts = f'recordConsent(id: "{mine}", choice: RESTRICTED, consent: {{purpose: "*", source: "portal"}})'
        own = caller("customer", customer=mine)
        done = await asked(platform, f"mutation {{ {restricts} {{ __typename }} }}", own)
        assert done.errors is None
        shown = await asked(platform, "{ myRecipientNotices { kind } }", own)
        assert {each["kind"] for each in shown.data["myRecipientNotices"]} == {"RECTIFICATION", "RESTRICTION"}
        staff = await asked(platform, TOLD, caller("privacy_officer"), "privacy_request")
        assert staff.errors[0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_commands_add_list_disable_and_retry_and_each_is_recorded(
    mongo_uri, mongo_client, tmp_path, monkeypatch
):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        works = []

        def keeping(work):
            works.append(work)
            return []

        async def run(*arguments):
            """What a command is asked to do, done on this platform."""
            monkeypatch.setattr(commands, "with_platform", keeping)
            result = CliRunner().invoke(commands.app, list(arguments))
            assert result.exit_code == 0, result.output
            return await works.pop()(platform)

        url = ["--url", "https://paper.example/told"]
        only = ["--purpose", "marketing", "--purpose", "sales", "--source", "demo"]
        secret = await run("add", "paper", *url, "--known-by", "email", "--field", "profile.city", *only)
        assert secret.startswith("whsec_")
        [found] = await run("list")
        assert (found.name, found.known_by, found.fields) == ("paper", ("email",), ("profile.city",))
        assert (found.purposes, found.sources) == (("marketing", "sales"), ("demo",))
        await platform.main["recipients"].update_one({}, {"$unset": {"sources": ""}})
        await corrected(platform)
        nobody = tmp_path / "proof.pem"
        nobody.write_text("zq")
        refused = CliRunner().invoke(
            commands.app,
            ["add", "other", *url, "--known-by", "email", "--kind", "opendsr", "--certificate", str(nobody)],
        )
        assert "in PEM" in str(refused.exception)
        assert "zq" not in str(refused.exception)
        [waiting] = await run("deliveries", "--recipient", "paper", "--state", "waiting")
        await run("disable", "paper")
        await run("retry", waiting.delivery.id)
        printed = commands._followed(waiting)
        assert json.loads(json.dumps(printed))["fields"] == ["profile.city"]
        assert not {"sealed", "customer_id"} & set(printed)
        told = (await platform.log.search(AccessQuery(actor=operator()), limit=50)).entries
        operations = {each.record.operation for each in told if each.record.kind is RecordKind.ADMIN}
        assert operations == {
            "confide recipients add paper",
            "confide recipients disable paper",
            f"confide recipients retry {waiting.delivery.id}",
        }
