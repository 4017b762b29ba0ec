"""What others send and ask for here: forms from elsewhere, markup in every text, other people's names for things."""

import html
import re

import pytest

from customers.consent.model import ConsentDecision, ConsentState
from server.portal.proving import GOOD_FOR
from tests.schema.world import DECIDED, order, ticket

XSS = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'
EVERYWHERE = ("/", "/orders", "/tickets", "/events", "/looked?own=1", "/choices", "/requests", "/delete", "/sessions")


async def test_markup_in_any_text_of_a_customer_is_shown_as_text(place):
    mine = await place.create(
        101,
        overrides={
            **{name: f"{XSS}{name}" for name in ("given_name", "family_name", "street", "postal_code", "city")},
            "notes": [XSS],
            "traits": {XSS: XSS, "list": [XSS], "object": {XSS: XSS}},
            "national_id": XSS,
        },
        consents=(ConsentDecision("marketing", ConsentState.GRANTED, DECIDED, XSS, proof=XSS),),
        orders=(order(1, gift_message=XSS, shipping_address=XSS, items=[{"sku": XSS, "title": XSS, "quantity": 1}]),),
        tickets=(ticket(1, subject=XSS, body=XSS, topic=XSS),),
    )
    visitor = place.visitor(mine)
    await visitor.post("/requests/new", {"kind": "rectification", "reason": XSS})
    one = visitor.page.url.path.removeprefix("/portal")
    shown = 0
    for path in (*EVERYWHERE, one, "/correct/given_name", "/correct/city"):
        page = (await visitor.get(path)).page
        assert page.status_code == 200, path
        assert "<script" not in page.text, path
        assert "<img" not in page.text, path
        assert "49" not in re.findall(r"onerror=alert\(1\)&gt;(\d*)", page.text), path
        shown += html.unescape(page.text).count("<script>alert(1)</script>")
    assert shown > 20, "the control: it was shown, as text"
    for path, data in (("/correct/city", {"value": XSS * 9}), ("/requests/new", {"kind": XSS, "reason": XSS})):
        page = (await visitor.post(path, data)).page
        assert page.status_code == 400, path
        assert "<script" not in page.text, path
        assert XSS in html.unescape(page.text), "what was typed is not lost"
    for path in (f"/{XSS}", f"/correct/{XSS}", f"/?done={XSS}", f"/download?copy={XSS}", f"/requests/new?kind={XSS}"):
        assert "<script" not in (await visitor.get(path)).page.text, path


async def test_no_number_that_somebody_sends_keeps_a_customer_from_their_page_or_is_rounded(place):
    numbers = {"huge": 1e300, "whole": 2**62, "tiny": 5e-324, "less": -1.5e30, "place": 52.520008}
    visitor = await place.visitor(await place.create(102, overrides={"traits": numbers})).get("/")
    assert visitor.status == 200
    for shown in ("1e+300", "4,611,686,018,427,387,904", "-1.5e+30", "52.520008"):
        assert shown in visitor.text


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/correct/city", {"value": "Elsewhere"}),
        ("/choices", {"purpose": "marketing", "choice": "agree"}),
        ("/choices/channels", {"purpose": "marketing"}),
        ("/requests/new", {"kind": "access"}),
        ("/download", {}),
        ("/delete/confirm", {"word": "DELETE"}),
        ("/sessions", {"session": "x"}),
    ],
)
async def test_a_form_from_elsewhere_changes_nothing(place, ada, path, data):
    visitor, other = place.visitor(ada), place.visitor(ada)
    before = len(await place.records(kind="write"))
    for options in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": None},
        {"key": "guessed"},
        {"key": ""},
        {"key": other.session.key},
    ):
        await visitor.post(path, data, **options)
        assert (visitor.status, "Nothing was changed" in visitor.text) == (403, True), options
    assert len(await place.records(kind="write")) == before
    assert (await visitor.post(path, data, follow=False)).status in (303, 404, 200), "the control: our own form does"


async def test_who_is_not_signed_in_is_sent_to_the_door_and_shown_nothing(place, ada):
    client = place.browser(cookies={"held": "forged"})
    for path in (*EVERYWHERE, "/download", "/delete/confirm", "/correct/email", "/prove/x", "/requests/new"):
        page = await client.get(f"/portal{path}")
        assert page.status_code == 303, path
        assert page.headers["location"].startswith("/portal/sign-in?next=%2Fportal"), path
        assert page.content == b""
    assert ada


async def test_what_is_too_long_or_no_form_is_refused(place, ada):
    visitor = place.visitor(ada)
    headers = {"origin": "http://127.0.0.1:8000"}
    url = "/portal/requests/new"
    for content, kind in (
        (b"a=" + b"x" * 40_000, "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"kind=%FF%FE", "application/x-www-form-urlencoded"),
    ):
        page = await visitor.client.post(url, content=content, headers={**headers, "content-type": kind})
        assert page.status_code == 403, kind


async def test_a_language_that_is_asked_for_is_remembered_and_anything_else_is_none(place, ada):
    visitor = place.visitor(ada)
    page = (await visitor.get("/choices?lang=de")).page
    assert "Ihre Entscheidungen" in visitor.text
    assert re.search(r"confide_lang=de; HttpOnly; .*SameSite=lax", page.headers["set-cookie"])
    visitor.client.cookies.delete("confide_lang")
    visitor.client.cookies.set("confide_lang", "fr")
    assert "Vos choix" in (await visitor.get("/choices")).text
    visitor.client.cookies.delete("confide_lang")
    visitor.client.cookies.set("confide_lang", "../../etc")
    for accepted in ("../de", "xx", "de;q=oops, ;;;,", "de;q=0"):
        assert "Your choices" in (await visitor.get("/choices?lang=zz", headers={"accept-language": accepted})).text
    assert GOOD_FOR.total_seconds() == 600
