"""HashiCorp Vault's Transit engine, as far as a root key uses it: real keys with versions, behind real HTTP.

Ciphertexts are `vault:v<version>:<base64 of nonce, ciphertext and tag>` under AES-256-GCM, as Transit's
`aes256-gcm96` makes them; refusals have Vault's statuses and error texts.
"""

import base64
import binascii
import contextlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "s.test-token"


class Transit:
    """The engine's state and its operations; each returns a status and a body."""

    def __init__(self):
        self.keys = {}
        self.sealed = False
        self.seen = []

    def create(self, name):
        self.keys[name] = {"versions": {1: os.urandom(32)}, "least": 1}

    def rotate(self, name):
        versions = self.keys[name]["versions"]
        versions[max(versions) + 1] = os.urandom(32)

    def config(self, name, least):
        self.keys[name]["least"] = least

    def encrypt(self, name, body):
        if name not in self.keys:  # making a key takes a capability that the token has not
            return 403, ["1 error occurred:\n\t* permission denied\n\n"]
        versions = self.keys[name]["versions"]
        newest, nonce = max(versions), os.urandom(12)
        aad = base64.b64decode(body.get("associated_data", ""))
        sealed = nonce + AESGCM(versions[newest]).encrypt(nonce, base64.b64decode(body["plaintext"]), aad)
        return 200, {"ciphertext": f"vault:v{newest}:{base64.b64encode(sealed).decode()}", "key_version": newest}

    def decrypt(self, name, body):
        if name not in self.keys:
            return 400, ["encryption key not found"]
        parts = body["ciphertext"].split(":")
        if len(parts) != 3 or parts[0] != "vault" or not parts[1].startswith("v"):
            return 400, ["invalid ciphertext: no prefix"]
        version = int(parts[1][1:])
        if version < self.keys[name]["least"]:
            return 400, ["ciphertext or signature version is disallowed by policy (too old)"]
        if version not in self.keys[name]["versions"]:
            return 400, ["invalid ciphertext: version is too new"]
        try:
            sealed = base64.b64decode(parts[2], validate=True)
        except binascii.Error:
            return 400, ["invalid ciphertext: could not decode base64"]
        aad = base64.b64decode(body.get("associated_data", ""))
        try:
            plaintext = AESGCM(self.keys[name]["versions"][version]).decrypt(sealed[:12], sealed[12:], aad)
        except InvalidTag:
            return 400, ["cipher: message authentication failed"]
        return 200, {"plaintext": base64.b64encode(plaintext).decode()}

    def rewrap(self, name, body):
        status, answer = self.decrypt(name, body)
        return self.encrypt(name, {**body, **answer}) if status == 200 else (status, answer)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        transit = self.server.transit
        transit.seen.append((self.path, dict(self.headers)))
        if transit.sealed:
            return self._answer(503, ["Vault is sealed"])
        if self.headers.get("X-Vault-Token") != TOKEN:
            return self._answer(403, ["permission denied"])
        parts = self.path.split("/")
        if len(parts) != 5 or parts[1:3] != ["v1", "transit"] or parts[3] not in {"encrypt", "decrypt", "rewrap"}:
            return self._answer(404, [])
        return self._answer(*getattr(transit, parts[3])(parts[4], body))

    def _answer(self, status, answer):
        data = json.dumps({"data": answer} if status == 200 else {"errors": answer}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def transit_server() -> Iterator[tuple[Transit, str]]:
    """The engine and its address, for the length of a block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.transit = Transit()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.transit, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
