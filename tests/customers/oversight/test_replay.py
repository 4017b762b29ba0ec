"""What-if: a changed policy over real accesses says exactly what would have been decided otherwise, and nothing else."""

from datetime import timedelta

import pytest

from audit import AccessQuery, Kind, Outcome
from customers.errors import FilterNotAllowedError, ReadNotAllowedError
from customers.oversight.change import Direction
from customers.oversight.replay import replay, told
from policies import Action
from tests.customers.oversight.policy_changes import changed, without
from tests.schema.world import AUDITOR, OFFICER, SHIPPED, granted, utc_now

MAIL = "query Mail { profiles { nodes { email } } }"
LOOK = "query Look($id: ID!) { profile(id: $id) { givenName email birthDate } }"
BY_COUNTRY = '{ profiles(filter: {country: {equals: "DE"}}) { nodes { country } } }'

MASKED_MAIL = "p, marketer, marketing, user.contact.email, read_masked, any, allow"
SALES_CONTACT = "p, sales_rep, sales, user.contact, read, region, allow"
SUPPORT_CONTACT = "p, support_agent, customer_service, user.contact, read, any, allow"


def number_of(policy, text):
    return next(rule.number for rule in policy.rules if rule.text == text)


async def replayed(world, policy, past=(SHIPPED,), *, until=None, since=None):
    access = world.access(*AUDITOR)
    return await replay(world.log, access, policy, past, since=since or world.since, until=until, now=utc_now())


def rows(found):
    """(records, customers, action, field, from, to) of each group."""
    return [
        (each.records, each.customers, each.change.action, each.change.field, each.change.before, each.change.after)
        for each in found.groups
    ]


async def busy(world):
    """Everything that is done in a day, by several roles, for three customers."""
    ada = await world.one(1, consents=granted("marketing"), overrides={"region": "emea"})
    bob = await world.one(2, overrides={"region": "amer"})
    cyd = await world.one(3, consents=granted("marketing"), restricted=True, overrides={"region": "emea"})
    for customer in (ada, bob, cyd):
        await world.ask(LOOK, "support_agent", "customer_service", {"id": customer})
    await world.ask(LOOK, "support_agent", "customer_service", {"id": "cus_nobody"})
    await world.ask(MAIL, "marketer", "marketing")
    await world.ask(MAIL, "sales_rep", "sales", regions=["emea"])
    await world.ask(MAIL, ["support_agent", "made_up"], "customer_service")
    await world.ask(BY_COUNTRY, "executive", "business_reporting")
    await world.ask(BY_COUNTRY, "auditor", "audit")  # refused
    update = 'mutation ($id: ID!) { updateProfile(input: {id: $id, values: {city: "Bremen"}}) { profile { id } } }'
    await world.ask(update, "support_agent", "customer_service", {"id": ada})
    await world.ask(update, "executive", "business_reporting", {"id": ada})  # refused
    await world.ask("{ me { email } accessLog { nodes { id } } }", "customer", "self_service", customer=ada)
    await world.ask('{ accessLog(filter: {actor: "x"}) { nodes { id actor subjects } } }', *AUDITOR)
    await world.ask("{ accessLog { nodes { id } } }", "marketer", "marketing")  # refused
    await world.erase(bob)
    return ada, bob, cyd


async def test_the_same_policy_over_everything_that_is_done_changes_nothing(world):
    await busy(world)
    for past in ((SHIPPED,), ()):  # whether or not the old policy is at hand
        found = await replayed(world, SHIPPED, past)
        assert rows(found) == []
        assert (found.changed, found.customers, found.directions, bool(found)) == (0, 0, {}, False)
        assert found.roles == {"made_up": 1}
    kinds = {each.kind for each in await world.records()}
    assert kinds >= {Kind.READ, Kind.WRITE, Kind.SEARCH, Kind.ERASURE_INTENT, Kind.ERASURE_DONE}, "the test sees all"
    assert Outcome.REFUSED in {each.outcome for each in await world.records()}


