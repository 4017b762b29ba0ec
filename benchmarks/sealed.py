"""The sealed part alone: opening 12 sealed fields of one person, by Confide and by MongoDB's client-side encryption.

Both in this process, both with all keys at hand: no database, no policy, no GraphQL. MongoDB's field level encryption
is asked twice: explicitly, field by field as an application does (`ClientEncryption.decrypt`), and natively, the whole
document in one call of libmongocrypt as the driver itself does for a query's answers. One data key serves all its
people, which favours it: Confide has one for each, so that each can be erased.
"""

import gc
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import bson
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.encryption import Algorithm, ClientEncryption
from pymongo.encryption_options import AutoEncryptionOpts

from policies import load_policies
from vault import DataKey

__all__ = ["sealed"]

_PEOPLE = 100
_COLLECTION = "profiles"
_SCHEMA = 1
_VALUES: dict[str, Any] = {
    "given_name": "Aurelia",
    "family_name": "Steinbrenner",
    "email": "aurelia.steinbrenner@example.org",
    "phone": "+49 30 5550 1234",
    "street": "Lindenstraße 112",
    "postal_code": "10969",
    "city": "Berlin",
    "birth_date": "1984-02-29",
    "language": "de",
    "national_id": "T220001293",
    "notes": ["Asked to be called after six."],
    "traits": {"newsletter": "weekly", "shoe_size": 39},
}
_NONCE_AND_TAG = 28


def sealed(mongo_uri: str, *, rounds: int, seconds: float) -> dict[str, Any]:
    """CPU in microseconds for one person's 12 fields, round by round in turn; and what AES alone takes of it.

    Args:
        mongo_uri: An engine that keeps MongoDB's key vault.
        rounds: How often each is measured.
        seconds: How long each time.
    """
    own, envelopes = _confide()
    explicit, native = _csfle(mongo_uri)
    workings: dict[str, Callable[[], object]] = {"confide": own, "explicit": explicit, "native": native}
    taken: dict[str, list[float]] = {name: [] for name in workings}
    gc.collect()
    for working in workings.values():
        working()
    for _ in range(rounds):
        for name, working in workings.items():
            taken[name].append(_per_person(working, seconds))
    ratios = {
        name: [other / mine for mine, other in zip(taken["confide"], taken[name], strict=True)]
        for name in ("explicit", "native")
    }
    sizes = [len(each) for each in envelopes]
    return {
        "groups": len(sizes),
        "bytes": sum(sizes),
        "rounds": rounds,
        "cpu_us": {name: round(statistics.median(each), 2) for name, each in taken.items()},
        "times": {name: round(statistics.median(each), 2) for name, each in ratios.items()},
        "times_low": {name: round(min(each), 2) for name, each in ratios.items()},
        "times_high": {name: round(max(each), 2) for name, each in ratios.items()},
        "floor_us": round(sum(_floor(sizes).values()), 2),
    }


def _per_person(working: Callable[[], object], seconds: float) -> float:
    """Microseconds of processor time for a person, of a working that takes `_PEOPLE`."""
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        working()
        count += 1
    return 1e6 * (time.process_time() - used) / (count * _PEOPLE)


def _confide() -> tuple[Callable[[], object], list[bytes]]:
    """Opens the groups that hold the 12 fields, of each of the people with their own key."""
    fields = load_policies().catalogue.fields
    groups: dict[str, dict[str, Any]] = {}
    for name, value in _VALUES.items():
        group = fields[f"profile.{name}"].group
        if group is None:
            raise SystemExit(f"{name} is not sealed")
        stored = date.fromisoformat(value) if name == "birth_date" else value
        groups.setdefault(group, {})[name] = stored
    people = []
    for number in range(_PEOPLE):
        customer_id = f"cus_{number:026d}"
        key = DataKey.fresh(tenant="main", customer_id=customer_id, leaf=number, random=os.urandom)
        envelopes = {
            group: key.seal(_COLLECTION, customer_id, group, _SCHEMA, values) for group, values in groups.items()
        }
        people.append((key, customer_id, envelopes))
        if key.open_groups(envelopes, _COLLECTION, customer_id, tuple(groups), _SCHEMA) != _VALUES:
            raise SystemExit("the groups do not hold the 12 fields")
    names = tuple(groups)

    def open_all() -> None:
        for key, customer_id, envelopes in people:
            key.open_groups(envelopes, _COLLECTION, customer_id, names, _SCHEMA)

    return open_all, list(people[0][2].values())


def _csfle(uri: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """The two ways in which PyMongo decrypts."""
    providers = {"local": {"key": os.urandom(96)}}
    vault = "benchmark.key_vault"
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    explicit = ClientEncryption(providers, vault, client, CodecOptions())
    key = explicit.create_data_key("local")
    people = [
        {
            name: explicit.encrypt(value, Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Random, key_id=key)
            for name, value in _VALUES.items()
        }
        for _ in range(_PEOPLE)
    ]
    options = AutoEncryptionOpts(providers, vault, bypass_auto_encryption=True)
    automatic: MongoClient[dict[str, Any]] = MongoClient(uri, auto_encryption_opts=options)
    encrypter = automatic._encrypter  # noqa: SLF001 - what the driver itself calls for every answer; it has no public name
    if encrypter is None:
        raise SystemExit("PyMongo has no encrypter")
    documents: Sequence[bytes] = [bson.encode(each) for each in people]

    def field_by_field() -> None:
        for person in people:
            for value in person.values():
                explicit.decrypt(value)

    def whole() -> None:
        for document in documents:
            bson.decode(encrypter.decrypt(document))

    if bson.decode(encrypter.decrypt(documents[0])) != _VALUES or explicit.decrypt(people[0]["city"]) != "Berlin":
        raise SystemExit("MongoDB's encryption does not give the 12 fields back")
    return field_by_field, whole


def _floor(sizes: Sequence[int]) -> dict[int, float]:
    """Microseconds that AES-256-GCM by itself takes for envelopes of these sizes, as `openssl speed` says."""
    found: dict[int, float] = {}
    for number, size in enumerate(sizes):
        payload = max(16, size - _NONCE_AND_TAG)
        command = ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(payload), "-evp", "aes-256-gcm"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rates = re.findall(r"^\+F:.*:([\d.]+)$", said, re.MULTILINE)
        if not rates:
            raise SystemExit(f"openssl says nothing: {said}")
        found[number] = 1e6 * payload / float(rates[-1])
    return found
