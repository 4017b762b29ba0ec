"""Privacy requests in the console: the queue with its clocks, every step, two persons, and what is escaped."""

import re
from datetime import timedelta

from tests.schema.world import order, person, ticket

REQUESTS = "/console/requests"
_DRAFTS = iter(range(300, 400))


async def opened(desk, browser, kind="ERASURE", held=None, **typed):
    """A request of somebody new, taken in on the console."""
    customer = await desk.world.one(next(_DRAFTS), **(held or {}))
    await browser.get(f"{REQUESTS}/+new")
    await browser.post(f"{REQUESTS}/+new", {"number": customer, "kind": kind, "regime": "GDPR", **typed})
    assert browser.status == 200, browser.text
    return customer, browser.page.url.path


async def step(browser, address, what, **typed):
    await browser.get(address)
    return await browser.post(address, {"do": what, **typed})


async def test_a_request_goes_from_its_receipt_to_its_end_by_the_pages_alone(desk):
    browser = await desk.officer()
    _, address = await opened(desk, browser, "RESTRICTION", reason="The address is not mine.")
    assert "The request is taken in" in browser.text
    assert "The address is not mine." in browser.text
    assert "due in" in browser.text
    await step(browser, address, "confirm", how="CONTACT")
    assert "They answered at an address we knew" in browser.text
    await step(browser, address, "extend", reason="COMPLEXITY")
    assert "Extended: it is complex" in browser.text
    await step(browser, address, "hold")
    assert "under legal hold" in browser.text
    await step(browser, address, "release")
    await step(browser, address, "begin")
    await step(browser, address, "complete")
    assert "Completed. Tell the person." in browser.text
    assert "Proof kept until" in browser.text
    for told in (
        "Came in",
        "Work began",
        "Extended; the person was told",
        "Put under legal hold",
        "Legal hold lifted",
    ):
        assert told in browser.text
    assert len(browser.links(r"/console/audit/[0-9a-f]+\.[0-9]+")) >= 7
    # Control: nothing more can be done with it.
    await step(browser, address, "begin")
    assert browser.status == 409
    assert "The request is completed." in browser.text


async def test_an_erasure_takes_two_persons_and_the_word_and_ends_with_a_certificate(own_desk):
    desk = own_desk
    first, second = await desk.officer(), await desk.officer(actor="gro.second")
    held = {"orders": (order(1), order(2, status="cancelled"), order(3)), "tickets": (ticket(1),)}
    customer, address = await opened(desk, first, held=held)
    await step(first, address, "confirm", how="DOCUMENT")
    await step(first, address, "begin")
    # What this person has, and what of it stays: the cancelled order was no business.
    assert "1 profile, 3 orders and 1 support request" in first.text
    assert re.search(r"Invoices: of 2 orders [^;]*until 20\d\d-\d\d-\d\d \(.*HGB § 257", first.text)
    assert (await desk.world.records(kind="read"))[-1].operation == "ConsoleErasurePreview"
    await step(first, address, "complete", word="yes")
    assert first.status == 400
    await step(first, address, "complete", word="erase")
    assert "You agreed. A second person has to complete it" in first.text
    # Control: the first cannot be the second as well.
    await step(first, address, "complete", word="erase")
    assert first.status == 409
    assert "A second person must complete this request" in first.text
    await step(second, address, "complete", word="ERASE")
    assert "Completed: they are erased." in second.text, second.text
    assert re.search(r'href="/certificates/[a-z0-9_]+"', second.page.text)
    assert "nobody any more: they were erased" in second.text
    assert customer not in second.page.text


async def test_the_word_cannot_be_left_out(desk):
    browser = await desk.officer()
    customer, address = await opened(desk, browser)
    await step(browser, address, "confirm", how="DOCUMENT")
    await step(browser, address, "begin")
    await step(browser, address, "complete")
    assert browser.status == 400
    assert "write the word erase" in browser.text
    assert "Nothing of them has to be kept by law." in browser.text  # control: of who bought nothing
    assert (await desk.world.store.find([customer])) != []


async def test_only_reasons_that_the_law_has_for_it_are_offered_and_a_refusal_names_the_law(desk):
    browser = await desk.officer()
    _, address = await opened(desk, browser, "ACCESS")
    await browser.get(address)
    assert "It would harm others" in browser.text
    assert "Free expression needs the data" not in browser.text
    await step(browser, address, "deny", reason="FREE_EXPRESSION")
    assert browser.status == 409
    await step(browser, address, "deny", reason="made up")
    assert browser.status == 400
    await step(browser, address, "deny", reason="RIGHTS_OF_OTHERS")
    assert "GDPR Art. 15(4), 20(4)" in browser.text


async def test_a_customers_page_lists_their_requests_and_nobody_elses_for_who_answers_them(desk):
    browser = await desk.officer()
    customer, address = await opened(desk, browser, "ACCESS")
    await opened(desk, browser, "PORTABILITY")
    await browser.get("/console/customers")
    await browser.post("/console/customers", {"by": "number", "value": customer})
    (own,) = browser.links(r"/console/customers/[^\"/]+/requests")
    await browser.get(own)
    assert browser.links(r"/console/requests/req_[^\"]+") == [address]
    assert (await desk.world.records(kind="read"))[-1].operation == "ConsoleRequestsOf"
    assert customer not in str(browser.page.url)
    support = await desk.support()
    await support.get("/console/customers")
    await support.post("/console/customers", {"by": "number", "value": customer})
    assert support.links(r"/console/customers/[^\"/]+/requests") == []
    assert (await support.get(f"{support.page.url.path}/requests")).status == 403


