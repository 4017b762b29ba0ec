"""The matrix that ships, spelled out. A change of rules.csv that changes it must change this file too."""

import pytest

from policies import FieldKind, Scope, Verdict, matrix

CLEAR, MASKED = Verdict.CLEAR, Verdict.MASKED
IDS = {"profile.id", "order.id", "ticket.id", "event.id"}
SUMMARY = {
    f"profile.{name}" for name in ("order_count", "total_spent", "currency", "first_order_at", "last_order_at")
}
ORDERS = {f"order.{name}" for name in ("placed_at", "total", "currency", "units", "status")}
EVENTS = {f"event.{name}" for name in ("type", "name", "at", "received_at", "source")}
SEEN = {f"profile.{name}" for name in ("event_count", "first_event_at", "last_event_at")}
TICKETS = {f"ticket.{name}" for name in ("opened_at", "closed_at", "status", "channel", "topic")}
NAME = {"profile.given_name", "profile.family_name"}
ADDRESS = {"profile.street", "profile.postal_code", "profile.city", "order.shipping_address"}
CONTACT = {"profile.email", "profile.phone", "profile.country"} | ADDRESS
ACCOUNT = {"profile.loyalty_tier", "profile.acquisition_channel", "profile.kind"}
WORDS = {"ticket.subject", "ticket.body"}
PLACE = {"profile.region", "profile.country"}
SYSTEM = {"profile.version", "profile.created_at", "profile.updated_at"}


def seen(policy_set, role, purpose, verdict, scope=Scope.ANY):
    read = policy_set.decide((role,), purpose).read
    return {
        path
        for path, grant in read.items()
        if any((a.verdict, a.scope) == (verdict, scope) for a in grant.alternatives)
    }


def granted(table):
    return {path for path, grant in table.items() if grant}


def personal(policy_set):
    return {path for path, field in policy_set.catalogue.fields.items() if field.category.startswith("user")}


def test_support_sees_who_somebody_is_and_what_they_ordered(shipped):
    clear = seen(shipped, "support_agent", "customer_service", CLEAR)
    assert clear == (
        IDS | NAME | CONTACT | ACCOUNT | SUMMARY | ORDERS | TICKETS | WORDS | PLACE | SYSTEM | EVENTS | SEEN
        | {"profile.identifiers", "profile.language", "profile.consents", "profile.ticket_count", "order.items"}
    )  # fmt: skip
    assert seen(shipped, "support_agent", "customer_service", MASKED) == {"profile.birth_date"}
    assert seen(shipped, "support_agent", "complaint_handling", CLEAR) - clear == {"profile.notes"}
    extra = seen(shipped, "support_agent", "order_support", CLEAR) - clear
    assert extra == {"order.payment_last4", "order.gift_message"}
    for purpose in ("customer_service", "order_support", "complaint_handling"):
        assert not shipped.decide(("support_agent",), purpose).read["profile.national_id"]
        assert not shipped.decide(("support_agent",), purpose).read["profile.traits"]


def test_marketing_sees_a_first_name_and_a_masked_address_and_what_was_bought(shipped):
    for purpose in ("marketing", "email_marketing", "personalisation"):
        assert seen(shipped, "marketer", purpose, CLEAR) == (
            IDS | ACCOUNT | SUMMARY | ORDERS | PLACE | EVENTS | SEEN
            | {"profile.given_name", "profile.language", "profile.consents", "order.items"}
        )  # fmt: skip
        assert seen(shipped, "marketer", purpose, MASKED) == {"profile.email"}
        filters = granted(shipped.decide(("marketer",), purpose).filter)
        assert not filters & {"profile.national_id", "profile.birth_date", "profile.email", "profile.phone"}


def test_nobody_sees_birth_dates_or_national_numbers_for_marketing(shipped):
    everybody = shipped.decide(shipped.roles, "marketing")
    for path in ("profile.birth_date", "profile.national_id"):
        for table in (everybody.read, everybody.filter, everybody.write, everybody.export):
            assert not table[path]
            assert table[path].rule is not None


def test_sales_see_their_region_in_clear_and_the_rest_masked(shipped):
    region = seen(shipped, "sales_rep", "sales", CLEAR, Scope.REGION)
    assert region >= NAME | CONTACT - PLACE | ACCOUNT | SUMMARY | ORDERS
    assert region - (NAME | CONTACT | ACCOUNT | SUMMARY | ORDERS) == {"profile.language", "order.items"}
    masked = seen(shipped, "sales_rep", "sales", MASKED)
    assert masked == region - {"profile.language", "order.items"}
    assert seen(shipped, "sales_rep", "sales", CLEAR) == IDS | PLACE
    written = shipped.decide(("sales_rep",), "sales").write
    assert {a.scope for grant in written.values() for a in grant.alternatives} == {Scope.REGION}


def test_executives_see_levels_counts_and_sums_and_no_names(shipped):
    clear = seen(shipped, "executive", "business_reporting", CLEAR)
    assert clear == IDS | SUMMARY | PLACE | SEEN | {"profile.loyalty_tier", "profile.ticket_count"}
    read = shipped.decide(("executive",), "business_reporting").read
    assert not any(shipped.catalogue.fields[path].sealed for path in granted(read))


@pytest.mark.parametrize(
    ("role", "purpose"),
    [
        ("product_analyst", "analytics"),
        ("inventory_planner", "inventory_planning"),
    ],
)
def test_those_who_count_see_pseudonyms_and_nothing_sealed(shipped, role, purpose):
    read = shipped.decide((role,), purpose).read
    assert seen(shipped, role, purpose, MASKED) == IDS
    assert not any(shipped.catalogue.fields[path].sealed for path in granted(read))


