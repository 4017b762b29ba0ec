"""Exports of the access log over GraphQL: who may, what is recorded, what is in them, whose they are."""

import asyncio
import csv
import io
import json
import os
import zipfile
from dataclasses import replace

import pytest

from audit import AccessReader, Checkpointer, Kind, Outcome, RosterStore, SigningKeys, verify_bundle
from customers.oversight.asking import access_of
from customers.oversight.exports import AccessLogExports
from schema.service import GraphQLService
from tests.audit.sealer import MemorySealer
from tests.schema.canaries import leaks
from tests.schema.world import (
    AUDITOR,
    BUILT,
    CUSTOMER,
    DOCUMENTS,
    OFFICER,
    SUPPORT,
    caller,
    new_world,
    order,
    person,
    ticket,
    utc_now,
)

ALL = "id form stage read of found size sha256 until message url"
START = f"mutation Take($input: ExportAccessLogInput!) {{ exportAccessLog(input: $input) {{ export {{ {ALL} }} }} }}"
STATE = f"query How($id: ID!) {{ accessLogExport(id: $id) {{ {ALL} }} }}"
CANCEL = "mutation Stop($id: ID!) { cancelAccessLogExport(id: $id) { id } }"
LOOK = "query Look($id: ID!) { profile(id: $id) { givenName email birthDate nationalId notes } }"


class Archive:
    """A world whose log is signed and exported."""

    def __init__(self, world, directory):
        self.world = world
        self.directory = directory
        self.keys = SigningKeys(directory / "audit.keys", "main", [MemorySealer()], random=os.urandom)

    async def open(self):
        world = self.world
        self.public = str(await self.keys.create())
        checkpointer = Checkpointer(world.audit, self.keys, now=utc_now)
        await checkpointer.prepare()
        self.exports = AccessLogExports(
            self.directory / "exports",
            AccessReader.over(world.audit, now=utc_now),
            RosterStore.over(world.audit),
            checkpointer,
            world.log,
            now=utc_now,
            random=os.urandom,
            kept=3,
        )
        await self.exports.open()
        world.graphql = GraphQLService(BUILT, DOCUMENTS, replace(world.services, exports=self.exports))
        world.ids["ada"] = await world.one(1, orders=[order(1)], tickets=[ticket(1)])
        world.ids["bob"] = await world.one(2)
        for who in ("ada", "bob", "ada"):
            await world.told(LOOK, *SUPPORT, {"id": world.ids[who]}, actor="=agent()", case="T-1")
        return self

    async def take(self, actor="hugo", **given):
        return await self.world.ask(START, *AUDITOR, {"input": given}, actor=actor, case="AUD-7")

    async def taken(self, actor="hugo", **given):
        """A finished export as GraphQL tells of it."""
        answer = await self.take(actor, **given)
        assert answer.errors is None, answer.errors
        job = answer.data["exportAccessLog"]["export"]["id"]
        async with asyncio.timeout(20):
            while True:
                state = (await self.world.told(STATE, *AUDITOR, {"id": job}, actor=actor))["accessLogExport"]
                if state["stage"] not in ("WAITING", "RUNNING"):
                    assert state["stage"] == "DONE", state
                    return state
                await asyncio.sleep(0.01)

    async def bundle(self, job, actor="hugo"):
        access = access_of(self.world.policies, caller("auditor", actor=actor), "audit")
        return (await self.exports.download(access, job)).path


@pytest.fixture(scope="module")
async def archive(mongo_client, tmp_path_factory):
    directory = tmp_path_factory.mktemp("archive")
    async with new_world(mongo_client, directory) as world:
        made = await Archive(world, directory).open()
        yield made
        await made.exports.close()


