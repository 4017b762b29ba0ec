"""Consent, the policy, the record of processing and failed jobs on the console."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

from customers.jobs import JobStore, NewJob
from customers.oversight.processing import COLUMNS, Outside, as_csv, as_json, processing_record
from policies import Verdict, matrix
from server.console.consents_pages import count_rows
from server.enrichment_record import asked, enrichments, obtained
from server.settings import Settings
from tests.customers.enrichment.test_enrichment_definition import HTTP
from tests.schema.world import SHIPPED, granted, objected, person, utc_now

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)


# ---- every page


async def test_every_page_of_the_officer_is_small_and_runs_nothing_but_our_own_files(desk):
    browser = await desk.officer()
    pages = {}
    for path in ("customers", "requests", "requests/+new", "consents", "matrix", "processing", "failed"):
        pages[path] = (await browser.get(f"/console/{path}")).page
    pages["wide"] = (await browser.get("/console/matrix?purpose=identity_resolution")).page
    await browser.get("/console/customers")
    pages["customer"] = (
        await browser.post("/console/customers", {"by": "number", "value": desk.world.ids["ada"]})
    ).page
    for each in ("orders", "tickets", "events"):
        pages[each] = (await browser.get(f"{pages['customer'].url.path}/{each}")).page
    for name, page in pages.items():
        assert page.status_code == 200, name
        assert "unsafe" not in page.headers["content-security-policy"], name
        assert page.headers["cache-control"] == "no-store", name
        assert not re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", page.text), name
        assert not re.findall(r"""(?:href|src|action)=["']?(?:[a-z]+:|//)""", page.text), name
        assert len(page.content) < 60_000, (name, len(page.content))
        assert page.text.count('aria-current="page"') >= 1, name


async def test_a_closed_part_names_the_widest_purposes_that_open_it(desk):
    browser = await desk.auditor()
    await browser.get("/console/customers")
    assert browser.status == 403
    assert "support agent support_agent for the purpose Customer service" in browser.text
    assert "support agent support_agent for the purpose Order support" not in browser.text


# ---- consent


async def test_the_officer_sees_counts_and_one_persons_ledger_with_a_receipt(own_desk):
    desk = own_desk
    await desk.world.create(
        *(desk.world.draft(person(each), consents=granted("marketing")) for each in range(10, 22))
    )
    await desk.world.create(desk.world.draft(person(30), consents=objected("sales")))
    browser = await desk.officer()
    await browser.get("/console/consents")
    assert "Marketing 13 0 100 %" in browser.text
    assert "Sales 0 1" in browser.text
    await browser.get("/console/customers")
    await browser.post("/console/customers", {"by": "number", "value": desk.world.ids["ada"]})
    (ledger,) = browser.links(r"/console/consents/[^\"/]+")
    await browser.get(ledger)
    assert "Marketing ✓ Agreed" in browser.text
    (receipt,) = browser.links(r"/console/consents/[^\"/]+/[^\"/]+/receipt")
    await browser.get(receipt)
    assert browser.page.headers["content-disposition"].startswith('attachment; filename="consent-')
    assert "Example" not in str(json.loads(browser.page.content).get("controller"))
    assert (await browser.get(f"{ledger}/nonsense!/receipt")).status == 404


async def test_who_may_only_count_is_told_no_small_number(own_desk):
    browser = await own_desk.keeping("executive", "business_reporting")
    await browser.get("/console/consents")
    assert "fewer than 11" in browser.text
    assert "100 %" not in browser.text  # a share would give the number away
    # Control: the officer is told the same number.
    officer = await own_desk.officer()
    await officer.get("/console/consents")
    assert "fewer than 11" not in officer.text
    assert (await (await own_desk.auditor()).get("/console/consents")).status == 403


def test_a_share_is_told_only_where_every_number_is():
    told = {"purpose": "marketing", "channel": None}
    whole = [
        told | {"state": "granted", "customers": 30, "told": "30"},
        told | {"state": "withdrawn", "customers": 10, "told": "10"},
    ]
    (row,) = count_rows(whole, SHIPPED)
    assert (row.share, row.width) == (75, 90)
    (row,) = count_rows([whole[0], whole[1] | {"customers": None, "told": "fewer than 11"}], SHIPPED)
    assert row.share is None


async def test_a_ledger_is_for_who_answers_for_the_person_alone(desk):
    officer, support = await desk.officer(), await desk.support()
    await officer.get("/console/customers")
    await officer.post("/console/customers", {"by": "number", "value": desk.world.ids["ada"]})
    (ledger,) = officer.links(r"/console/consents/[^\"/]+")
    await support.get("/console/customers")
    await support.post("/console/customers", {"by": "number", "value": desk.world.ids["ada"]})
    assert not support.links(r"/console/consents/[^\"/]+")
    own = support.page.url.path.replace("/customers/", "/consents/")
    assert (await support.get(own)).status == 403
    assert (await support.get(ledger)).status == 404


