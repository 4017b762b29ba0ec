"""What running processes write down: logs, standard error, and every byte of the data directory and the engine in it."""

import base64
import contextlib
import csv
import re

import pytest

from server.database import close, connect
from server.engine import EmbeddedEngine
from tests.server.processes.deployment import (
    CONSENT,
    CREATE,
    ERASE,
    FIND,
    NAMES,
    READER,
    SUPPORT,
    UPDATE,
    WRITER,
    deployed,
)

PERSON = {
    "givenName": "Canaryella",
    "familyName": "Kanarienvogel",
    "email": "canaryella.bird@aviary-canary.example",
    "phone": "+4915199887766",
    "street": "Canary Wharf 4711",
    "city": "Canarytown",
    "birthDate": "1987-06-05",
    "nationalId": "CANARY-ID-0815",
    "notes": ["She sang a canary song on the telephone"],
    "traits": {"canary_trait": "canary trait value"},
}
SENT = {
    "in a document": "Canary-in-a-document",
    "in a variable": "Canary-in-a-variable",
    "as a purpose": "canary_as_a_purpose",
    "as a case": "canary as a case, not a number",
    "in a path": "canary-in-a-path",
    "in a body": "canary-in-a-broken-body",
    "as a token": "canary-as-a-token",
}
IMPORTED = ["canary.imported@aviary-canary.example", "Canarimport", "canary.rejected@aviary"]
PLANTED = "Canary-that-was-planted-in-clear"


def texts(values):
    for value in values:
        yield from texts(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]


VALUES = [*texts(PERSON.values()), *IMPORTED]


def disguises(value):
    """A value as it may stand in a file: plain, UTF-16, hexadecimal, base64 at any offset."""
    raw = value.encode()
    yield from (raw, value.lower().encode(), value.encode("utf-16-le"), raw.hex().encode())
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw)
        yield encoded[4 if offset else 0 : len(encoded) - 4]


def leaks(directory, values):
    """Which values stand in which files below a directory."""
    found = set()
    for path in directory.rglob("*"):
        if path.is_file():
            # Files are made long beforehand; what is written in them is little.
            data = re.sub(rb"\0{64,}", b"\0", path.read_bytes())
            found |= {(value, path.name) for value in values if any(each in data for each in disguises(value))}
    return found


async def misuse(site, server, customer):
    """Send canaries wherever a client may send anything."""
    for query in (
        f'{{ profile(id: "{SENT["in a document"]}") {{ id }} }}',
        f'{{ nothing(called: "{SENT["in a document"]}") }}',
        f"{{ profile(id: 1.5e400) {{ givenName }} }} # {SENT['in a document']}",
    ):
        await site.ask(server, READER, query)
    await site.ask(server, WRITER, CREATE, input={"values": {"email": SENT["in a variable"]}})
    await site.ask(server, WRITER, UPDATE, input={"id": customer, "values": {"birthDate": SENT["in a variable"]}})
    await site.ask(server, ("support_agent", SENT["as a purpose"]), NAMES, id=customer)
    await site.ask(server, READER, NAMES, case=SENT["as a case"], id=customer)
    await server.ask(NAMES, {"id": customer}, token=SENT["as a token"], purpose="marketing")
    await server.client.get(f"/{SENT['in a path']}?email={SENT['in a path']}")
    await server.client.post("/graphql", content=f'{{"query": "{SENT["in a body"]}', headers={"content-type": "text"})
    # Taken already: the driver's own words about a duplicate key name the key.
    await site.ask(server, WRITER, CREATE, input={"values": {"email": PERSON["email"]}})


async def live(site, server):
    """What happens to a customer."""
    customer = (await site.ask(server, WRITER, CREATE, input={"values": PERSON})).data["createProfile"]["profile"][
        "id"
    ]
    consent = {"purpose": "marketing", "source": "form"}
    await site.ask(server, WRITER, CONSENT, id=customer, choice="GRANTED", consent=consent)
    await site.ask(server, WRITER, UPDATE, input={"id": customer, "values": {"familyName": PERSON["familyName"]}})
    for who in (READER, SUPPORT, ("marketer", "marketing"), ("executive", "business_reporting")):
        await site.ask(server, who, NAMES, id=customer)
    found = await site.ask(server, SUPPORT, FIND, value=PERSON["email"])
    assert found.data["profileByIdentifier"]["email"] == PERSON["email"]
    await misuse(site, server, customer)


@pytest.mark.timeout(90)
async def test_no_log_and_no_byte_of_the_data_directory_or_the_engine_holds_a_value_or_a_token(processes, tmp_path):
    engine = await EmbeddedEngine.start(tmp_path / "engine")
    async with (
        contextlib.AsyncExitStack() as stack,
        deployed(tmp_path / "site", processes, uri=engine.uri) as site,
    ):
        stack.push_async_callback(engine.kill)
        site.environment["CONFIDE_LOG_LEVEL"] = "DEBUG"
        source = tmp_path / "people.csv"
        with source.open("w", newline="") as file:
            csv.writer(file).writerows([["email", "given_name"], [IMPORTED[0], IMPORTED[1]], [IMPORTED[2], "x"]])
        assert (await site.confide("import", source)).code == 3
        server = await site.served()
        await live(site, server)
        await server.kill()
        server = await site.served()
        customer = (await site.ask(server, READER, FIND, value=PERSON["email"])).data["profileByIdentifier"]["id"]
        assert (await site.ask(server, READER, ERASE, id=customer)).code is None
        # The controls: what is looked for is found where it is.
        client = connect(engine.uri)
        await client["planted"]["things"].insert_one({"value": PLANTED, "next": "x" * 100})
        await close(client)
        (site.logs / "planted.err").write_text(f"an error about {PLANTED}")
        # It has no time to tidy up, so that journal and oplog are there to be read.
        await engine.kill()
        await site.ask(server, READER, FIND, value=PERSON["email"])
        await server.kill()

        written = "".join(path.read_text() for path in site.logs.glob("*serve.err"))
        assert written.count('"event":"request"') > 15, "there are logs to look through"
        signatures = [token.split(".")[2] for token in site._tokens.values()]
        root = (site.data / "root.key").read_text().strip()
        looked_for = [*VALUES, *SENT.values(), *signatures, PLANTED]
        assert leaks(site.logs, [*looked_for, root]) == {(PLANTED, "planted.err")}
        assert leaks(site.data, looked_for) == set()
        found = leaks(tmp_path / "engine", [*looked_for, root])
        assert {value for value, _ in found} == {PLANTED}
        files = {name.partition(".")[0] for _, name in found}
        assert "WiredTigerLog" in files, "the journal was looked through"
        assert (tmp_path / "engine" / "secantus_oplog.wt").exists()