def code_of(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


def lines(path, name="records.jsonl"):
    with zipfile.ZipFile(path) as bundle:
        return bundle.read(name)


@pytest.mark.parametrize("form", ["JSONL", "CSV", "OCSF"])
async def test_a_bundle_of_every_form_verifies_with_the_key_and_its_digest_is_told(archive, form):
    state = await archive.taken(form=form)
    path = await archive.bundle(state["id"])
    found = verify_bundle(path, archive.public)
    assert found, found.faults
    assert found.records == found.leaves == state["found"] == state["of"] == state["read"]
    assert path.stat().st_size == state["size"]
    from hashlib import sha256  # noqa: PLC0415 - only here

    assert sha256(path.read_bytes()).hexdigest() == state["sha256"]
    assert (state["form"], state["url"], state["message"]) == (form, f"/exports/{state['id']}", None)
    assert state["until"] > utc_now().isoformat()


async def test_the_export_is_recorded_with_its_conditions_and_is_in_its_own_bundle(archive):
    ada = archive.world.ids["ada"]
    given = {"customer": ada, "case": "T-1", "since": "2020-01-01T00:00:00Z"}
    answer = await archive.take(filter=given)
    entry = answer.extensions["privacy"]["entry"]
    record = (await archive.world.records(kind=Kind.EXPORT))[-1]
    assert (record.actor, record.operation, record.case, record.purpose) == ("hugo", "Take", "AUD-7", "audit")
    assert record.filters == ("access_entry.case", "access_entry.subjects", "access_entry.time")
    assert record.subjects == (await archive.world.reference(ada),)
    assert (record.kind, record.outcome) == (Kind.EXPORT, Outcome.ALLOWED)
    assert ada not in str(record)
    state = await archive.taken(filter={"kind": "EXPORT"})
    assert entry in {json.loads(line)["entry"] for line in lines(await archive.bundle(state["id"])).splitlines()}


async def test_each_condition_of_a_search_is_one_of_an_export(archive):
    world = archive.world
    ada = await world.reference(world.ids["ada"])
    for given, expected in (
        ({"customer": world.ids["ada"], "kind": "READ"}, [ada, ada]),
        ({"actor": "=agent()"}, [ada, await world.reference(world.ids["bob"]), ada]),
        ({"field": "profile.national_id", "outcome": "ALLOWED", "client": "test", "kind": "READ"}, None),
        ({"actor": "nobody"}, []),
    ):
        state = await archive.taken(filter=given)
        found = [json.loads(line)["record"] for line in lines(await archive.bundle(state["id"])).splitlines()]
        assert len(found) == state["found"]
        subjects = sorted(subject for each in found for subject in each["subjects"])
        assert subjects == sorted(expected if expected is not None else subjects)
        assert found or expected == []


async def test_no_sealed_value_and_no_customers_id_is_in_a_bundle_or_beside_it(archive):
    world = archive.world
    texts = [value for value in person(1).values() if isinstance(value, str) and len(value) > 5]
    texts += [*person(1)["notes"], world.ids["ada"], world.ids["bob"], "Hafenweg 1, Bremen", "Where is parcel 1"]
    found = bytearray()
    for form in ("JSONL", "CSV", "OCSF"):
        state = await archive.taken(form=form, filter={"customer": world.ids["ada"]})
        with zipfile.ZipFile(await archive.bundle(state["id"])) as bundle:
            for name in bundle.namelist():
                found += name.encode() + bundle.read(name)
    found += b"".join(each.read_bytes() for each in (archive.directory / "exports").glob("*.json"))
    assert leaks(texts, bytes(found)) == set()
    assert leaks([await world.reference(world.ids["ada"])], bytes(found))  # control


async def test_an_actor_that_looks_like_a_formula_is_none_in_a_table(archive):
    state = await archive.taken(form="CSV", filter={"actor": "=agent()"})
    text = lines(await archive.bundle(state["id"]), "records.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {each["actor"] for each in rows} == {"'=agent()"}


@pytest.mark.parametrize(
    "who", [SUPPORT, OFFICER, CUSTOMER, ("administrator", "audit"), ("auditor", "customer_service")]
)
@pytest.mark.parametrize("step", ["start", "state", "cancel"])
async def test_who_may_not_export_is_refused_and_the_refusal_is_recorded(archive, who, step):
    state = await archive.taken()
    document, variables = {
        "start": (START, {"input": {"filter": {"actor": "mia"}}}),
        "state": (STATE, {"id": state["id"]}),
        "cancel": (CANCEL, {"id": state["id"]}),
    }[step]
    customer = archive.world.ids["ada"] if who is CUSTOMER else None
    answer = await archive.world.ask(document, *who, variables, actor="hugo", customer=customer)
    assert (code_of(answer), answer.data) == (["FORBIDDEN"], None)
    record = (await archive.world.records())[-1]
    assert (record.kind, record.outcome) == (Kind.EXPORT, Outcome.REFUSED)
    assert record.actor == ("customer" if customer else "hugo")
    assert record.filters == (("access_entry.actor",) if step == "start" else ())
    assert "withheld" in {str(each.decision) for each in record.decisions}
    assert await archive.bundle(state["id"])  # control: it is still there


async def test_an_export_without_a_purpose_or_with_one_that_is_not_allowed_is_refused(archive):
    before = len(await archive.world.records(kind=Kind.EXPORT))
    for purpose, code in ((None, "PURPOSE_REQUIRED"), ("fun", "PURPOSE_UNKNOWN")):
        answer = await archive.world.ask(START, "auditor", purpose, {"input": {}})
        assert (code_of(answer), answer.data) == ([code], None)
    narrow = await archive.world.ask(START, *AUDITOR, {"input": {}}, purposes=["marketing"])
    assert code_of(narrow) == ["PURPOSE_NOT_ALLOWED"]
    assert len(await archive.world.records(kind=Kind.EXPORT)) == before


async def test_somebody_elses_export_is_not_found_and_neither_is_one_that_never_was(archive):
    state = await archive.taken()
    answers = []
    for job in (state["id"], "0" * 32, "../../key.ring"):
        for document in (STATE, CANCEL):
            answer = await archive.world.ask(document, *AUDITOR, {"id": job}, actor="otto")
            assert code_of(answer) == ["NOT_FOUND"]
            answers.append(answer.errors[0]["message"])
            record = (await archive.world.records())[-1]
            assert (record.kind, record.outcome, record.actor) == (Kind.EXPORT, Outcome.NOT_FOUND, "otto")
    assert len(set(answers)) == 1
    assert await archive.bundle(state["id"])  # control


async def test_asking_how_far_it_is_is_no_access_of_its_own(archive):
    state = await archive.taken()
    before = len(await archive.world.records())
    for _ in range(5):
        await archive.world.told(STATE, *AUDITOR, {"id": state["id"]}, actor="hugo")
    assert len(await archive.world.records()) == before


async def test_a_cancelled_export_is_gone(archive):
    state = await archive.taken()
    told = await archive.world.told(CANCEL, *AUDITOR, {"id": state["id"]}, actor="hugo")
    assert told == {"cancelAccessLogExport": {"id": state["id"]}}
    assert code_of(await archive.world.ask(STATE, *AUDITOR, {"id": state["id"]}, actor="hugo")) == ["NOT_FOUND"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"filter": {"since": "yesterday"}}, "INPUT_INVALID"),
        ({"filter": {"customer": "cus_nobody"}}, "NOT_FOUND"),
        ({"form": "XLSX"}, "INPUT_INVALID"),
    ],
)
async def test_an_export_that_makes_no_sense_is_not_begun(archive, given, code):
    before = set((archive.directory / "exports").iterdir())
    actor = f"emil-{'-'.join(given)}-{code}"
    answer = await archive.take(actor, **given)
    assert (code_of(answer), answer.data) == ([code], None)
    recorded = [(each.kind, each.outcome.value, each.filters) for each in await archive.world.records(actor=actor)]
    outcome = "not_found" if code == "NOT_FOUND" else "refused"
    path = {"since": "access_entry.time", "customer": "access_entry.subjects"}
    tried = tuple(path[name] for name in given.get("filter", ()))
    assert recorded[-1:] == ([(Kind.EXPORT, outcome, tried)] if tried else [])
    assert set((archive.directory / "exports").iterdir()) == before