async def test_a_changed_rule_appears_exactly_and_a_customer_who_did_not_consent_stays_out(world):
    await busy(world)
    policy = changed((MASKED_MAIL, MASKED_MAIL.replace("read_masked", "read")))
    found = await replayed(world, policy)
    # Ada alone: Bob did not consent and Cyd is restricted, whatever the policy says.
    assert rows(found) == [(1, 1, Action.READ, "profile.email", "masked", "clear")]
    change = found.groups[0].change
    number = number_of(SHIPPED, MASKED_MAIL)
    assert (change.old_rule, change.new_rule) == (number, number)
    assert (change.roles, change.purpose, change.direction) == (("marketer",), "marketing", Direction.MORE)
    assert (found.changed, found.customers, found.directions) == (1, 1, {Direction.MORE: 1})
    assert found.decided_by == {SHIPPED.version: found.records}


async def test_a_newly_allowed_field_is_not_shown_of_those_whose_rights_forbid_the_purpose(world):
    await busy(world)
    await world.told("query { profiles { nodes { phone loyaltyTier } } }", "marketer", "marketing")
    policy = changed(add=["p, marketer, marketing, user.contact.phone_number, read, any, allow"])
    assert rows(await replayed(world, policy)) == [(1, 1, Action.READ, "profile.phone", "withheld", "clear")]


async def test_a_denied_field_appears_with_the_rule_that_denies_and_the_most_changed_comes_first(world):
    await busy(world)
    deny = "p, *, customer_service, user.demographic.date_of_birth, *, any, deny"
    policy = changed((SUPPORT_CONTACT, SUPPORT_CONTACT.replace("read,", "read_masked,")), add=[deny])
    found = await replayed(world, policy)
    assert [row for row in rows(found) if row[2] is Action.READ] == [
        # Ada, Bob and nobody: Cyd has restricted the use of her data, so nothing would have been otherwise for her.
        (3, 2, Action.READ, "profile.birth_date", "masked", "withheld"),
        (3, 2, Action.READ, "profile.email", "clear", "masked"),
        (1, 2, Action.READ, "profile.email", "clear", "masked"),  # the page, by one with another role besides
    ]
    assert found.groups[0].change.new_rule == number_of(policy, deny)
    assert found.groups[2].change.roles == ("made_up", "support_agent")
    assert found.directions == {Direction.LESS: 4}
    assert found.customers == 2, "each counts once over all groups"


async def test_a_wider_row_scope_changes_what_was_out_of_scope_and_a_narrower_one_what_was_everywhere(world):
    await busy(world)
    wider = await replayed(world, changed((SALES_CONTACT, SALES_CONTACT.replace("region", "any"))))
    # Bob, in another region, was masked; Ada's address was clear and stays so; Cyd is restricted.
    assert rows(wider) == [(1, 1, Action.READ, "profile.email", "masked out of scope", "clear")]
    narrow = changed((SUPPORT_CONTACT, SUPPORT_CONTACT.replace("any", "region")))
    found = await replayed(world, narrow)
    assert {row[2:] for row in rows(found)} == {(Action.READ, "profile.email", "clear", "clear in own regions")}
    unknown = await replayed(world, narrow, past=())
    assert rows(unknown) == [], "the record does not say a rule's scope"
    assert unknown.scopes_unknown == unknown.compared, "and the report says that it does not know"
    assert found.scopes_unknown == 0


@pytest.mark.parametrize("past", [(SHIPPED,), ()], ids=["old policy at hand", "old policy lost"])
async def test_filters_that_would_have_been_allowed_or_refused_appear(world, past):
    await busy(world)
    rule = "p, executive, business_reporting, user.contact.address.country, filter, any, allow"
    gone = await replayed(world, changed((rule, "# gone")), past)
    assert rows(gone) == [(1, 2, Action.FILTER, "profile.country", "allowed", "refused")]
    assert gone.groups[0].change.new_rule is None
    policy = changed(add=["p, auditor, audit, user.contact.address.country, filter, any, allow"])
    came = await replayed(world, policy, past)
    assert rows(came) == [(1, 0, Action.FILTER, "profile.country", "refused", "allowed")]
    assert came.groups[0].change.direction is Direction.MORE


