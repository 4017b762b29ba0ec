"""People to review in the console: the queue, a case side by side, decisions and how they are undone."""

import re

import pytest

from audit import Kind, Outcome
from customers.identity.review import Finding
from customers.identity.rules import CaseKind
from customers.profiles.provenance import Origin, OriginKind
from tests.schema.world import person
from tests.server.console.test_console_pages import CANARY, RAW, shown

EVIDENCE = {"family_name": "same", "birth_date": "same", "given_name": "typo", "address": "different"}


async def pair(desk, *, left=None, right=None, kind=CaseKind.SIMILAR, evidence=None, **given):
    """Two people and the open case about them."""
    world = desk.world
    number = len(world.ids) * 7 + 20
    ids = await world.create(
        world.draft(person(number, **(left or {}))), world.draft(person(number + 1, **(right or {})), **given)
    )
    world.ids.update({f"pair{number}{each}": each for each in ids})
    await world.reviewer.cases.add([Finding(kind, tuple(sorted(ids)), evidence or EVIDENCE, 0.973)])
    (case,) = [each for each in (await world.reviewer.cases.page(100))[0] if set(each.customers) == set(ids)]
    return case


async def opened(desk, case):
    browser = await desk.steward()
    return await browser.get(f"/console/people/{case.id}")


async def test_the_queue_says_why_there_is_a_case_and_neither_who_nor_how_alike(desk):
    case = await pair(desk, left={"given_name": "Wilhelmina"})
    browser = await desk.steward()
    await browser.get("/console/people")
    assert f"/console/people/{case.id}" in browser.page.text
    assert "Two profiles look alike." in browser.text
    for told in ("Wilhelmina", "W•", "agree", "nearly", "differs", "97.3", *case.customers):
        assert told not in browser.page.text
    newest = (await desk.world.records(actor="kim.data_steward"))[-1]
    assert (newest.operation, newest.kind, newest.subjects) == ("ConsolePeople", Kind.READ, ())


async def test_a_case_shows_both_as_the_role_may_see_them(desk):
    case = await pair(desk, left={"given_name": "Wilhelmina"}, right={"given_name": "Wilhelmine"})
    browser = await opened(desk, case)
    assert browser.status == 200, browser.text
    rows = dict(
        re.findall(
            r"<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">([^<]+)</th>(.*?)</tr>",
            browser.page.text,
            re.DOTALL,
        )
    )
    assert len(re.findall('class="mask', rows["First name"])) == 2
    assert "Wilhelmin" not in browser.page.text, "masked is shown masked"
    assert "nearly" in rows["First name"]
    assert "○</span> Withheld" in rows["National identity number"]
    assert "Not for data steward under identity resolution: no rule allows it." in rows["National identity number"]
    assert "masked" not in rows["Country"]
    assert "DE" in rows["Country"]
    assert "the same but for a slip of the pen" in browser.text
    assert "97.3 %" in browser.text
    newest = (await desk.world.records(actor="kim.data_steward"))[-1]
    assert (newest.operation, len(newest.subjects), newest.case) == ("ConsoleCase", 2, "K-1")
    assert str(newest.purpose) == "identity_resolution"


async def said_by(desk, kind, source):
    """The page of a case about two people, of whom the second was made of what this origin said."""
    world = desk.world
    case = await pair(desk)
    origin = Origin(kind, source, desk.clock())
    number = len(world.ids) * 7 + 20
    async with world.vault.reading():
        (other,) = await world.writer.create(world.access(), [world.draft(person(number))], origin=origin)
    world.ids[f"said{number}"] = other
    ids = (case.customers[0], other)
    await world.reviewer.cases.add([Finding(CaseKind.SIMILAR, ids, EVIDENCE, 0.973)])
    (mine,) = [each for each in await world.reviewer.cases.about([other]) if set(each.customers) == set(ids)]
    return (await opened(desk, mine)), mine


async def test_a_case_says_where_compared_values_came_from_and_warns_of_what_people_said_of_themselves(desk):
    browser, _ = await said_by(desk, OriginKind.EVENT, f"the shop {CANARY}")
    assert "From events of the shop" in browser.text
    assert not RAW.search(browser.page.text)
    assert (
        "Birth date, family name and given name were said by a customer, or by a web page or app that sends events."
        in browser.text
    )
    assert "could say the same" in browser.text
    rows = dict(re.findall(r"role=\"rowheader\">([^<]+)</th>(.*?)</tr>", browser.page.text, re.DOTALL))
    assert len(re.findall(">From |>Where it came", rows["First name"])) == 2
    assert "From" not in rows["National identity number"], "withheld, so that there is one is not told"
    # The negative control: what staff keyed in is nobody's word of themselves.
    browser, _ = await said_by(desk, OriginKind.STAFF, "desk")
    assert "From staff, with desk" in browser.text
    assert "could say the same" not in browser.text