async def test_the_entries_of_an_erased_customer_can_be_exported_by_nobody(archive):
    world = archive.world
    cyd = await world.one(3)
    assert (await archive.taken(filter={"customer": cyd}))["found"]
    await world.erase(cyd)
    assert code_of(await archive.take(filter={"customer": cyd})) == ["NOT_FOUND"]


async def test_as_many_exports_as_are_kept_may_be_unfinished_and_no_more(archive, monkeypatch):
    way = asyncio.Event()

    async def waits():
        await way.wait()

    with monkeypatch.context() as slowly:
        slowly.setattr(archive.exports._maker._checkpointer, "checkpoint", waits)
        answers = [await archive.take("nora") for _ in range(4)]
        assert [code_of(each) for each in answers] == [[], [], [], ["CONFLICT"]]
        assert "3 exports" in answers[3].errors[0]["message"]
        refused = (await archive.world.records(actor="nora"))[-1]
        assert (refused.kind, refused.outcome) == (Kind.EXPORT, Outcome.REFUSED)
        for each in answers[:3]:
            job = each.data["exportAccessLog"]["export"]["id"]
            await archive.world.told(CANCEL, *AUDITOR, {"id": job}, actor="nora")


async def test_a_log_that_takes_no_record_means_no_export(mongo_client, tmp_path):
    async with new_world(mongo_client, tmp_path) as world:
        archive = await Archive(world, tmp_path).open()
        await world.log.close()
        answer = await archive.take()
        assert (code_of(answer), answer.data) == (["AUDIT_UNAVAILABLE"], None)
        assert list((tmp_path / "exports").iterdir()) == []
        await archive.exports.close()


