"""Every page of the console: its headers, its size, what it escapes, what it asks for before it shows anything."""

import html
import re

import pytest

from audit import AuditCorruptError, Decision, Deviation, Kind, Outcome, Reason, Record, Verdict, timestamp
from server.console import ExportForm, ExportState, Stage
from tests.schema.world import utc_now
from tests.server.console.conftest import entry_of

CANARY = "\"'><x-canary onload=1>&"
RAW = re.compile(r"<x-canary", re.IGNORECASE)
MISSING = "0a1b2c3d4e5f.7"


async def every_page(desk):
    """Each kind of page, by name, with the browser's copy of it."""
    pages = {}

    async def keep(name, browser):
        pages[name] = browser.page
        return browser

    out = desk.browser()
    await keep("sign in", await out.get("/console/sign-in"))
    await keep("sign in refused", await out.post("/console/sign-in", {"token": "nonsense"}))
    fresh = desk.browser()
    await keep("purpose", await fresh.sign_in(desk.token()))
    await keep("purpose refused", await fresh.state("audit", "no number at all"))
    browser = await desk.auditor()
    await keep("log", browser)
    await keep("log refused", await browser.get("/console/audit?since=yesterday"))
    await keep("log empty", await browser.get("/console/audit?actor=nobody"))
    entry = await entry_of(desk.world, actor="mia")
    await keep("entry", await browser.get(f"/console/audit/{entry}"))
    await keep("verified", await browser.post(f"/console/audit/{entry}/verify"))
    await keep("no entry", await browser.get(f"/console/audit/{MISSING}"))
    await keep("no page", await browser.get("/console/else/where"))
    await keep("bad cursor", await browser.get("/console/audit?after=nonsense"))
    await keep("export", await browser.get("/console/audit/export"))
    await keep("exporting", await browser.post("/console/audit/export", {"form": "csv"}))
    closed = desk.browser()
    await closed.sign_in(desk.token("ben.marketing", "marketer"))
    await keep("closed", await closed.state("marketing"))
    return pages


async def test_every_page_runs_nothing_but_our_own_files_and_asks_nobody_else(desk):
    pages = await every_page(desk)
    nonces = []
    for name, page in pages.items():
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        (nonce,) = re.findall(r"^'nonce-([A-Za-z0-9+/=]{24})'$", policy["script-src"])
        nonces.append(nonce)
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'", name
        assert (policy["style-src"], policy["form-action"]) == (f"'nonce-{nonce}'", "'self'"), name
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        for tag in re.findall(r"<(?:script|style|link rel=\"stylesheet\")[^>]*>", page.text):
            assert f'nonce="{nonce}"' in tag, (name, tag)
        assert not re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", page.text), name
        assert not re.findall(r"""(?:href|src|action)=["']?(?:[a-z]+:|//)""", page.text), name
        assert len(page.content) < 60_000, name
        assert f"<title>{'Error: ' if 'refused' in name else ''}" in page.text, name
    assert len(set(nonces)) == len(nonces)


async def test_a_page_with_all_its_files_is_under_100_kilobytes(desk):
    browser = await desk.auditor()
    size = len(browser.page.content)
    for path in set(re.findall(r'(?:href|src)="(/console/static/[^"]+)"', browser.page.text)):
        answer = await browser.client.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        size += len(answer.content)
        again = await browser.client.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert size < 100_000
    assert (await browser.client.get("/console/static/../app.py")).status_code == 404
    assert (await browser.client.get("/console/static/other.js")).status_code == 404


async def canary_entry(world):
    """An entry in which every text that can be anything is something nasty."""
    return await world.log.append(
        Record(
            actor=f"actor {CANARY}",
            case=f"case {CANARY}",
            client=f"client {CANARY}",
            operation=f"operation {CANARY}",
            purpose=f"purpose {CANARY}",
            roles=(f"role {CANARY}",),
            policy=f"policy {CANARY}",
            filters=(f"filter {CANARY}",),
            decisions=(Decision(decision=Verdict.CLEAR, fields=(f"field {CANARY}",), rule=9),),
            exceptions=(Deviation(fields=(f"apart {CANARY}",), reason=Reason.SCOPE, subjects=(0,)),),
            subjects=("A" * 22,),
            kind=Kind.READ,
            outcome=Outcome.ALLOWED,
            time=timestamp(utc_now()),
        )
    )