async def test_same_person_joins_them_and_the_page_says_how_to_undo_it(desk):
    case = await pair(desk)
    browser = await opened(desk, case)
    await browser.post(f"/console/people/{case.id}", {"answer": "same", "stays": "b"})
    assert browser.status == 200, browser.text
    assert "Both ids now lead to one profile" in browser.text
    before = await desk.world.store.find(list(case.customers))
    (absorbed,) = [each for each in before if "merged_into" in each]
    assert absorbed["_id"] == case.customers[0], "the one that was named stays"
    (undo,) = browser.links(r"/console/merges/mrg_[^\"]*")
    await browser.get(undo)
    assert "as they were before, to the byte" in browser.text
    assert "by you" in browser.text
    await browser.get("/console/merges")
    assert undo in browser.page.text
    await browser.get(undo)
    await browser.post(f"{undo}/undo")
    assert "Taken apart" in browser.text
    after = await desk.world.store.find(list(case.customers))
    assert not any("merged_into" in each for each in after)
    await browser.post(f"{undo}/undo")
    assert (browser.status, "They were not taken apart" in browser.text) == (409, True)
    # That they are two is decided now; it can be decided again.
    await browser.get(f"/console/people/{case.id}")
    assert "They are one person after all" in browser.text
    await browser.post(f"/console/people/{case.id}", {"answer": "same", "stays": "a"})
    assert (browser.status, "Both ids now lead to one profile" in browser.text) == (200, True)


async def test_different_people_is_remembered_and_changes_neither(desk):
    case = await pair(desk)
    before = await desk.world.store.find(list(case.customers))
    browser = await opened(desk, case)
    await browser.post(f"/console/people/{case.id}", {"answer": "different"})
    assert "Nothing of either was changed" in browser.text
    assert await desk.world.store.find(list(case.customers)) == before
    await browser.get("/console/people?state=apart")
    assert f"/console/people/{case.id}" in browser.page.text
    await browser.post(f"/console/people/{case.id}", {"answer": "different"})
    assert (browser.status, "decided already" in browser.text) == (409, True)
    writes = await desk.world.records(actor="kim.data_steward", kind=Kind.WRITE)
    assert [each.operation for each in writes][-1] == "ConsoleDecideCase"


async def test_later_leads_on_to_the_next_case_and_back_to_the_first(own_desk):
    cases = [await pair(own_desk) for _ in range(3)]
    browser = await opened(own_desk, cases[0])
    order = []
    for _ in range(3):
        await browser.get(browser.links(r"/console/people/\+next\?after=[^\"]*")[0])
        order.append(str(browser.page.url.path).rpartition("/")[2])
    assert order == [cases[1].id, cases[2].id, cases[0].id]
    for case in cases:
        await browser.post(f"/console/people/{case.id}", {"answer": "different"})
    await browser.get("/console/people/+next")
    assert (browser.page.url.path, "Nobody waits for a decision" in browser.text) == ("/console/people", True)


async def test_the_queue_is_filtered_and_goes_on_page_by_page(own_desk):
    world = own_desk.world
    ids = await world.create(*(world.draft(person(number)) for number in range(50, 110)))
    findings = [
        Finding(CaseKind.SIMILAR if at % 2 else CaseKind.ALIAS, (ids[at], ids[at + 1]), EVIDENCE, 0.9)
        for at in range(58)
    ]
    await world.reviewer.cases.add(findings)
    browser = await own_desk.steward()
    for query, expected in (("", 58), ("?kind=alias", 29)):
        seen = set()
        await browser.get(f"/console/people{query}")
        while True:
            assert len(browser.page.content) < 60_000
            seen |= set(browser.links(r"/console/people/cas_[^\"]*"))
            following = browser.links(r"/console/people\?[^\"]*after=[^\"]*")
            if not following:
                break
            await browser.get(following[0])
        assert len(seen) == expected, query
    for query in ("?kind=nonsense", "?state=nonsense", "?after=x"):
        assert (await browser.get(f"/console/people{query}")).status == 404


