"""What staff's documents look like: frozen bytes of version 1 are read, and today's code writes just the same."""

import base64
import json
from datetime import UTC, datetime, timedelta
from hashlib import shake_256
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher

from customers.oversight import openings
from customers.oversight.openings import Judgement, Opening, Review
from server.console.sessions import Door, Sessions
from server.console.staff.accounts import StaffAccounts
from server.console.staff.invitations import Invitations
from server.console.staff.local import LocalDoor
from server.console.staff.passwords import Passwords
from server.console.staff.tries import Tries
from vault.digest import DigestKey
from vault.envelope import TokenKey

VECTORS = Path(__file__).parent / "vectors" / "staff.json"
NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
SERVICE_KEY = bytes(range(32))
PASSWORD = "quiet harbour lantern seven"


class Counted:
    """Bytes that are the same in every run."""

    def __init__(self):
        self._asked = 0

    def __call__(self, size):
        self._asked += 1
        return shake_256(str(self._asked).encode()).digest(size)


class Deployment:
    """What keeps staff's documents, over a service key that everybody knows and a clock that stands still."""

    def __init__(self, keys):
        self.keys, self.at, random = keys, NOW, Counted()
        tokens = TokenKey(SERVICE_KEY, random=random)
        self.seal_token, self.open_token = tokens.seal, tokens.open
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        self.sessions = Sessions(keys, self, now=self.now, random=random)
        self.accounts = StaffAccounts(keys, self, passwords, now=self.now, random=random)
        self.invitations = Invitations(keys, self.accounts, passwords, now=self.now, random=random)
        self.tries = Tries(keys, DigestKey(SERVICE_KEY).digest, now=self.now)
        self.local = LocalDoor(self.accounts, passwords, self.tries, now=self.now)

    def now(self):
        return self.at

    async def write(self):
        """One document of each kind; what their owners alone are told is given back."""
        ana = await self.accounts.add("ana", PASSWORD, roles=["support_agent"], regions=["north"])
        await self.accounts.add("bob", None, roles=["auditor"])
        invitation = await self.invitations.invite("bob")
        await self.accounts.vouched("sso:carla", "https://idp.example", "248289761001", ["auditor"])
        local, session = await self.sessions.open("staff:ana", door=Door.LOCAL, said={"generation": 1})
        session.purpose, session.case = "customer_service", "T-77"
        await self.sessions.save(session)
        for _ in range(5):
            await self.tries.begin("mallory")
        review = Review("hugo", NOW + timedelta(hours=2), Judgement.JUSTIFIED, "The call is on tape.", "main.8")
        opening = Opening(
            "bgl_aaaabbbbccccdddd", "staff:ana", ("support_agent",), "T-77", NOW, NOW + timedelta(minutes=15), None,
            "Somebody on line two is hurt.", "main.7", None,
        )  # fmt: skip
        broken = openings.document(self, opening)
        broken |= {"waits": False, "review": openings.reviewed(self, opening.id, review)}
        return {"secret": ana.secret, "invitation": invitation.code, "session": local}, broken

    async def documents(self, broken):
        found = {
            name: await self.keys[name].find({}).sort("_id", 1).to_list(None)
            for name in ("staff", "staff_sessions", "staff_tries")
        }
        return {**found, "break_glass": [broken]}


def shown(value):
    """A document as JSON has it: bytes and moments by name."""
    if isinstance(value, dict):
        return {name: shown(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [shown(each) for each in value]
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    return {"$moment": value.isoformat()} if isinstance(value, datetime) else value


def stored(value):
    """As `shown`, backwards."""
    if isinstance(value, list):
        return [stored(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$bytes"}:
        return base64.b64decode(value["$bytes"])
    if set(value) == {"$moment"}:
        return datetime.fromisoformat(value["$moment"])
    return {name: stored(each) for name, each in value.items()}


@pytest.fixture
def frozen():
    return json.loads(VECTORS.read_text())


@pytest.fixture
def deployment(databases):
    return Deployment(databases.keys)


async def test_what_is_written_today_is_what_was_frozen(deployment, frozen):
    told, broken = await deployment.write()
    found = shown(await deployment.documents(broken))
    assert told == frozen["told"]
    # Argon2 salts by itself; what it made is tried below.
    for documents in (found["staff"], frozen["documents"]["staff"]):
        for each in documents:
            assert (each.pop("password", None) is not None) == (each["_id"] == "staff:ana")
    assert found == frozen["documents"]


async def restored(deployment, frozen):
    """The frozen documents, as a database has them."""
    for name in ("staff", "staff_sessions", "staff_tries"):
        await deployment.keys[name].insert_many([stored(each) for each in frozen["documents"][name]])
    return frozen["told"]


async def test_frozen_documents_sign_in_are_invited_and_hold_back(deployment, frozen):
    told = await restored(deployment, frozen)
    code = pyotp.TOTP(told["secret"]).at(NOW)
    assert (await deployment.local.enter("ana", PASSWORD, code)).regions == {"north"}
    assert (await deployment.invitations.show("bob", told["invitation"])).member.roles == ("auditor",)
    assert await deployment.accounts.of_subject("https://idp.example", "248289761001") == ["sso:carla"]
    session = await deployment.sessions.find(told["session"])
    assert (session.actor, session.purpose, session.case) == ("staff:ana", "customer_service", "T-77")
    with pytest.raises(Exception, match="Too many tries with this name"):
        await deployment.tries.begin("mallory")
    opening = openings.read(deployment, stored(frozen["documents"]["break_glass"][0]))
    assert (opening.reason, opening.review.note) == ("Somebody on line two is hurt.", "The call is on tape.")


async def test_a_frozen_document_that_was_moved_to_another_place_opens_nothing(deployment, frozen):
    moved = json.loads(json.dumps(frozen))
    (session,) = moved["documents"]["staff_sessions"]
    session["_id"] = {"$bytes": base64.b64encode(bytes(32)).decode()}
    by_name = {each["_id"]: each for each in moved["documents"]["staff"]}
    by_name["staff:bob"]["totp"] = by_name["staff:ana"]["totp"]
    told = await restored(deployment, moved)
    assert await deployment.sessions.find(told["session"]) is None
    with pytest.raises(Exception, match="token"):
        await deployment.invitations.show("bob", told["invitation"])
    opening = stored(moved["documents"]["break_glass"][0]) | {"_id": "bgl_ddddccccbbbbaaaa"}
    with pytest.raises(Exception, match="token"):
        openings.read(deployment, opening)