def shown(page, text):
    """Whether the page shows this text, and no page of it is markup."""
    assert not RAW.search(page.text), page.url
    return html.escape(text, quote=False) in html.unescape(page.text).replace("<", "&lt;").replace(">", "&gt;") or (
        text in html.unescape(page.text)
    )


async def test_nothing_that_an_entry_holds_becomes_markup(desk):
    entry = await canary_entry(desk.world)
    browser = await desk.auditor()
    for text in ("actor", "case", "operation", "purpose", "role", "field"):
        assert shown(browser.page, f"{text} {CANARY}"), text
    await browser.get(f"/console/audit/{entry}")
    everything = ("actor", "case", "client", "operation", "purpose", "role", "policy", "filter", "field", "apart")
    for text in everything:
        assert shown(browser.page, f"{text} {CANARY}"), text
    # Control: the check sees markup where there is some.
    assert RAW.search(f"<p>{CANARY}</p>")


async def test_nothing_that_is_typed_becomes_markup(desk):
    browser = await desk.auditor()
    for name in ("actor", "customer", "field", "purpose", "since", "role", "case", "kind"):
        await browser.post("/console/audit", {name: CANARY, "until": "nonsense"})
        assert browser.status == 400
        assert shown(browser.page, CANARY) or name == "kind"
        await browser.post("/console/audit", {name: CANARY})
        assert not RAW.search(browser.page.text)
        await browser.post("/console/audit/export", {name: CANARY, "form": CANARY})
        assert not RAW.search(browser.page.text)
    await browser.get("/console/audit", params={"actor": CANARY, "after": CANARY, CANARY: CANARY, "customer": CANARY})
    assert shown(browser.page, CANARY)
    await browser.get(f"/console/audit/{CANARY}")
    assert not RAW.search(browser.page.text)
    await browser.get("/console/purpose", params={"next": f"/console/{CANARY}"})
    await browser.post("/console/purpose", {"purpose": CANARY, "case": CANARY, "next": f"/console/{CANARY}"})
    assert shown(browser.page, CANARY)
    stranger = desk.browser()
    await stranger.get(f"/console/{CANARY}", headers={"sec-fetch-site": "cross-site"})
    assert not RAW.search(stranger.page.text)
    await stranger.sign_in(CANARY.replace(" ", ""), f"/console/{CANARY}")
    assert not RAW.search(stranger.page.text)


async def test_nothing_that_other_parts_say_becomes_markup(desk):
    browser = await desk.auditor(actor='<x-canary>"&')
    assert not RAW.search(browser.page.text)
    state = ExportState(ExportForm.CSV, Stage.FAILED, {"actor": CANARY, CANARY: CANARY}, message=CANARY)
    desk.exports.jobs["job-x"] = ('<x-canary>"&', state)
    await browser.get("/console/audit/exports/job-x")
    assert shown(browser.page, CANARY)
    desk.proofs.broken = AuditCorruptError(CANARY)
    entry = await entry_of(desk.world, kind=Kind.WRITE)
    await browser.get(f"/console/audit/{entry}")
    assert shown(browser.page, CANARY.capitalize())
    await browser.post(f"/console/audit/{entry}/verify")
    assert (browser.status, bool(RAW.search(browser.page.text))) == (503, False)


async def test_without_a_purpose_nothing_is_read(desk):
    browser = desk.browser()
    before = len(await desk.world.records())
    await browser.sign_in(desk.token(), "/console/audit?actor=mia")
    assert browser.page.url.path == "/console/purpose"
    entry = await entry_of(desk.world, actor="mia")
    for path in (f"/console/audit/{entry}", "/console/audit/export", f"/console/audit/{entry}/receipt"):
        await browser.get(path)
        assert browser.page.url.path == "/console/purpose"
        assert browser.page.url.params["next"] == path
    assert len(await desk.world.records()) == before
    # Control: with one, the page that was wanted opens.
    await browser.state("audit", following="/console/audit?actor=mia")
    assert str(browser.page.url).endswith("/console/audit?actor=mia")
    assert len(await desk.world.records()) == before + 1


async def test_only_purposes_that_the_token_allows_can_be_stated(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token(role="privacy_officer", purposes=["privacy_request"]))
    assert 'value="privacy_request"' in browser.page.text
    assert 'value="audit"' not in browser.page.text
    await browser.state("audit")
    assert (browser.status, "Choose one of the purposes" in browser.text) == (400, True)
    await browser.state("privacy_request", "D-1")
    assert browser.status == 200


