"""The rules of who is who: whatever comes in whatever order, nobody is fused who is known to be two."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.identity import rules
from customers.identity.model import Identifier, IdentifierType
from customers.identity.register import Register
from customers.identity.rules import (
    LIMITS,
    MAX_PARTS,
    CaseKind,
    Identified,
    Person,
    blocked,
    decide,
    usable,
)

EXTERNAL, EMAIL, PHONE, ANONYMOUS = rules.PRIORITY


def one(kind, value):
    return Identifier(kind, value)


USERS = st.builds(one, st.just(EXTERNAL), st.sampled_from(["user:1", "user:2", "user:3", "crm:1", "crm:2"]))
EMAILS = st.builds(one, st.just(EMAIL), st.sampled_from([f"{each}@m.example" for each in "abc"]))
PHONES = st.builds(one, st.just(PHONE), st.sampled_from(["+4915112345678", "+4915112345679"]))
DEVICES = st.builds(one, st.just(ANONYMOUS), st.sampled_from("pqrs"))
ANY = st.one_of(USERS, EMAILS, PHONES, DEVICES)
ITEMS = st.builds(
    Identified,
    st.lists(ANY, min_size=1, max_size=4).map(tuple),
    st.one_of(st.just(()), st.one_of(USERS, DEVICES).map(lambda each: (each,))),
    st.booleans(),
)


class Town:
    """People as they become batch by batch, as a database would keep them."""

    def __init__(self):
        self.people, self.into, self.count = {}, {}, 0

    def batch(self, items):
        register = Register.of(self.people.values())
        placed = [register.place(item) for item in items]
        names = {}
        for each in register.made:
            self.count += 1
            names[each] = f"person {self.count}"
        self.into |= {each: names.get(into, into) for each, into in register.absorbed.items()}
        self.people = {
            names.get(each.id, each.id): Person(
                names.get(each.id, each.id), each.own, each.inherited, each.parts, each.restricted
            )
            for each in register.people.values()
        }
        self.cases = [
            (each.kind, tuple(sorted(names.get(customer, customer) for customer in each.customers)))
            for each in register.cases
        ]
        settled = (None if each is None else register.settled(each) for each in placed)
        return [None if each is None else names.get(each, each) for each in settled]

    def owner(self, identifier):
        found = [each.id for each in self.people.values() if identifier in each.identifiers]
        assert len(found) <= 1, "an identifier has one owner"
        return found[0] if found else None


def systems(person):
    return [each.value.partition(":")[0] for each in person.identifiers if each.type is EXTERNAL]


@settings(max_examples=400)
@given(st.lists(st.lists(ITEMS, min_size=1, max_size=4), max_size=8))
def test_no_sequence_of_events_joins_two_people_who_are_known_to_be_two(batches):
    town = Town()
    for batch in batches:
        known = {each.id: each for each in town.people.values() if each.identified}
        town.batch(batch)
        for person in town.people.values():
            assert len(systems(person)) == len(set(systems(person))), "two external ids of one system"
        for customer, person in known.items():
            assert customer in town.people, "somebody identified is never absorbed"
            kept = {each for each in person.identifiers if each.type is not ANONYMOUS}
            assert kept <= set(town.people[customer].identifiers), "nobody loses what says who they are"
        for identifier in {each for item in batch for each in item.all}:
            town.owner(identifier)


def test_joining_by_any_shared_identifier_is_what_that_test_would_notice(monkeypatch):
    """Negative control: the rule that most tools have, whoever is named with somebody is them."""
    monkeypatch.setattr(Person, "contradicts", lambda _self, _claimed: False)
    monkeypatch.setattr(rules, "_over_limit", lambda *_: False)
    town = Town()
    a = one(EMAIL, "a@m.example")
    town.batch([Identified((one(EXTERNAL, "user:1"), a))])
    town.batch([Identified((one(EXTERNAL, "user:2"), a))])
    assert [systems(each) for each in town.people.values()] == [["user", "user"]]


@settings(max_examples=200)
@given(st.lists(st.tuples(USERS, st.lists(st.one_of(EMAILS, PHONES, DEVICES), max_size=3)), max_size=5), st.data())
def test_an_event_that_names_an_external_id_is_that_ids_in_any_order(said, data):
    items = [Identified((user, *others)) for user, others in said]
    order = data.draw(st.permutations(range(len(items))))
    town = Town()
    placed = {at: town.batch([items[at]])[0] for at in order}
    again = town.batch(items)
    for at, (user, _) in enumerate(said):
        assert placed[at] == again[at] == town.owner(user)
    assert town.batch([Identified((user,)) for user, _ in said]) == again


@settings(max_examples=200)
@given(st.lists(ITEMS, max_size=8), st.data())
def test_how_events_are_cut_into_batches_changes_nothing_of_who_is_who(items, data):
    together, apart = Town(), Town()
    whole = together.batch(items)
    cuts = data.draw(st.lists(st.integers(0, len(items)), max_size=3).map(sorted))
    parts = [items[start:end] for start, end in zip([0, *cuts], [*cuts, len(items)], strict=True)]
    cut = [each for part in parts for each in apart.batch(part)]
    named = [apart.into.get(each, each) for each in cut]
    while named != (named := [apart.into.get(each, each) for each in named]):
        pass
    assert [[left == right for left in whole] for right in whole] == [
        [left == right for left in named] for right in named
    ]


def person(name, *identifiers, **given):
    return Person(name, identifiers, **given)


def owners(*people):
    return {each: person for person in people for each in person.identifiers}


USER, MAIL, DEVICE = one(EXTERNAL, "user:1"), one(EMAIL, "a@m.example"), one(ANONYMOUS, "p")


def test_the_highest_kind_says_whose_it_is_and_the_others_stay_with_their_owners():
    ada, eve = person("ada", USER), person("eve", MAIL)
    found = decide(Identified((DEVICE, MAIL, USER)), owners(ada, eve))
    assert (found.person, found.add, found.absorb) == ("ada", (DEVICE,), ())
    assert found.cases == ((CaseKind.TWO_PEOPLE, "eve", EMAIL),)


def test_an_address_finds_its_owner_who_gets_an_external_id_unless_they_have_another_of_that_system():
    assert decide(Identified((USER, MAIL)), owners(person("eve", MAIL))).person == "eve"
    assert decide(Identified((USER, MAIL)), owners(person("eve", MAIL, one(EXTERNAL, "crm:9")))).person == "eve"
    found = decide(Identified((USER, MAIL)), owners(person("eve", MAIL, one(EXTERNAL, "user:9"))))
    assert (found.person, found.add, found.cases) == (None, (USER,), ((CaseKind.TWO_PEOPLE, "eve", EMAIL),))


def test_a_device_of_somebody_identified_says_nothing_beside_what_says_who():
    ada = person("ada", one(EXTERNAL, "user:9"), DEVICE)
    found = decide(Identified((USER, DEVICE)), owners(ada))
    assert (found.person, found.add, found.cases) == (None, (USER,), ())
    assert decide(Identified((DEVICE,)), owners(ada)).person == "ada"
    by_mail = person("eve", MAIL, DEVICE)
    found = decide(Identified((USER, DEVICE)), owners(by_mail))
    assert (found.person, found.cases) == (None, ((CaseKind.TWO_PEOPLE, "eve", ANONYMOUS),))


def test_an_alias_never_joins_two_people_but_finds_visitors():
    ada, eve = person("ada", USER), person("eve", one(EXTERNAL, "user:2"))
    previous = (one(EXTERNAL, "user:2"), one(ANONYMOUS, "user-2"))
    found = decide(Identified((USER,), previous), owners(ada, eve))
    assert (found.person, found.absorb, found.cases) == ("ada", (), ((CaseKind.ALIAS, "eve", EXTERNAL),))
    found = decide(Identified((one(EXTERNAL, "user:3"),), previous), owners(eve))
    assert (found.person, found.add) == (None, (one(EXTERNAL, "user:3"),))
    visitor = person("visitor", one(ANONYMOUS, "user-2"))
    assert decide(Identified((USER,), previous), owners(ada, visitor)).absorb == ("visitor",)
    assert decide(Identified((one(EXTERNAL, "user:3"),), previous), owners(visitor)).person == "visitor"
    assert decide(Identified((USER,), previous), owners(ada)).add == (one(ANONYMOUS, "user-2"),)


def test_nobody_is_made_of_more_parts_than_can_be_read():
    full = person("ada", USER, parts=MAX_PARTS)
    found = decide(Identified((USER, DEVICE)), owners(full, person("visitor", DEVICE)))
    assert (found.person, found.absorb) == ("ada", ())
    room = person("ada", USER, parts=MAX_PARTS - 1)
    assert decide(Identified((USER, DEVICE)), owners(room, person("visitor", DEVICE))).absorb == ("visitor",)


def test_limits_count_what_a_person_has_of_all_their_profiles():
    most = LIMITS[EMAIL]
    mails = [one(EMAIL, f"{number}@m.example") for number in range(most)]
    ada = Person("ada", (USER, *mails[:2]), tuple(mails[2:]), 1)
    found = decide(Identified((USER, one(EMAIL, "x@m.example"))), owners(ada))
    assert (found.add, found.declined) == ((), (one(EMAIL, "x@m.example"),))
    assert found.cases == ((CaseKind.OVER_LIMIT, None, EMAIL),)
    less = Person("ada", (USER, *mails[:2]), tuple(mails[2:-1]), 1)
    assert decide(Identified((USER, one(EMAIL, "x@m.example"))), owners(less)).declined == ()


@pytest.mark.parametrize(
    "value", ["null", "Anonymous", "UNDEFINED", "0", "000-000", "[object Object]", " none", "-1"]
)
def test_what_programs_write_where_they_know_nothing_means_nobody(value):
    assert blocked(one(ANONYMOUS, value.strip()))
    assert blocked(one(EXTERNAL, f"user:{value}"))
    assert blocked(one(EMAIL, "no-reply@shop.example"))
    assert blocked(one(PHONE, "+10000000000"))
    assert not blocked(one(EXTERNAL, "user:7"))
    assert not blocked(one(EMAIL, "ada@null.example"))
    assert not blocked(one(PHONE, "+442079460018"))


def test_identifiers_come_in_the_order_of_their_kinds_however_they_were_named():
    named = [USER, MAIL, one(PHONE, "+4915112345678"), DEVICE]
    assert {usable(each) for each in permutations([*named, DEVICE])} == {tuple(named)}


def test_what_says_nothing_is_nobodys():
    assert decide(Identified(()), {}) is None
    assert decide(Identified((), (DEVICE,)), {}) is None
    assert decide(Identified((one(ANONYMOUS, "null"),)), {}) is None
    assert IdentifierType.ANONYMOUS_ID is ANONYMOUS


@given(st.lists(ITEMS, max_size=6), ITEMS)
def test_what_is_all_one_persons_is_theirs_as_the_rules_would_have_it(items, item):
    """The shorter way that nearly every event takes gives what the longer one gives."""
    town = Town()
    town.batch(items)
    found = {each: town.people[owner] for each in item.all if (owner := town.owner(each)) is not None}
    decision = decide(item, found)
    whose = {found[each].id if each in found else None for each in item.claimed}
    if len(whose) == 1 and None not in whose and not item.earlier:
        assert decision == rules.Decision(found[item.claimed[0]].id)
        assert town.batch([item]) == [decision.person]
