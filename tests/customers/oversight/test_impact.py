"""The radius of a breach: what was read of whom is counted as the log says it, and people are found by the officer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import (
    AccessQuery,
    AuditUnavailableError,
    Decision,
    Deviation,
    Kind,
    Outcome,
    Reason,
    Record,
    Verdict,
    moment,
)
from customers.errors import ExportNotAllowedError, FilterNotAllowedError
from customers.oversight.history import entries
from customers.oversight.impact import NOT_IN_CATALOGUE, Radius, Reached, radius
from customers.oversight.references import Marks, References, union
from customers.oversight.resolve import EXPORTED, Resolution, resolve
from tests.customers.oversight.policy_changes import changed
from tests.schema.world import AUDITOR, OFFICER, SHIPPED, granted, utc_now

MAIL = "query Mail { profiles { nodes { email phone } } }"
LOOK = "query Look($id: ID!) { profile(id: $id) { givenName email birthDate } }"
FIND = "query Find($value: String!) { profileByIdentifier(type: EMAIL, value: $value) { city } }"


async def people(world):
    """Ada consented to marketing; Bob did not; Cyd has restricted the use of her data."""
    ada = await world.one(1, consents=granted("marketing"), overrides={"region": "emea"})
    bob = await world.one(2, overrides={"region": "amer"})
    cyd = await world.one(3, consents=granted("marketing"), restricted=True, overrides={"region": "emea"})
    return ada, bob, cyd


async def measured(world, **asked):
    query = AccessQuery(since=asked.pop("since", world.since), **asked)
    access = world.access(*AUDITOR)
    return await radius(world.log, access, query, SHIPPED.catalogue, now=utc_now())


def by_field(found):
    return {each.field: each.reached for category in found.categories for each in category.fields}


async def resolved(world, found, who=OFFICER):
    parts = []
    resolution = await resolve(
        found, world.access(*who), parts.append, log=world.log, store=world.store, vault=world.vault, now=utc_now
    )
    return [each for part in parts for each in part], resolution


async def test_what_an_actor_read_is_counted_by_field_and_category(world):
    ada, bob, _ = await people(world)
    for customer in (ada, bob, ada):
        await world.told(LOOK, "support_agent", "customer_service", {"id": customer}, actor="mallory")
    await world.told(FIND, "support_agent", "customer_service", {"value": "person1@mail1.example"}, actor="mallory")
    await world.told(LOOK, "support_agent", "customer_service", {"id": bob}, actor="alice")
    await world.ask(LOOK, "support_agent", "customer_service", {"id": "cus_nobody"}, actor="mallory")
    await world.ask(MAIL, "auditor", "audit", actor="mallory")
    found = (await measured(world, actor="mallory")).result()
    assert (found.customers, found.read, bool(found)) == (2, 4, True)
    assert by_field(found) == {
        "profile.id": Reached(2, 0, 0, 2),
        "profile.given_name": Reached(2, 0, 0, 2),
        "profile.email": Reached(2, 0, 1, 2),  # Ada was found by hers besides
        "profile.birth_date": Reached(0, 2, 0, 2),
        "profile.city": Reached(1, 0, 0, 1),
    }
    assert found.values == 2 + 2 + 2 + 2 + 1
    categories = {each.category: (each.label, each.reached.customers) for each in found.categories}
    assert categories["user.contact.email"] == ("Your e-mail address", 2)
    assert categories["user.contact.address.city"] == ("Your city", 1)
    assert (found.purposes, found.roles) == ({"customer_service": 4}, {"support_agent": 4})
    assert found.outcomes["allowed"] >= 4
    assert found.outcomes["not_found"] >= 1
    times = [each.time for each in await world.records(actor="mallory") if each.subjects]
    assert (found.first, found.last) == (moment(min(times)), moment(max(times)))


async def test_what_was_withheld_for_a_customer_was_not_read(world):
    await people(world)
    await world.told(MAIL, "marketer", "marketing", actor="mia")
    found = (await measured(world, actor="mia")).result()
    # Bob did not consent and Cyd is restricted: of them there is a pseudonym and nothing else.
    assert by_field(found) == {"profile.email": Reached(0, 1, 0, 1), "profile.id": Reached(1, 2, 0, 3)}
    assert "profile.phone" not in by_field(found), "a field that the policy withholds was read of nobody"
    await world.told(MAIL, "sales_rep", "sales", regions=["emea"], actor="sam")
    found = (await measured(world, actor="sam")).result()
    # Ada is in the region, Bob is not, Cyd is restricted.
    assert by_field(found)["profile.email"] == Reached(1, 1, 0, 2)


async def test_refused_and_failed_accesses_and_writes_count_as_nothing_read(world):
    ada, _, _ = await people(world)
    update = 'mutation ($id: ID!) { updateProfile(input: {id: $id, values: {city: "Bremen"}}) { profile { id } } }'
    await world.ask(update, "support_agent", "customer_service", {"id": ada}, actor="wes")
    found = (await measured(world, actor="wes")).result()
    assert found.kinds == {"write": 1, "read": 1}
    assert by_field(found) == {"profile.id": Reached(1, 0, 0, 1)}, "the answer of the write, not the write"
    by_mail = 'query { profileByIdentifier(type: EMAIL, value: "person1@mail1.example") { id } }'
    await world.ask(by_mail, "marketer", "marketing", actor="ron")
    found = (await measured(world, actor="ron")).result()
    assert (found.customers, found.read, found.categories, bool(found)) == (0, 0, (), False)
    assert found.outcomes == {"refused": 1}
    assert (found.first, found.last) == (None, None)


async def test_an_actor_a_client_a_field_and_a_span_can_be_combined(world):
    ada, bob, _ = await people(world)
    for customer in (ada, bob):
        await world.told(LOOK, "support_agent", "customer_service", {"id": customer}, actor="mallory")
    await world.told(FIND, "support_agent", "customer_service", {"value": "person2@mail2.example"}, actor="alice")
    mail = (await measured(world, field="profile.email")).result()
    assert by_field(mail) == {"profile.email": Reached(2, 0, 1, 2)}, "nothing but the field that was named"
    assert mail.purposes == {"customer_service": 3}
    both = (await measured(world, field="profile.email", actor="alice")).result()
    assert by_field(both) == {"profile.email": Reached(0, 0, 1, 1)}
    times = [moment(each.time) for each in await world.records(actor="mallory")]
    first = (await measured(world, actor="mallory", since=times[0], until=times[1])).result()
    assert (first.customers, first.last) == (1, times[0])
    assert (await measured(world, client="test")).result().customers == 2
    assert not (await measured(world, client="other")).result()


async def test_the_officer_finds_the_living_and_nobody_finds_the_erased(world):
    ada, bob, cyd = await people(world)
    for customer in (ada, bob):
        await world.told(LOOK, "support_agent", "customer_service", {"id": customer}, actor="mallory")
    await world.told(MAIL, "marketer", "marketing", actor="mallory")
    await world.erase(bob)
    found = await measured(world, actor="mallory")
    assert found.result().customers == 3, "the log still counts him"
    people_found, resolution = await resolved(world, found)
    assert resolution == Resolution(found=2, refused=0, nobody=1)
    told = {each.customer_id: each.trace for each in people_found}
    assert told.keys() == {ada, cyd}
    assert told[ada].clear == ("user.contact.email", "user.name.first", "user.unique_id.pseudonymous")
    assert told[ada].masked == ("user.demographic.date_of_birth",), (
        "what was also seen in clear is not told as masked"
    )
    assert (told[cyd].clear, told[cyd].masked) == ((), ("user.unique_id.pseudonymous",))
    times = {each.operation: moment(each.time) for each in await world.records(actor="mallory")}
    mailed = times["Mail"]
    looked = min(moment(each.time) for each in await world.records(actor="mallory") if each.operation == "Look")
    assert (told[ada].first, told[ada].last) == (looked, mailed)
    assert (told[cyd].first, told[cyd].last) == (mailed, mailed)
    export = (await world.records(kind=Kind.EXPORT))[-1]
    assert set(export.subjects) == {await world.reference(ada), await world.reference(cyd)}
    assert (export.roles, export.purpose, export.outcome) == (
        ("privacy_officer",),
        "privacy_request",
        Outcome.ALLOWED,
    )
    assert {path for each in export.decisions for path in each.fields} == set(EXPORTED)
    # What was given out is itself something that was read of them.
    assert by_field((await measured(world, actor="test-privacy_officer")).result())["profile.id"].clear == 2


async def test_an_answer_of_nobody_is_recorded_too(world):
    await people(world)
    told, resolution = await resolved(world, await measured(world, actor="nobody"))
    assert (told, resolution) == ([], Resolution(0, 0, 0))
    export = (await world.records(kind=Kind.EXPORT))[-1]
    assert (export.subjects, export.outcome) == ((), Outcome.NOT_FOUND)


@pytest.mark.parametrize("who", [AUDITOR, ("auditor", "privacy_request"), ("administrator", "data_management")])
async def test_nobody_but_the_officer_learns_who_it_was(world, who):
    ada, _, _ = await people(world)
    await world.told(LOOK, "support_agent", "customer_service", {"id": ada}, actor="mallory")
    found = await measured(world, actor="mallory")
    before = len(await world.records())
    with pytest.raises(ExportNotAllowedError, match=r"profile\.id"):
        await resolved(world, found, who)
    assert len(await world.records()) == before
    assert ada not in repr(found.result()), "and the report names nobody"


async def test_customers_whose_rights_forbid_the_stated_purpose_are_counted_and_not_told(world):
    ada, _, cyd = await people(world)
    for customer in (ada, cyd):
        await world.told(LOOK, *OFFICER, {"id": customer}, actor="mallory")
    rules = [f"p, privacy_officer, fraud_prevention, {name}, export, any, allow" for name in ("user", "system.audit")]
    world.policies = changed(add=rules)
    found = await measured(world, actor="mallory")
    told, resolution = await resolved(world, found, ("privacy_officer", "fraud_prevention"))
    assert [each.customer_id for each in told] == [ada]
    assert resolution == Resolution(found=1, refused=1, nobody=0)
    told, resolution = await resolved(world, found)
    assert {each.customer_id for each in told} == {ada, cyd}, "a privacy request may go on under a restriction"


class _Refusing:
    """A log that takes no record."""

    def __init__(self, log):
        self.search = log.search

    async def append(self, _record):
        raise AuditUnavailableError("the access record could not be confirmed")


async def test_what_cannot_be_recorded_is_not_told(world):
    ada, _, _ = await people(world)
    await world.told(LOOK, "support_agent", "customer_service", {"id": ada}, actor="mallory")
    found = await measured(world, actor="mallory")
    world.log, log = _Refusing(world.log), world.log
    try:
        with pytest.raises(AuditUnavailableError):
            await measured(world, actor="mallory")
        parts = []
        with pytest.raises(AuditUnavailableError):
            await resolve(
                found, world.access(*OFFICER), parts.append,
                log=world.log, store=world.store, vault=world.vault, now=utc_now,
            )  # fmt: skip
        assert parts == []
    finally:
        world.log = log


async def test_who_may_not_search_the_log_by_it_counts_nothing(world):
    with pytest.raises(FilterNotAllowedError, match=r"access_entry\.actor"):
        await radius(
            world.log, world.access("executive", "business_reporting"), AccessQuery(actor="x"), SHIPPED.catalogue,
            now=utc_now(),
        )  # fmt: skip


async def test_the_log_is_gone_through_a_page_at_a_time(world):
    ada, _, _ = await people(world)
    for _ in range(5):
        await world.told(LOOK, "support_agent", "customer_service", {"id": ada})
    limits, shares = [], []

    class Small:
        async def search(self, query, *, after=None, limit):
            limits.append(limit)
            return await world.log.search(query, after=after, limit=2)

    query = AccessQuery(since=world.since)
    pages = [page async for page in entries(Small(), query, now=utc_now(), progress=shares.append)]
    assert sum(map(len, pages)) == len(await world.records())
    assert max(map(len, pages)) == 2
    assert set(limits) == {1000}
    assert shares[-1].share == 1.0
    assert [each.share for each in shares] == sorted(each.share for each in shares)


PATHS = ("profile.email", "profile.phone", "profile.id", "profile.gone")
GROUP = st.lists(st.sampled_from(PATHS), unique=True, max_size=4).map(tuple)


@st.composite
def reads(draw):
    """Records of reads of up to six customers, with exceptions."""
    subjects = tuple(draw(st.lists(st.sampled_from([f"{n:022d}" for n in range(6)]), unique=True, max_size=6)))
    paths = draw(st.permutations(PATHS))
    cut = sorted(draw(st.tuples(st.integers(0, 4), st.integers(0, 4))))
    parts = (paths[: cut[0]], paths[cut[0] : cut[1]], paths[cut[1] :])
    decisions = tuple(
        Decision(decision=verdict, fields=tuple(sorted(part)))
        for verdict, part in zip(Verdict, parts, strict=True)
        if part
    )
    apart = []
    if subjects:
        for at in draw(st.lists(st.integers(0, len(subjects) - 1), unique=True, max_size=3)):
            verdict = draw(st.sampled_from([Verdict.WITHHELD, Verdict.MASKED]))
            apart.append(Deviation(decision=verdict, fields=draw(GROUP), reason=Reason.CONSENT, subjects=(at,)))
    return Record(
        actor="a",
        kind=draw(st.sampled_from([Kind.READ, Kind.READ, Kind.EXPORT, Kind.WRITE])),
        outcome=draw(st.sampled_from([Outcome.ALLOWED, Outcome.ALLOWED, Outcome.REFUSED])),
        policy="p",
        purpose="audit",
        roles=("auditor",),
        decisions=decisions,
        exceptions=tuple(apart),
        filters=draw(GROUP),
        subjects=subjects,
        time=f"2026-05-14T09:30:{draw(st.integers(0, 59)):02d}.000000Z",
    )


@settings(max_examples=200, deadline=None)
@given(records=st.lists(reads(), max_size=12), field=st.sampled_from([None, *PATHS]))
def test_the_counts_are_those_of_sets_added_up_by_hand(records, field):
    ways = {}
    for record in records:
        if record.kind is Kind.WRITE or record.outcome is not Outcome.ALLOWED:
            continue
        for at, subject in enumerate(record.subjects):
            told = {path: each.decision for each in record.decisions for path in each.fields}
            told |= {path: each.decision for each in record.exceptions if at in each.subjects for path in each.fields}
            for path in record.filters:
                ways.setdefault((path, "found"), set()).add(subject)
            for path, verdict in told.items():
                if verdict is not Verdict.WITHHELD:
                    ways.setdefault((path, verdict.value), set()).add(subject)
    if field is not None:
        ways = {key: whom for key, whom in ways.items() if key[0] == field}
    counter = Radius(AccessQuery(field=field), SHIPPED.catalogue)
    for record in records:
        counter.add(record)
    found = counter.result()
    assert found.customers == len(set().union(*ways.values()))
    for path in PATHS:
        each = [ways.get((path, way), set()) for way in ("clear", "masked", "found")]
        whole = Reached(*map(len, each), len(set().union(*each)))
        assert by_field(found).get(path, Reached(0, 0, 0, 0)) == whole
    assert ("profile.gone" in by_field(found)) == any(
        category.category == NOT_IN_CATALOGUE for category in found.categories
    )


@given(st.lists(st.integers(0, 5000)), st.lists(st.integers(0, 5000)))
def test_marks_are_sets(some, others):
    one, two = Marks(some), Marks(others)
    both = union([one, two])
    assert (len(one), len(both), bool(one)) == (len(set(some)), len({*some, *others}), bool(some))
    assert all(each in both for each in (*some, *others))
    assert (5001 in both, max((*some, 0)) + 9 in one) == (False, False)


def test_references_are_numbered_once():
    references = References()
    assert [references.number(each) for each in ("b", "a", "b")] == [0, 1, 0]
    assert (references.find("a"), references.find("c"), len(references)) == (1, None, 2)