async def test_of_a_refusal_with_several_filters_the_old_policy_alone_tells_which_it_was(world):
    both = '{ profiles(filter: {country: {equals: "DE"}, loyaltyTier: {equals: "gold"}}) { nodes { country } } }'
    await world.ask(both, "inventory_planner", "inventory_planning")  # may filter by country only
    policy = changed(add=["p, inventory_planner, inventory_planning, user.account.loyalty, filter, any, allow"])
    known = await replayed(world, policy)
    assert rows(known) == [(1, 0, Action.FILTER, "profile.loyalty_tier", "refused", "allowed")]
    lost = await replayed(world, policy, past=())
    assert (rows(lost), lost.filters_unknown, known.filters_unknown) == ([], 1, 0)


async def test_writes_and_erasures_that_would_have_been_refused_appear(world):
    await busy(world)
    write = "p, support_agent, customer_service, user.contact, write, any, allow"
    erase = "p, privacy_officer, privacy_request, user, erase, any, allow"
    found = await replayed(world, changed((write, "# gone"), (erase, "# gone")))
    assert rows(found) == [
        (1, 1, Action.WRITE, "profile.city", "allowed", "refused"),
        (1, 0, Action.ERASE, "user", "allowed", "refused"),
    ]


async def test_what_the_new_policy_does_not_know_is_counted_and_told(world):
    await busy(world)
    found = await replayed(world, without("business_reporting", "purposes.toml"))
    assert found.purposes == {"business_reporting": 1}, "of the refused write no field is recorded"
    assert rows(found) == [(1, 2, Action.READ, None, "allowed", "unknown purpose")]
    found = await replayed(world, without("executive", "roles.toml"))
    assert found.roles == {"executive": 1, "made_up": 1}
    assert (1, 2, Action.READ, "profile.country", "clear", "withheld") in rows(found)
    found = await replayed(world, without("profile.birth_date", "catalogue.toml"))
    assert found.fields == {"profile.birth_date": 7}, "three were written"
    assert rows(found) == [
        (3, 3, Action.WRITE, "profile.birth_date", "allowed", "unknown field"),
        (3, 2, Action.READ, "profile.birth_date", "masked", "unknown field"),
    ]


async def test_the_span_begins_with_its_first_moment_and_ends_before_its_last(world):
    await busy(world)
    records = [each for each in await world.records() if each.operation == "Look"]
    times = [each.time for each in records]
    from audit import moment  # noqa: PLC0415 - only here

    policy = changed((SUPPORT_CONTACT, "# gone"))
    found = await replayed(world, policy, since=moment(times[0]), until=moment(times[2]))
    assert (2, 2, Action.READ, "profile.email", "clear", "withheld") in rows(found)
    found = await replayed(world, policy, since=moment(times[2]) + timedelta(microseconds=1))
    assert (1, 0, Action.READ, "profile.email", "clear", "withheld") in rows(found), "the one of nobody"


async def test_a_replay_is_recorded_as_a_search_before_its_report_is_given(world):
    await busy(world)
    await replayed(world, SHIPPED)
    record = (await world.records(kind=Kind.SEARCH))[-1]
    assert (record.roles, record.purpose, record.outcome) == (("auditor",), "audit", Outcome.ALLOWED)
    assert record.filters == ("access_entry.time",)
    shown = {path for each in record.decisions if each.decision == "clear" for path in each.fields}
    assert {"access_entry.roles", "access_entry.fields", "access_entry.subjects"} <= shown


async def test_who_may_not_read_the_log_replays_nothing(world):
    await busy(world)
    before = len(await world.records())
    access = world.access("marketer", "marketing")
    with pytest.raises(FilterNotAllowedError):
        await replay(world.log, access, SHIPPED, (), since=world.since, until=None, now=utc_now())
    narrow = changed(add=["p, *, audit, system.audit.subject, read, any, deny"])
    world.policies = narrow
    with pytest.raises(ReadNotAllowedError, match=r"access_entry\.subjects"):
        await replayed(world, SHIPPED)
    world.policies = SHIPPED
    assert len(await world.records()) == before
    found = await world.log.search(AccessQuery(since=world.since))
    assert len(found.entries) == min(before, 50)


async def test_the_officer_may_replay_too(world):
    access = world.access(OFFICER[0], "audit")
    found = await replay(world.log, access, SHIPPED, (), since=world.since, until=None, now=utc_now())
    assert found.records == 0


def test_fewer_than_eleven_customers_are_not_counted_out():
    assert [told(number) for number in (0, 1, 10, 11, 12)] == ["fewer than 11"] * 3 + [11, 12]
