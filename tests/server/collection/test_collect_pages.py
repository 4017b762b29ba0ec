"""Pages of other origins: what their browsers are told, and what they may send; and the settings they ask for."""

import json

import pytest

from tests.server.collection.sending import PAGE, body_of, post, told, track

ELSEWHERE = "https://elsewhere.example"


async def preflight(collection, origin, path="/v1/b", **more):
    headers = {"origin": origin, "access-control-request-method": "POST", **more}
    return await collection.client.options(path, headers=headers)


async def test_a_preflight_is_answered_for_every_origin_that_some_source_takes(collection):
    for origin in (PAGE, "https://other.example"):
        response = await preflight(
            collection, origin, **{"access-control-request-headers": "authorization,content-type,x-retry-count"}
        )
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == origin
        assert "POST" in response.headers["access-control-allow-methods"]
        allowed = response.headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "content-type", "x-retry-count", "*"} <= set(allowed)
        assert "access-control-allow-credentials" not in response.headers
        assert response.headers["vary"] == "origin"
        assert response.content == b""


@pytest.mark.parametrize(
    "origin", [ELSEWHERE, "null", "https://shop.example.evil.example", "http://shop.example", "*"]
)
async def test_a_preflight_of_another_origin_gets_no_permission(collection, origin):
    response = await preflight(collection, origin)
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert response.headers["vary"] == "origin", "what is kept for one origin is not shown to another"


async def test_a_page_sends_to_its_own_source_and_sees_the_answer(collection):
    response = await post(collection, body_of(track()), "/v1/b", key="shop", origin=PAGE)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["access-control-expose-headers"] == "retry-after", "else it cannot wait as it is told to"
    assert "access-control-allow-credentials" not in response.headers
    assert collection.kept.names == ["Product Viewed"]


@pytest.mark.parametrize(
    ("key", "origin"), [("shop", ELSEWHERE), ("shop", "null"), ("till", PAGE), ("till", ELSEWHERE)]
)
async def test_a_page_that_its_source_does_not_take_is_refused_and_nothing_is_stored(collection, key, origin):
    """Bodies labelled text/plain need no preflight, so this is where it is decided."""
    response = await post(collection, body_of(track()), key=key, origin=origin, content_type="text/plain")
    assert told(response) == (403, "ORIGIN_REFUSED")
    assert ("access-control-allow-origin" in response.headers) is (origin == PAGE)
    assert collection.kept.events == []


async def test_a_server_sends_to_a_source_of_pages_too(collection):
    """The negative control: without an Origin header it comes from no page."""
    assert (await post(collection, body_of(track()), key="shop")).status_code == 200
    assert (await post(collection, body_of(track()))).status_code == 200


async def test_a_page_sees_why_it_is_refused(collection):
    for response in (
        await post(collection, b"{", key="shop", origin=PAGE),
        await post(collection, b" " * 600_000, key="shop", origin=PAGE),
        await post(collection, body_of(track()), key="wk_nobodys", origin=PAGE),
        await post(collection, body_of(track()), "/v1/nothing", key="shop", origin=PAGE),
    ):
        assert response.status_code >= 400
        assert response.headers["access-control-allow-origin"] == PAGE


async def test_a_disabled_source_opens_no_origin(collection):
    await collection.sources.disable("shop")
    assert "access-control-allow-origin" not in (await preflight(collection, PAGE)).headers


async def settings(collection, key=None, method="GET", **headers):
    return await collection.client.request(method, f"/v1/projects/{key or collection.shop}/settings", headers=headers)


async def test_the_settings_say_where_events_go_and_load_nothing_else(collection):
    response = await settings(collection, origin=PAGE)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["vary"] == "origin"
    assert response.headers["cache-control"] == "public, max-age=60"
    found = response.json()
    segment = found["integrations"]["Segment.io"]
    assert segment["apiKey"] == collection.shop
    assert (segment["protocol"], segment["apiHost"]) == ("http", "confide.example/v1")
    assert set(found["integrations"]) == {"Segment.io"}
    assert found["remotePlugins"] == []
    assert found["middlewareSettings"] == {}
    assert found["metrics"]["sampleRate"] == 0


async def test_the_settings_name_the_origin_that_the_operator_says(collection):
    collection.client, _ = collection.made(origin="https://events.example:8443")
    segment = (await settings(collection, host="evil.example")).json()["integrations"]["Segment.io"]
    assert (segment["protocol"], segment["apiHost"]) == ("https", "events.example:8443/v1")


@pytest.mark.parametrize("host", ["", "a b", "x/y", "evil.example\\@x", "<script>", "a:b", "x" * 300])
async def test_a_host_that_is_none_gets_no_settings(collection, host):
    assert told(await settings(collection, host=host)) == (404, "NOT_FOUND")


async def test_settings_are_only_for_good_keys_and_their_origins(collection):
    assert told(await settings(collection, "wk_nobodys")) == (404, "NOT_FOUND")
    assert told(await settings(collection, collection.hook)) == (404, "NOT_FOUND")
    assert told(await settings(collection, "%00")) == (404, "NOT_FOUND")
    assert told(await settings(collection, "x" * 5000)) == (404, "NOT_FOUND")
    assert told(await settings(collection, origin=ELSEWHERE)) == (403, "ORIGIN_REFUSED")
    assert (await settings(collection, method="HEAD")).status_code == 200
    assert (await settings(collection, method="OPTIONS", origin=PAGE)).status_code == 200


def test_the_settings_are_json_whatever_the_key():
    from server.collection.sdk_settings import settings_for  # noqa: PLC0415 - the one use

    found = json.loads(settings_for('"</script>', "https", "x"))
    assert found["integrations"]["Segment.io"]["apiKey"] == '"</script>'