async def test_somebody_who_restricted_their_data_is_withheld_and_not_joined(desk):
    case = await pair(desk, restricted=True)
    browser = await opened(desk, case)
    assert browser.status == 200
    await browser.post(f"/console/people/{case.id}", {"answer": "same", "stays": "a"})
    assert (browser.status, "Nothing was changed" in browser.text) == (409, True)
    assert not any("merged_into" in each for each in await desk.world.store.find(list(case.customers)))


@pytest.mark.parametrize(
    "role_and_purpose", [("record_keeper", "data_quality"), ("administrator", "data_management")]
)
async def test_who_may_not_join_people_sees_no_case(desk, role_and_purpose):
    case = await pair(desk)
    browser = await desk.keeping(*role_and_purpose)
    for path in ("/console/people", f"/console/people/{case.id}", "/console/people/+next", "/console/merges"):
        await browser.get(path)
        assert (browser.status, "closed to you" in browser.text) == (403, True), path
    await browser.post(f"/console/people/{case.id}", {"answer": "same", "stays": "a"})
    assert browser.status == 403
    records = await desk.world.records(actor=f"kim.{role_and_purpose[0]}", outcome=Outcome.REFUSED)
    assert {"ConsolePeople", "ConsoleCase", "ConsoleMerges", "ConsoleDecideCase"} <= {
        each.operation for each in records
    }
    assert not any("merged_into" in each for each in await desk.world.store.find(list(case.customers)))


async def test_the_journal_shows_merges_of_people_among_however_many_visitors(own_desk):
    entries, now = own_desk.world.main["merges"], own_desk.clock()
    people = {3, 40, 41, 900, 2999}
    rows = [
        {
            "_id": f"mrg_{''.join('abcdefghij'[int(each)] for each in f'{seq:026}')}",
            "seq": seq,
            "kind": "person" if seq in people else "visitor",
            "survivor": f"cus_s{seq}",
            "absorbed": f"cus_a{seq}",
            "state": "merged",
            "actor": "source:till" if seq == 900 else "eve.steward",
            "at": now,
        }
        for seq in range(1, 3001)
    ]
    await entries.insert_many(rows)
    await own_desk.world.main["counters"].update_one({"_id": "merges"}, {"$set": {"value": 3000}}, upsert=True)
    browser, seen, told = await own_desk.steward(), [], ""
    await browser.get("/console/merges")
    while True:
        seen += re.findall(r'<code class="long">(cus_a\d+)</code>', browser.page.text)
        told += browser.text
        following = browser.links(r"/console/merges\?before=\d+")
        if not following:
            break
        await browser.get(following[0])
    assert seen == [f"cus_a{seq}" for seq in sorted(people, reverse=True)]
    assert "somebody else" in told
    assert "source:till" not in told
    assert "eve.steward" not in told


async def test_nothing_that_a_profile_or_a_case_holds_becomes_markup(desk):
    hostile = dict.fromkeys(("given_name", "family_name", "street", "city"), CANARY)
    case = await pair(
        desk,
        left=hostile,
        kind=CaseKind.TWO_PEOPLE,
        evidence={f"compared {CANARY}": f"level {CANARY}"},
    )
    for each in case.customers:  # what the code itself would never have let in
        clear = {"region": CANARY, "country": CANARY, "loyalty_tier": CANARY}
        await desk.world.main["profiles"].update_one({"_id": each}, {"$set": clear})
    browser = await opened(desk, case)
    assert browser.status == 200
    assert shown(browser.page, f"level {CANARY}")
    assert shown(browser.page, CANARY), "the region is shown in clear"
    await browser.get("/console/people")
    assert not RAW.search(browser.page.text)
    for path in (f"/console/people/{CANARY}", f"/console/merges/{CANARY}", f"/console/people?kind={CANARY}"):
        await browser.get(path)
        assert (browser.status, RAW.search(browser.page.text)) == (404, None)


async def test_a_customers_number_never_stands_in_an_address(desk):
    case = await pair(desk)
    browser = await opened(desk, case)
    await browser.post(f"/console/people/{case.id}", {"answer": "same", "stays": "a"})
    await browser.get("/console/merges")
    for page in browser.seen:
        assert "cus_" not in str(page.url)
        assert not re.search(r'(?:href|action)="[^"]*cus_', page.text)
