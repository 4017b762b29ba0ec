"""Exports of the access log as `confide serve` gives them: asked for over GraphQL, fetched over HTTP, verified."""

import asyncio
import base64
import time
from hashlib import sha256

import pytest

from audit import Kind, Outcome, verify_bundle
from tests.server.processes.deployment import NAMES, READER
from tests.server.processes.erasure_rounds import NAME

START = "mutation Take($input: ExportAccessLogInput!) { exportAccessLog(input: $input) { export { id url stage } } }"
STATE = "query How($id: ID!) { accessLogExport(id: $id) { stage url size sha256 message } }"
AUDIT = ("auditor", "audit")


async def started(site, server, **given):
    answer = await site.ask(server, AUDIT, START, case="AUD-7", input=given)
    assert answer.code is None, answer.body
    return answer.data["exportAccessLog"]["export"]


async def finished(site, server, job, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = await site.ask(server, AUDIT, STATE, id=job)
        assert answer.code is None, answer.body
        state = answer.data["accessLogExport"]
        if state["stage"] in ("DONE", "FAILED"):
            return state
        await asyncio.sleep(0.05)
    raise AssertionError("the export did not end")


async def fetch(site, server, url, actor="auditor.tester", role="auditor", purpose="audit", **headers):
    token = site.token(actor, role)
    sent = {"authorization": f"Bearer {token}", "confide-purpose": purpose, **headers}
    return await server.client.get(url, headers={name: value for name, value in sent.items() if value})


@pytest.fixture(scope="module")
async def server(shared):
    server = await shared.served()
    customer = await shared.create(server, givenName=NAME)
    answer = await shared.ask(server, READER, NAMES, id=customer)
    assert answer.code is None
    return server


@pytest.fixture(scope="module")
async def done(shared, server):
    """A finished export: its id and what GraphQL says of it."""
    job = await started(shared, server)
    return job["id"], await finished(shared, server, job["id"])


async def test_an_export_is_fetched_and_verified_with_the_printed_key(shared, server, done, tmp_path):
    job, state = done
    assert (state["stage"], state["url"], state["message"]) == ("DONE", f"/exports/{job}", None)
    response = await fetch(shared, server, state["url"], **{"confide-case": "AUD-8"})
    assert response.status_code == 200
    headers = response.headers
    assert headers["content-type"] == "application/zip"
    assert headers["content-disposition"].startswith('attachment; filename="confide-access-log-')
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert int(headers["content-length"]) == len(response.content) == state["size"]
    digest = sha256(response.content)
    assert digest.hexdigest() == state["sha256"]
    assert headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert NAME.encode() not in response.content
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(response.content)
    key = (await shared.confide("audit", "key")).out.strip()
    found = verify_bundle(bundle, key, witness=shared.data / "witness")
    assert found, found.faults
    verdict = await shared.confide("audit", "verify", bundle, "--key", key)
    assert verdict.code == 0, verdict.out
    fetched = [each for each in (await shared.records()).values() if each.operation == "ExportDownload"]
    assert [(each.kind, each.outcome, each.case) for each in fetched] == [(Kind.EXPORT, Outcome.ALLOWED, "AUD-8")]


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ({"authorization": ""}, 401, "UNAUTHENTICATED"),
        ({"authorization": "Bearer none"}, 401, "UNAUTHENTICATED"),
        ({"purpose": ""}, 400, "PURPOSE_REQUIRED"),
        ({"purpose": "fun"}, 403, "PURPOSE_UNKNOWN"),
        ({"purpose": "customer_service"}, 403, "FORBIDDEN"),
        ({"role": "support_agent"}, 403, "FORBIDDEN"),
        ({"confide-case": "because Ada asked"}, 400, "INPUT_INVALID"),
        ({"actor": "otto.audit"}, 404, "NOT_FOUND"),
    ],
)
async def test_who_may_not_have_it_is_told_why_and_gets_nothing(shared, server, done, who, status, code):
    before = await shared.records()
    response = await fetch(shared, server, done[1]["url"], **who)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"code", "message"}
    assert response.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in response.headers) is (status == 401)
    after = await shared.records()
    new = [(each.kind, each.outcome) for entry, each in after.items() if entry not in before]
    recorded = {"FORBIDDEN": Outcome.REFUSED, "NOT_FOUND": Outcome.NOT_FOUND}.get(code)
    assert new == ([] if recorded is None else [(Kind.EXPORT, recorded)])


@pytest.mark.parametrize("path", ["/exports/" + "0" * 32, "/exports/..%2Faudit.keys", "/exports/audit.keys"])
async def test_what_is_no_export_is_not_found(shared, server, path):
    response = await fetch(shared, server, path)
    assert response.status_code == 404
    assert response.content.find(b"confide-") == -1


async def test_another_method_is_not_allowed(server, done):
    assert (await server.client.post(done[1]["url"])).status_code == 405


async def test_a_restarted_server_still_has_what_was_finished_and_says_of_the_rest_that_it_failed(site):
    server = await site.served()
    whole = (await started(site, server))["id"]
    assert (await finished(site, server, whole))["stage"] == "DONE"
    job = (await started(site, server))["id"]
    await server.kill()
    again = await site.served()
    assert (await fetch(site, again, f"/exports/{whole}")).status_code == 200
    state = await finished(site, again, job)
    if state["stage"] == "FAILED":  # it may have been quicker than the kill
        assert "Start another" in state["message"]
        assert (await fetch(site, again, f"/exports/{job}")).status_code == 409
    left = {each.suffix for each in (site.data / "exports").iterdir()}
    assert left == {".json", ".zip"}
