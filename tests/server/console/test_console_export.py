"""Exports in the console: a form, a page that shows how far it is, a file."""

from dataclasses import replace

import pytest

from schema.errors import FilterNotAllowedError, ForbiddenError
from server.console import ExportForm, Stage


def move(desk, job, **values):
    actor, state = desk.exports.jobs[job]
    desk.exports.jobs[job] = (actor, replace(state, **values))


async def start(desk, **typed):
    browser = await desk.auditor()
    await browser.get("/console/audit/export")
    return await browser.post("/console/audit/export", {"form": "csv", **typed})


@pytest.mark.parametrize("form", list(ExportForm))
async def test_an_export_starts_with_the_forms_conditions(desk, form):
    browser = await start(desk, form=form.value, actor="mia", kind="READ", since="2001-01-01", customer="cus_1")
    assert (browser.status, browser.page.url.path) == (200, "/console/audit/exports/job-1")
    actor, state = desk.exports.jobs["job-1"]
    assert (actor, state.form) == ("hugo.audit", form)
    wanted = {"actor": "mia", "kind": "READ", "since": "2001-01-01T00:00:00.000000Z", "customer": "cus_1"}
    assert state.conditions == wanted
    assert "cus_1" not in browser.page.text  # not on a page that stays open


async def test_the_conditions_of_a_search_are_taken_along(desk):
    browser, ada = await desk.auditor(), desk.world.ids["ada"]
    await browser.post("/console/audit", {"customer": ada, "purpose": "marketing"})
    (link,) = browser.links(r"/console/audit/export\?[^\"]*")
    assert ada not in link
    await browser.get(link)
    assert f'value="{ada}"' in browser.page.text
    assert 'value="marketing"' in browser.page.text


async def test_progress_is_shown_with_and_without_scripts_until_the_file_is_there(desk):
    browser = await start(desk)
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in browser.page.text
    assert 'data-live="running"' in browser.page.text
    assert "about to start" in browser.text
    move(desk, "job-1", stage=Stage.RUNNING, read=50_000, of=100_000, found=700)
    here = "/console/audit/exports/job-1"
    await browser.get(here)
    assert "50,000 of 100,000 entries looked at, 700 in the export." in browser.text
    assert 'max="100000" value="50000"' in browser.page.text
    assert (await browser.get(f"{here}/file")).status == 404
    move(desk, "job-1", stage=Stage.DONE, read=100_000, found=1400, size=123, sha256="ab" * 32)
    await browser.get(here)
    assert "refresh" not in browser.page.text
    assert "1,400 entries" in browser.text
    await browser.get(f"{here}/file")
    assert (browser.status, browser.page.content) == (200, b"PK bundle")
    assert browser.page.headers["content-disposition"] == 'attachment; filename="confide-audit.zip"'
    assert browser.page.headers["cache-control"] == "no-store"


async def test_an_export_that_failed_says_why(desk):
    browser = await start(desk)
    move(desk, "job-1", stage=Stage.FAILED, message="The disk is full.")
    await browser.get("/console/audit/exports/job-1")
    assert "The export failed The disk is full." in browser.text


async def test_an_export_is_its_owners_alone(desk):
    await start(desk)
    move(desk, "job-1", stage=Stage.DONE)
    other = await desk.auditor("other.audit")
    for path in (
        "/console/audit/exports/job-1",
        "/console/audit/exports/job-1/file",
        "/console/audit/exports/%2e%2e",
    ):
        assert (await other.get(path)).status == 404


@pytest.mark.parametrize(
    ("typed", "name"), [({"form": "xlsx"}, "form"), ({"form": ""}, "form"), ({"since": "soon"}, "since")]
)
async def test_a_form_that_makes_no_sense_starts_nothing(desk, typed, name):
    browser = await start(desk, **typed, case="T-1")
    assert (browser.status, desk.exports.jobs) == (400, {})
    assert f'href="#x-{name}"' in browser.page.text
    assert 'name="case" value="T-1"' in browser.page.text


async def test_who_may_not_take_an_entry_along_may_not_export(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token("gro", "privacy_officer"))
    await browser.state("privacy_request")
    await browser.get("/console/audit/export")
    assert "cannot be exported" in browser.text
    await browser.post("/console/audit/export", {"form": "csv"})
    assert (browser.status, desk.exports.jobs) == (403, {})
    await browser.state("audit")
    await browser.post("/console/audit/export", {"form": "csv"})  # control
    assert len(desk.exports.jobs) == 1


async def test_a_refusal_of_the_export_itself_is_told_on_the_form(desk, monkeypatch):
    async def refuses(*_args):
        raise FilterNotAllowedError(["access_entry.case"])

    monkeypatch.setattr(desk.exports, "start", refuses)
    browser = await start(desk, case="T-1")
    assert (browser.status, 'href="#x-case"' in browser.page.text) == (400, True)

    async def forbids(*_args):
        raise ForbiddenError

    monkeypatch.setattr(desk.exports, "start", forbids)
    browser = await start(desk)
    assert (browser.status, "The caller may not do this." in browser.text) == (400, True)