async def test_purpose_and_case_stand_on_every_page_and_go_into_the_record(desk):
    browser = await desk.auditor(case="AUD-9")
    entry = await entry_of(desk.world, actor="mia")
    for path in ("/console/audit", f"/console/audit/{entry}", "/console/audit/export"):
        await browser.get(path)
        assert "Purpose Audit Case AUD-9 Change" in browser.text
    await browser.state("audit", "AUD-10", following=f"/console/audit/{entry}")
    assert "Case AUD-10 Change" in browser.text
    newest = (await desk.world.records(actor="hugo.audit"))[-1]
    assert (newest.case, newest.purpose, newest.operation) == ("AUD-10", "audit", "ConsoleEntry")
    assert newest.trace == "0af7651916cd43dd8448eb211c80319c"


async def test_a_case_that_is_no_number_is_refused_beside_its_field_and_nothing_is_lost(desk):
    browser = await desk.auditor()
    await browser.state("audit", "the lady from Bremen", following="/console/audit?case=T-1")
    assert browser.status == 400
    assert 'href="#state-case"' in browser.page.text
    assert 'value="the lady from Bremen"' in browser.page.text
    assert re.search(r'value="audit"[^>]* checked', browser.page.text)
    assert 'name="next" value="/console/audit?case=T-1"' in browser.page.text


async def test_a_role_that_may_not_read_the_log_is_told_what_would_open_it(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token("max.marketing", "marketer"))
    await browser.state("marketing")
    assert browser.status == 403
    assert "The role auditor auditor for the purpose Audit" in browser.text
    assert "mia" not in browser.text
    (record,) = await desk.world.records(actor="max.marketing")
    assert (record.kind, record.outcome) == (Kind.SEARCH, Outcome.REFUSED)
    entry = await entry_of(desk.world, actor="mia")
    for path in (f"/console/audit/{entry}", f"/console/audit/{MISSING}", f"/console/audit/{entry}/receipt"):
        await browser.get(path)
        assert (browser.status, "closed to you" in browser.text) == (403, True), path
    await browser.post(f"/console/audit/{entry}/verify")
    assert browser.status == 403
    await browser.get("/console/audit/export")
    assert browser.status == 403
    # Control: the auditor sees it.
    auditor = await desk.auditor()
    assert "mia" in (await auditor.get("/console/audit?actor=mia")).text


async def test_a_role_that_opens_the_log_for_another_purpose_is_led_there(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token("pat", ["privacy_officer", "support_agent"]))
    await browser.state("customer_service")
    assert (browser.status, "What opens it for you" in browser.text) == (403, True)
    assert 'name="purpose" value="audit"' in browser.page.text
    await browser.state("audit")
    assert browser.status == 200


async def test_a_role_that_is_taken_away_is_felt_by_the_next_page(desk):
    browser = await desk.auditor()
    shipped = desk.world.policies
    desk.world.policies = _without(shipped, "auditor")
    await browser.get("/console/audit")
    assert browser.page.url.path == "/console/purpose"
    assert "allows no purpose" in browser.text
    desk.world.policies = shipped
    assert (await browser.state("audit")).status == 200


def _without(policies, role):
    """The policy set, in which this role is granted nothing."""
    import copy  # noqa: PLC0415 - only here

    less = copy.copy(policies)
    less.decide = lambda roles, purpose: policies.decide([each for each in roles if each != role], purpose)
    return less


async def test_a_page_whose_record_cannot_be_written_shows_nothing(own_desk):
    browser = await own_desk.auditor()
    await own_desk.world.log.close()
    await browser.get("/console/audit")
    assert browser.status == 503
    assert browser.page.headers["retry-after"] == "2"
    assert "mia" not in browser.text
    assert "Nothing was shown" in browser.text


async def test_what_nobody_foresaw_is_told_as_a_page_without_its_details(desk, monkeypatch):
    browser = await desk.auditor()

    async def fails(*_args, **_options):
        raise RuntimeError("secret of the machine")

    monkeypatch.setattr(desk.console._frame.reader, "search", fails)
    await browser.get("/console/audit")
    assert (browser.status, "secret" in browser.page.text) == (500, False)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_do_nothing(desk, method):
    browser = await desk.auditor()
    answer = await browser.client.request(method, "/console/audit")
    assert answer.status_code == 405
