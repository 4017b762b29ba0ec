"""Forms as they arrive: never more than a form, for longer than it takes, or from where the console is not."""

import asyncio

import pytest
from starlette.requests import Request

from server.console.errors import FormRefusedError
from server.console.forms import FormReader, Site
from server.console.mounting import duration

FORM = {"content-type": "application/x-www-form-urlencoded"}


def request(body=b"", *, more=False, scheme="http", **headers):
    """A request whose body is this, and, if there is more, never ends."""
    parts = [{"type": "http.request", "body": body, "more_body": more}]

    async def receive():
        if parts:
            return parts.pop(0)
        return await asyncio.get_running_loop().create_future()

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in {**FORM, **headers}.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": scheme,
        "path": "/console/x",
        "headers": raw,
        "query_string": b"",
    }
    return Request(scope, receive)


async def refusal(reading):
    with pytest.raises(FormRefusedError) as raised:
        await reading
    return raised.value.status


async def test_a_form_is_read():
    assert await FormReader().read(request(b"a=+1+&a=2&b=%C3%A9&c=")) == {"a": "1", "b": "é", "c": ""}


@pytest.mark.parametrize("length", ["32769", "1073741824", "9" * 400, "-1", "1e3", "²", ""])
async def test_a_length_that_no_form_has_is_refused_before_anything_is_read(length):
    assert await refusal(FormReader().read(request(b"a=1", more=True, content_length=length))) == 413


async def test_a_body_longer_than_any_form_is_refused_whatever_it_said():
    assert await refusal(FormReader().read(request(b"a=" + b"1" * 32768, more=True))) == 413
    assert await refusal(FormReader().read(request(b"a=" + b"1" * 32768, more=True, content_length="3"))) == 413
    assert await refusal(FormReader().read(request(b"a=&" * 65))) == 400
    whole = await FormReader().read(request(b"a=" + b"1" * 32766))
    assert len(whole["a"]) == 32766, "the control"


async def test_a_body_that_stalls_is_given_up_in_time():
    assert await refusal(FormReader(seconds=0.05).read(request(b"a=1", more=True))) == 408


async def test_of_too_many_that_stall_the_one_that_was_waited_for_longest_is_given_up():
    reader = FormReader(seconds=60, most=2)
    stalled = []
    for _ in range(3):
        stalled.append(asyncio.create_task(reader.read(request(b"a=1", more=True))))
        await asyncio.sleep(0.01)
    assert await refusal(stalled[0]) == 408
    assert not stalled[1].done()
    assert await reader.read(request(b"a=1")) == {"a": "1"}, "one that comes whole is read all the same"
    assert await refusal(stalled[1]) == 408
    assert not stalled[2].done()
    stalled[2].cancel()


def posted(site, origin, fetch_site="same-origin", **headers):
    told = {} if origin is None else {"origin": origin}
    if fetch_site is not None:
        told["sec_fetch_site"] = fetch_site
    try:
        site.require_own(request(**told, **headers))
    except FormRefusedError as error:
        return str(error)
    return None


def test_behind_a_proxy_forms_must_come_from_where_browsers_find_the_console():
    site = Site("https://Confide.example:443")
    assert posted(site, "https://confide.example", host="10.0.0.7:8000") is None
    assert posted(site, None, host="10.0.0.7:8000") is None, "a browser that sends no Origin to its own site"
    for origin in ("https://confide.example:8443", "http://confide.example", "https://evil.example", "null"):
        for fetch_site in ("cross-site", "same-site", "same-origin", None):
            assert posted(site, origin, fetch_site, host="confide.example") is not None, origin
    assert "The console is at https://confide.example" in posted(site, "http://10.0.0.7:8000", host="10.0.0.7:8000")
    assert site.is_secure(request(host="10.0.0.7:8000"))


def test_a_proxy_that_the_server_was_not_told_of_is_named_as_the_reason():
    site = Site(None)
    told = posted(site, "https://confide.example", host="10.0.0.7:8000")
    assert "CONFIDE_CONSOLE_ORIGIN" in told
    assert "CONFIDE_CONSOLE_ORIGIN" not in posted(site, "https://evil.example", "cross-site", host="127.0.0.1:8000")
    assert posted(site, "http://127.0.0.1:8000", host="127.0.0.1:8000") is None


def test_a_length_of_time_is_told_in_words():
    found = [duration(seconds) for seconds in (0.4, 1, 45, 60, 90, 300, 86_400)]
    assert found == ["1 second", "1 second", "45 seconds", "1 minute", "90 seconds", "5 minutes", "1,440 minutes"]