async def test_the_queue_begins_with_what_is_due_first_and_says_what_is_late(own_desk):
    desk = own_desk
    browser = await desk.officer()
    _, late = await opened(desk, browser, "ACCESS")
    await opened(desk, browser, "PORTABILITY", regime="CPRA", agent="A. Gent")
    desk.clock.later = timedelta(days=33)
    again = await desk.officer(actor="gro.later")
    await again.get(REQUESTS)
    text = again.text
    assert text.index("overdue by") < text.index("confirm: late by")
    assert "by an agent" in text
    assert again.links(f"{REQUESTS}/req_[a-z2-7]+")[0] == late
    await again.get(f"{REQUESTS}?kind=PORTABILITY")
    assert "overdue by" not in again.text
    await again.get(f"{REQUESTS}?state=COMPLETED")
    assert "Open requests" in again.text
    for bad in ("state=nonsense", "kind=1", "after=nonsense"):
        assert (await again.get(f"{REQUESTS}?{bad}")).status in (400, 404), bad


async def test_the_queue_goes_on_page_by_page(own_desk):
    desk = own_desk
    browser = await desk.officer()
    for customer in await desk.world.create(*(desk.world.draft(person(number)) for number in range(600, 626))):
        form = {"number": customer, "kind": "ACCESS", "regime": "GDPR"}
        await browser.get(f"{REQUESTS}/+new")
        await browser.post(f"{REQUESTS}/+new", form)
    await browser.get(REQUESTS)
    first = set(browser.links(f"{REQUESTS}/req_[a-z2-7]+"))
    (more,) = browser.links(rf"{REQUESTS}\?after=[^\"]+")
    await browser.get(more)
    second = set(browser.links(f"{REQUESTS}/req_[a-z2-7]+"))
    assert (len(first), len(second), first & second) == (25, 1, set())


async def test_nobody_but_who_answers_for_privacy_sees_or_does_anything(desk):
    officer = await desk.officer()
    _, address = await opened(desk, officer, "ACCESS")
    for browser in (await desk.support(), await desk.auditor(), await desk.administrator()):
        for path in (REQUESTS, address):
            assert (await browser.get(path)).status == 403, path
        await browser.get("/console/purpose")
        assert (await browser.post(address, {"do": "confirm", "how": "DOCUMENT"})).status == 403
    await officer.get(address)
    assert "Received" in officer.text
    # A form that another site sends does nothing either.
    assert (await officer.post(address, {"do": "cancel"}, origin="https://evil.example")).status == 403
    await officer.get(address)
    assert (await officer.post(address, {"do": "cancel"}, key="wrong")).status == 403


async def test_what_was_said_is_escaped(desk):
    browser = await desk.officer()
    evil = "<x-canary onload=1>\"'&"
    _, address = await opened(desk, browser, "ACCESS", reason=evil, agent=evil)
    assert "x-canary" in browser.page.text
    assert "<x-canary" not in browser.page.text
    await browser.post(
        f"{REQUESTS}/+new", {"number": evil, "kind": evil, "regime": evil, "reason": evil, "agent": evil}
    )
    assert browser.status == 400
    assert "x-canary" in browser.page.text
    assert "<x-canary" not in browser.page.text
    for bad in ("req_nonsense!", "req_aaaaaaaaaaaaaaaaaaaaaaaaaa"):
        assert (await browser.get(f"{REQUESTS}/{bad}")).status == 404
    assert address


async def test_the_copy_that_a_request_led_to_is_fetched_by_who_answers_it_alone(own_desk):
    desk = own_desk
    browser = await desk.officer()
    await browser.get(f"{REQUESTS}/+new")
    await browser.post(f"{REQUESTS}/+new", {"number": desk.world.ids["ada"], "kind": "ACCESS", "regime": "GDPR"})
    address = browser.page.url.path
    assert (await browser.get(f"{address}/copy")).status == 404
    await step(browser, address, "confirm", how="DOCUMENT")
    await step(browser, address, "begin")
    await step(browser, address, "complete")
    found = {"_id": address.rpartition("/")[2]}
    await desk.world.main["privacy_requests"].update_one(found, {"$set": {"result": "cop_ada"}})
    await browser.get(address)
    await browser.get(browser.links(r"[^\"]+/copy")[0])
    assert browser.page.content == b"PKkim.privacy_officer"
    assert browser.page.headers["content-disposition"] == 'attachment; filename="copy-cop_ada.zip"'
    # Controls: one that is gone, and somebody who does not answer for privacy.
    await desk.world.main["privacy_requests"].update_one(found, {"$set": {"result": "cop_gone"}})
    assert (await browser.get(f"{address}/copy")).status == 404
    assert (await (await desk.support()).get(f"{address}/copy")).status == 403
