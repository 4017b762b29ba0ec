"""A controller: sends requests over a platform of its own, and checks what it is answered with openssl."""

import base64
import contextlib
import dataclasses
import json
import subprocess
import uuid

import httpx
from starlette.applications import Starlette

from server.opendsr import opendsr_routes
from server.platform import open_platform
from server.settings import Settings

ORIGIN = "http://privacy.example"
LATER = "2026-10-02T15:00:00Z"


def key_pair(directory):
    """A key and a certificate as an operator has them."""
    key, certificate = directory / "opendsr.key", directory / "opendsr.pem"
    names = ["-subj", "/CN=privacy.example", "-days", "2"]
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *made, *names], check=True, capture_output=True)
    key.chmod(0o600)
    return key, certificate


def proves(certificate, directory, body, signature):
    """Whether a signature is good, by somebody else's reading."""
    for name, data in (("body", body), ("sig", base64.b64decode(signature)), ("cert.pem", certificate)):
        (directory / name).write_bytes(data)
    public = subprocess.run(
        ["openssl", "x509", "-in", str(directory / "cert.pem"), "-pubkey", "-noout"], check=True, capture_output=True
    ).stdout
    (directory / "pub.pem").write_bytes(public)
    told = ["-verify", str(directory / "pub.pem"), "-signature", str(directory / "sig"), str(directory / "body")]
    return subprocess.run(["openssl", "dgst", "-sha256", *told], check=False, capture_output=True).returncode == 0


class Controller:
    """One that calls with a token of a service account."""

    def __init__(self, platform, client, account, token):
        self.platform = platform
        self.client = client
        self.account = account
        self.head = {"authorization": f"Bearer {token}"}

    @staticmethod
    def asks(email, kind="erasure", **other):
        return {
            "regulation": "gdpr",
            "subject_request_id": str(uuid.uuid4()),
            "subject_request_type": kind,
            "submitted_time": LATER,
            "subject_identities": [{"identity_type": "email", "identity_value": email, "identity_format": "raw"}],
            "api_version": "1.0",
            **other,
        }

    async def send(self, said):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return await self.client.post("/opendsr/requests", content=body, headers=self.head)

    async def status(self, said):
        found = await self.client.get(f"/opendsr/requests/{said['subject_request_id']}", headers=self.head)
        return found.json().get("request_status", found.status_code)

    async def cancel(self, said):
        return await self.client.delete(f"/opendsr/requests/{said['subject_request_id']}", headers=self.head)

    def naming(self, origin):
        """The same controller, of a server whose operator has named an origin of a private network."""
        return self.beside(outgoing_allowed=(origin,))

    @contextlib.asynccontextmanager
    async def beside(self, **settings):
        """The same controller, of another server over the same databases."""
        settings = self.platform.settings.model_copy(update=settings)
        app = Starlette(routes=opendsr_routes(dataclasses.replace(self.platform, settings=settings)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
            named = Controller(self.platform, client, self.account, "")
            named.head = self.head
            yield named

    async def another(self, name, roles=("request_sender",)):
        """Another controller of the same platform."""
        account, token = await self.platform.accounts.create(name, roles=roles)
        await self.platform.accounts.load()
        return Controller(self.platform, self.client, account, token)


@contextlib.asynccontextmanager
async def controlling(uri, mongo, directory, pair, **settings):
    """A platform of its own with OpenDSR on, and a controller."""
    run = f"o{uuid.uuid4().hex[:12]}"
    names = {part: f"{run}_{part}" for part in ("main", "keys", "audit")}
    databases = {f"{part}_database": name for part, name in names.items()}
    more = {"opendsr_origin": ORIGIN, "opendsr_key": pair[0], "opendsr_certificate": pair[1], **settings}
    try:
        async with open_platform(Settings(mongo_uri=uri, data_dir=directory, **databases, **more)) as platform:
            await platform.authenticator.reload()
            account, token = await platform.accounts.create("partner", roles=["request_sender"])
            await platform.accounts.load()
            app = Starlette(routes=opendsr_routes(platform))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                yield Controller(platform, client, account, token)
    finally:
        for name in names.values():
            await mongo.drop_database(name)


def officer(platform, actor="ana"):
    """The access of somebody who answers for privacy."""
    return platform.access(actor, ("privacy_officer",), "privacy_request")
