import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from schema.graphiql import ASSETS, GraphiQL, digest_of, manifest


async def get(path="/graphiql/", method="GET", headers=None, **options):
    app = Starlette(routes=[Mount("/graphiql", GraphiQL(**options))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path, headers=headers)


def test_every_file_served_is_the_one_the_manifest_names():
    assert {name: digest_of(name) for name in manifest()} == manifest()


def test_negative_control_a_changed_file_is_seen(tmp_path, monkeypatch):
    for path in ASSETS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "start.js").write_bytes((ASSETS / "start.js").read_bytes() + b" ")
    monkeypatch.setattr("schema.graphiql.ASSETS", tmp_path)
    assert {name: digest_of(name) for name in manifest()} != manifest()


def test_the_manifest_is_complete_with_licences_and_small():
    files = {path.name for path in ASSETS.iterdir()}
    assert files == {*manifest(), "MANIFEST", "README.md", "LICENSE.graphiql", "LICENSE.react"}
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 2_500_000
    for name in manifest():
        assert name in (ASSETS / "README.md").read_text(encoding="utf-8")


async def test_the_page_runs_only_what_has_its_nonce_and_speaks_to_this_server_alone():
    page = await get(random=bytes)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    nonce = "A" * 24
    assert (
        policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    )
    assert policy["script-src"] == policy["style-src-elem"] == f"'nonce-{nonce}'"
    assert policy["connect-src"] == "'self'"
    assert page.headers["cache-control"] == "no-store"
    tags = re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", page.text)
    assert len(tags) == 6
    assert all(f'nonce="{nonce}"' in tag for tag in tags)
    assert not re.search(r"<script[^>]*>[^<]", page.text)


async def test_every_page_has_a_nonce_of_its_own():
    nonces = {re.search(r'nonce="([^"]+)"', (await get()).text)[1] for _ in range(3)}
    assert len(nonces) == 3


async def test_page_and_start_fetch_nothing_from_elsewhere():
    page = await get()
    for link in re.findall(r'(?:src|href)="([^"]*)"', page.text):
        assert link.startswith("/graphiql/") or link == "data:,"
        if link != "data:,":
            assert (await get(link)).status_code == 200
    for name in ("start.js", "start.css", "graphiql.min.css"):
        assert not re.search(r"url\((?!data:)|https?://|@import", (ASSETS / name).read_text(encoding="utf-8"))


async def test_the_page_says_what_a_request_needs_and_escapes_what_it_is_given():
    page = await get()
    assert "Authorization" in page.text
    assert "Confide-Purpose" in page.text
    page = await get(query='"><script>alert(1)</script>', endpoint='/"x')
    assert "<script>alert" not in page.text
    assert 'data-endpoint="/&quot;x"' in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/graphiql/MANIFEST",
        "/graphiql/../errors.py",
        "/graphiql/%2e%2e/errors.py",
        "/graphiql/x/start.js",
        "/graphiql/no",
    ],
)
async def test_only_files_of_the_manifest_are_served(path):
    assert (await get(path)).status_code == 404


async def test_an_asset_is_sent_once_and_then_confirmed():
    first = await get("/graphiql/start.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await get("/graphiql/start.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await get("/graphiql/start.js", method="HEAD")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(first.content)))


async def test_other_methods_are_refused():
    answer = await get(method="POST")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