def test_the_privacy_officer_sees_exports_corrects_and_erases_everything_for_a_privacy_request_alone(shipped):
    grant = shipped.decide(("privacy_officer",), "privacy_request")
    assert personal(shipped) <= seen(shipped, "privacy_officer", "privacy_request", CLEAR)
    assert personal(shipped) <= granted(grant.export) & granted(grant.write) & granted(grant.filter)
    assert grant.erase
    for purpose in shipped.purposes.keys() - {"privacy_request", "identity_resolution"}:
        other = shipped.decide(("privacy_officer",), purpose)
        assert not granted(other.read) & personal(shipped)
        assert bool(other.erase) == (purpose == "retention"), "of whom nothing was heard, unseen"


def test_data_stewards_and_privacy_officers_say_who_is_one_person_and_see_no_more_than_that_takes(shipped):
    for role in ("data_steward", "privacy_officer"):
        grant = shipped.decide((role,), "identity_resolution")
        ids = {path for path in shipped.catalogue.fields if path.endswith(".id")} - {"access_entry.id"}
        assert granted(grant.write) == ids | {"profile.identifiers"}
        assert not grant.erase
        assert not granted(grant.export)
        clear = seen(shipped, role, "identity_resolution", CLEAR) & personal(shipped)
        assert clear == ids | {"profile.identifiers", "profile.region", "profile.country"}
    steward = shipped.decide(("data_steward",), "customer_service")
    assert not granted(steward.read) | granted(steward.write)


def test_only_the_privacy_officer_may_erase(shipped):
    erasers = {(r, p) for r in shipped.roles for p in shipped.purposes if shipped.decide((r,), p).erase}
    assert erasers == {("privacy_officer", "privacy_request"), ("privacy_officer", "retention")}


def test_auditors_see_the_log_and_nobody_in_it(shipped):
    grant = shipped.decide(("auditor",), "audit")
    log = {field.path for field in shipped.catalogue.object("access_entry")}
    assert granted(grant.read) == granted(grant.filter) == granted(grant.export) == log
    assert not granted(grant.write)


def test_administrators_see_no_personal_value_whatever_else_they_are(shipped):
    for purpose in shipped.purposes:
        everything = shipped.decide(shipped.roles, purpose)
        for table in (everything.read, everything.filter, everything.write, everything.export):
            assert not granted(table) & personal(shipped)
        assert not everything.erase
    # The control: the same caller without that one role sees much.
    others = shipped.roles.keys() - {"administrator"}
    assert granted(shipped.decide(others, "privacy_request").read) >= personal(shipped)


def test_client_apps_read_write_and_look_up_by_identifiers_each_for_its_purpose(shipped):
    orders = shipped.decide(("client_app",), "order_support")
    looked_up = {"profile.email", "profile.phone", "profile.identifiers"}
    assert looked_up <= granted(orders.filter) & granted(orders.read) & granted(orders.write)
    imports = shipped.decide(("client_app",), "data_import")
    assert personal(shipped) <= granted(imports.write)
    assert granted(imports.read) == IDS | SYSTEM
    assert looked_up <= granted(imports.filter)
    greeting = granted(shipped.decide(("client_app",), "personalisation").read)
    assert not greeting & {"profile.family_name", "profile.email", "profile.birth_date"}


def test_sources_write_everything_of_people_find_them_by_identifiers_and_read_nothing(shipped):
    grant = shipped.decide(("collector",), "data_collection")
    assert granted(grant.write) == personal(shipped)
    assert granted(grant.filter) == IDS | {"profile.email", "profile.phone", "profile.identifiers"}
    assert not granted(grant.read) | granted(grant.export)
    assert not grant.erase
    for purpose in shipped.purposes.keys() - {"data_collection"}:
        assert not granted(shipped.decide(("collector",), purpose).write)


def test_customers_see_everything_of_themselves_and_nothing_of_others(shipped):
    own = seen(shipped, "customer", "self_service", CLEAR, Scope.OWN)
    staff = {"access_entry.actor", "access_entry.client", "access_entry.subjects"}
    assert own == set(shipped.catalogue.fields) - staff
    grant = shipped.decide(("customer",), "self_service")
    for table in (grant.read, grant.filter, grant.write, grant.export):
        assert {a.scope for each in table.values() for a in each.alternatives} == {Scope.OWN}
    for purpose in shipped.purposes.keys() - {"self_service"}:
        assert not granted(shipped.decide(("customer",), purpose).read)


def test_what_nobody_classified_is_read_by_the_person_and_the_privacy_officer_alone(shipped):
    readers = {
        (role, purpose)
        for role in shipped.roles
        for purpose in shipped.purposes
        if shipped.decide((role,), purpose).read["profile.traits"]
    }
    assert readers == {("privacy_officer", "privacy_request"), ("customer", "self_service")}


def test_no_shipped_rule_shows_a_structured_value_masked(shipped):
    """A masked list or JSON value is not of its own type any more; nobody needs to meet one out of the box."""
    structured = {p for p, f in shipped.catalogue.fields.items() if f.kind in (FieldKind.JSON, FieldKind.TEXT_LIST)}
    for role in shipped.roles:
        for purpose in shipped.purposes:
            assert not seen(shipped, role, purpose, MASKED) & structured


def test_every_shipped_role_may_do_something(shipped):
    for role in shipped.roles:
        columns = {
            purpose for purpose in shipped.purposes if role in {r.name for r in matrix(shipped, purpose).roles}
        }
        assert columns