# ---- the policy


async def test_the_matrix_says_what_the_policy_decides_of_every_field_and_role(desk):
    browser = await desk.auditor()
    for purpose in ("customer_service", "marketing", "sales"):
        shown = matrix(SHIPPED, purpose)
        await browser.get(f"/console/matrix?purpose={purpose}")
        assert browser.status == 200, browser.text
        for row in shown.rows:
            if row.field.object == "profile":
                assert row.field.label in browser.text
        cells = [cell for row in shown.rows if row.field.object == "profile" for cell in row.cells]
        for verdict in Verdict:
            assert browser.page.text.count(f'class="verdict {verdict}"') == sum(
                cell.verdict is verdict for cell in cells
            )
    await browser.get("/console/matrix?purpose=marketing&role=support_agent&of=order")
    assert "This role sees something for" in browser.text
    assert browser.page.text.count('class="verdict clear"') == 0
    for bad in ("purpose=nonsense", "role=nonsense", "of=nonsense"):
        assert (await browser.get(f"/console/matrix?{bad}")).status == 404
    assert (await (await desk.support()).get("/console/matrix")).status == 403


# ---- the record of processing


def test_the_record_names_for_each_purpose_just_what_a_role_may_do():
    record = processing_record(SHIPPED, controller=None, recipients=(), now=NOW)
    found = {each.purpose: each for each in record.activities}
    assert {*found, *record.unused} == set(SHIPPED.purposes)
    assert "fraud_prevention" in record.unused
    marketing = {each.category for each in found["marketing"].categories}
    assert "user.contact.email" in marketing
    # Control: what a rule forbids for marketing is in no record of it.
    assert not {
        each for each in marketing if each.startswith(("user.demographic.date_of_birth", "user.government_id"))
    }
    assert found["marketing"].article == "GDPR Art. 6(1)(a)"
    assert [each.period for each in found["order_support"].kept_by_law] == ["P10Y"]
    (marketer,) = [each for each in found["marketing"].roles if each.role == "marketer"]
    assert set(marketer.does) == {"sees", "sees masks of", "searches by"}
    assert "the person themselves" in found["self_service"].roles[0].label