async def test_a_server_that_makes_none_says_so(world):
    answer = await world.ask(START, *AUDITOR, {"input": {}})
    assert code_of(answer) == ["FORBIDDEN"]


LIST = f"query Mine {{ accessLogExports {{ {ALL} createdAt }} }}"


async def test_an_actor_sees_their_own_exports_the_newest_first_and_may_end_each(archive):
    for form in ("JSONL", "CSV"):
        await archive.taken(actor="lister", form=form)
    other = await archive.taken(actor="somebody")
    told = await archive.world.told(LIST, *AUDITOR, actor="lister")
    newest, oldest = told["accessLogExports"]
    assert (newest["form"], oldest["form"]) == ("CSV", "JSONL")
    assert newest["createdAt"] > oldest["createdAt"]
    assert newest["stage"] == "DONE"
    assert other["id"] not in str(told), "whose they are not, does not learn of them"
    await archive.world.told(CANCEL, *AUDITOR, {"id": newest["id"]}, actor="lister")
    left = (await archive.world.told(LIST, *AUDITOR, actor="lister"))["accessLogExports"]
    assert [each["id"] for each in left] == [oldest["id"]]
    assert (await archive.world.told(LIST, *AUDITOR, actor="nobody"))["accessLogExports"] == []


@pytest.mark.parametrize("who", [SUPPORT, CUSTOMER, ("auditor", "privacy_request")])
async def test_who_may_not_export_has_no_list_of_exports_and_that_is_recorded(archive, who):
    answer = await archive.world.ask(LIST, *who, actor="nosy")
    assert (code_of(answer), answer.data) == (["FORBIDDEN"], None)
    record = (await archive.world.records(actor="nosy"))[-1]
    assert (record.kind, record.outcome, record.operation) == (Kind.EXPORT, Outcome.REFUSED, "Mine")