def test_a_spreadsheet_runs_nothing_of_the_record():
    outside = [Outside("=HYPERLINK(1)", "webhook", ("user.contact.email",))]
    record = processing_record(SHIPPED, controller="@SUM(1)", recipients=outside, now=NOW)
    rows = list(csv.reader(io.StringIO(as_csv(record).removeprefix("\N{BYTE ORDER MARK}"))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(record.activities) + 1
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "'=HYPERLINK(1)" in cells
    # Control: it is what was given, and JSON has it as it is.
    assert as_json(record)["recipients"][0]["name"] == "=HYPERLINK(1)"
    json.dumps(as_json(record))


def test_the_record_names_who_is_asked_about_customers_and_what_they_add(tmp_path):
    settings = Settings(enrichment_dir=tmp_path)
    (tmp_path / "region.toml").write_text(HTTP)
    (tmp_path / "broken.toml").write_text("nothing")
    found = enrichments(settings, SHIPPED)
    (definition,) = found
    only_for = definition.purpose
    record = processing_record(
        SHIPPED,
        controller=None,
        recipients=[*asked(found, SHIPPED), Outside("mail-house", "webhook", ())],
        now=NOW,
        obtained=obtained(found, SHIPPED),
    )
    (service, _) = record.recipients
    assert (service.kind, service.purposes, "geo.example" in service.name) == ("enrichment", (only_for,), True)
    assert set(service.categories) == {"user.contact.address.country", "user.contact.address.postal_code"}
    assert [each.name for each in record.obtained] == [definition.source]
    assert record.obtained[0].categories
    # A purpose that they are not asked for names whom it is not limited to alone.
    other = next(each.purpose for each in record.activities if each.purpose != only_for)
    assert [each.name for each in record.recipients_for(other)] == ["mail-house"]
    assert [each.name for each in record.recipients_for(only_for)] == [service.name, "mail-house"]
    rows = list(csv.DictReader(io.StringIO(as_csv(record).removeprefix("\N{BYTE ORDER MARK}"))))
    named = {row["purpose"]: row["recipients"] for row in rows}
    assert ("geo.example" in named[only_for], "geo.example" in named[other]) == (True, False)


async def test_the_record_is_read_and_downloaded_and_each_is_recorded(desk):
    browser = await desk.officer()
    await browser.get("/console/processing")
    assert "Example & Sons" in browser.text
    assert "=HYPERLINK(mail-house)" in browser.text
    assert "Consent, GDPR Art. 6(1)(a)" in browser.text
    for form, kind in (("csv", "text/csv"), ("json", "application/json")):
        await browser.get(f"/console/processing/file/{form}")
        assert browser.page.headers["content-type"].startswith(kind)
        assert browser.page.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in browser.page.headers["content-security-policy"]
    assert json.loads(browser.page.content)["controller"] == "Example & Sons"
    done = [each.operation for each in await desk.world.records(actor="kim.privacy_officer")]
    assert done.count("ConsoleProcessingFile") == 2
    assert (await browser.get("/console/processing/file/exe")).status == 404
    assert (await (await desk.support()).get("/console/processing")).status == 403


# ---- failed jobs


async def buried(desk, kind="recipient_delivery", failure="status_500", number=1):
    jobs = JobStore(desk.world.main, now=utc_now)
    names = [f"{desk.world.ids['ada']}-{each}" for each in range(number)]
    await jobs.add(NewJob(kind, each, utc_now(), about=(desk.world.ids["ada"],)) for each in names)
    for each in names:
        await desk.world.main["jobs"].update_one(
            {"_id": f"{kind}:{each}"},
            {"$set": {"state": "dead", "failure": failure, "attempt": 12, "lease_until": utc_now()}},
        )
    return jobs, [f"{kind}:{each}" for each in names]


async def test_a_failed_job_is_tried_again_and_it_is_recorded(own_desk):
    desk = own_desk
    jobs, (name,) = await buried(desk)
    for browser in (await desk.administrator(), await desk.officer()):
        await jobs.get(name)
        await desk.world.main["jobs"].update_one({"_id": name}, {"$set": {"state": "dead"}})
        await browser.get("/console/failed")
        assert "Tell a recipient of a change" in browser.text
        assert "status_500" in browser.text
        # A job's name may have a customer's number in it.
        assert desk.world.ids["ada"] not in browser.page.text
        (sealed,) = browser.page.text.split('name="job" value="')[1:]
        await browser.post("/console/failed", {"job": sealed.partition('"')[0]})
        assert "1 job is tried again now" in browser.text
        assert (await jobs.get(name)).state.value == "waiting"
        assert (await browser.post("/console/failed", {"job": sealed.partition('"')[0]})).status == 409
        assert (await browser.post("/console/failed", {"job": name})).status == 404
    done = await desk.world.records(kind="admin")
    assert [each.operation for each in done if each.operation == "ConsoleRetryJob"]
    assert all(each.decisions[0].decision == "clear" for each in done if each.operation == "ConsoleRetryJob")


async def test_all_of_a_kind_are_tried_again_at_once_and_only_by_who_may(own_desk):
    desk = own_desk
    jobs, names = await buried(desk, "<x-canary>", "<x-canary>", 3)
    browser = await desk.administrator()
    await browser.get("/console/failed")
    assert "<x-canary" not in browser.page.text
    await desk.world.main["jobs"].update_many({}, {"$set": {"lease_until": utc_now() - timedelta(hours=3)}})
    late = (utc_now() - timedelta(hours=3)).strftime("%Y-%m-%d %H:")
    await browser.get("/console/failed")
    assert browser.text.count(f"{late}") >= 3  # when each was given up on
    await browser.post("/console/failed", {"kind": "<x-canary>"})
    assert "3 jobs are tried again now" in browser.text
    assert [(await jobs.get(each)).state.value for each in names] == ["waiting"] * 3
    support = await desk.support()
    assert (await support.get("/console/failed")).status == 403
    await support.get("/console/customers")
    assert (await support.post("/console/failed", {"kind": "<x-canary>"})).status == 403


async def test_failed_jobs_go_on_page_by_page_each_once_and_no_place_names_anybody(own_desk):
    desk = own_desk
    await buried(desk, number=120)
    browser = await desk.administrator()
    await browser.get("/console/failed")
    seen = []
    for _ in range(3):
        seen += [
            desk.console._failed._officer.names.customer("kim.administrator", each) for each in names_on(browser)
        ]
        (*older,) = browser.links(r"/console/failed\?after=[^\"]+")
        if older:
            assert desk.world.ids["ada"] not in older[0]
            await browser.get(older[0])
    assert (len(seen), len(set(seen)), older) == (120, 120, [])
    assert "120 jobs" in browser.text
    assert (await browser.get("/console/failed?after=nonsense")).status == 404


def names_on(browser):
    return re.findall(r'name="job" value="([^"]+)"', browser.page.text)
