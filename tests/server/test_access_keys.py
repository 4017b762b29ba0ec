"""Issuers' keys: which a JWK set gives, and what happens when the set changes, breaks or cannot be reached."""

import asyncio
import gzip
import json
import os
from datetime import timedelta

import pytest
from pydantic import SecretStr

from server.access import KeySet, RefreshingKeys, from_file, from_url, trusted_issuers
from server.access.keys import MAX_SET_BYTES
from server.errors import IssuerKeysError, IssuerUnavailableError, TokenRefusedError
from server.settings import Settings


def parse(*keys) -> KeySet:
    return KeySet.parse(json.dumps({"keys": list(keys)}).encode())


@pytest.fixture
def jwk(issuer):
    """A published key by its id, with parameters of the test's."""

    def make(kid, /, **parameters):
        issuer.published, issuer.parameters = [kid], {kid: parameters}
        return {name: value for name, value in issuer.jwks()["keys"][0].items() if value is not None}

    return make


def test_a_key_says_what_it_may_be_used_for(jwk):
    good = [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"use": "sig", "key_ops": ["verify"]}, {"alg": "RS256"}]
    for parameters in good:
        assert parse(jwk("rsa", **parameters)).candidates("RS256", "rsa")


UNUSABLE = {
    "a key for encryption": ("rsa", {"use": "enc"}),
    "a key whose use is unknown": ("rsa", {"use": "tls"}),
    "a key for other operations": ("rsa", {"key_ops": ["encrypt", "wrapKey"]}),
    "a key for no operation": ("rsa", {"key_ops": []}),
    "a key for signing only": ("rsa", {"key_ops": ["sign"]}),
    "operations that are a text": ("rsa", {"key_ops": "verify"}),
    "a key for a decryption algorithm": ("rsa", {"alg": "RSA-OAEP"}),
    "a key for a weaker hash": ("rsa", {"alg": "RS1"}),
    "an algorithm that is a list": ("rsa", {"alg": ["RS256"]}),
    "a key id that is a number": ("rsa", {"kid": 7}),
    "another curve": ("p384", {}),
    "a key for key agreement": ("x25519", {}),
    "a curve that is not there": ("ec", {"crv": None}),
    "a point off the curve": ("ec", {"x": "A" * 43}),
    "a key cut short": ("ed", {"x": "AAAA"}),
    "a type nobody knows": ("rsa", {"kty": "XYZ"}),
    "a type that is a list": ("rsa", {"kty": ["RSA"]}),
    "a modulus that is a number": ("rsa", {"n": 5}),
    "a modulus of 1024 bits": ("rsa", {"n": "_" * 171}),
    "a modulus of 2040 bits": ("rsa", {"n": "_" * 340}),
    "a modulus of 16384 bits": ("rsa", {"n": "_" * 2731}),
    "an even exponent": ("rsa", {"e": "Ag"}),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_key_like_this_is_left_aside_and_the_others_serve(jwk, fault):
    kid, parameters = UNUSABLE[fault]
    unusable, good = jwk(kid, **parameters), jwk("other-ed")
    keys, named = parse(unusable, good), unusable.get("kid")
    assert keys.candidates("Ed25519", "other-ed")
    assert [alg for alg in ("RS256", "PS256", "ES256", "Ed25519", "EdDSA") if keys.candidates(alg, named)] == []
    with pytest.raises(IssuerKeysError):
        parse(unusable)


def test_a_private_or_shared_key_is_left_aside(issuer):
    private = {**issuer.pairs["rsa"].as_dict(private=True), "kid": "rsa"}
    for leaked in (private, {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"}):
        with pytest.raises(IssuerKeysError):
            parse(leaked)


BROKEN = {
    "nothing": b"",
    "no JSON": b"<html>",
    "a list": b"[]",
    "no keys": b"{}",
    "keys that are an object": b'{"keys": {}}',
    "no key at all": b'{"keys": []}',
    "keys that are texts": b'{"keys": ["a", 1, null]}',
    "deep nesting": b"[" * 100_000,
    "too many keys": json.dumps({"keys": [{"kty": "RSA"}] * 65}).encode(),
    "too many bytes": b" " * (MAX_SET_BYTES + 1),
    "invalid UTF-8": b"\xff\xfe\xfd",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_set_is_refused(fault):
    with pytest.raises(IssuerKeysError):
        KeySet.parse(BROKEN[fault])


@pytest.fixture
async def remote(access_with, issuer, trust, web_server, clock):
    """Access that fetches the issuer's keys from its web server."""
    web_server.body = json.dumps(issuer.jwks()).encode()
    keys = RefreshingKeys(from_url(web_server.url, web_server.client), now=clock)
    return await access_with(trust(issuer, keys=keys)), keys


async def settled(keys):
    """Wait for the refresh that was started, if one was."""
    if keys._running is not None:
        await asyncio.shield(keys._running)
        await asyncio.sleep(0)


async def test_keys_are_fetched_once_for_many_tokens(remote, issuer, web_server):
    access, _ = remote
    assert web_server.requests == 0
    await asyncio.gather(*(access.who(issuer.token(jti=f"t{n}")) for n in range(50)))
    assert web_server.requests == 1


async def test_an_unknown_key_id_causes_one_fetch_in_half_a_minute(remote, issuer, web_server, clock):
    access, _ = remote
    assert await access.who(issuer.token())
    clock.forward(seconds=31)
    for number in range(50):
        with pytest.raises(TokenRefusedError):
            await access.who(issuer.token(kid=f"unknown-{number}", signer="ec"))
    assert web_server.requests == 2


async def test_a_new_key_serves_its_first_token_and_a_removed_one_soon_serves_none(remote, issuer, web_server, clock):
    access, keys = remote
    old = issuer.token()
    assert await access.who(old)
    issuer.published = ["rsa"]
    web_server.body = json.dumps(issuer.jwks()).encode()
    clock.forward(seconds=31)
    assert await access.who(issuer.token(alg="RS256", kid="rsa"))
    issuer.published = ["rsa", "other-ed"]
    web_server.body = json.dumps(issuer.jwks()).encode()
    clock.forward(seconds=31)
    assert await access.who(issuer.token(alg="Ed25519", kid="other-ed"))
    issuer.published = ["other-ed"]
    web_server.body = json.dumps(issuer.jwks()).encode()
    clock.forward(seconds=301)
    remembered = issuer.token(alg="RS256", kid="rsa", jti="remembered")
    assert await access.who(remembered)  # starts the refresh, and is answered with the keys there are
    await settled(keys)
    with pytest.raises(TokenRefusedError):
        await access.who(remembered)
    with pytest.raises(TokenRefusedError):
        await access.who(old)


async def test_while_the_issuer_is_down_its_last_keys_serve_for_a_day(remote, issuer, web_server, clock):
    access, keys = remote
    assert await access.who(issuer.token())
    await web_server.stop()
    for _ in range(23):
        clock.forward(hours=1)
        assert await access.who(issuer.token(jti=None, sub=f"at-{clock().hour}"))
        await settled(keys)
    clock.forward(hours=1, seconds=1)
    with pytest.raises(IssuerUnavailableError):
        await access.who(issuer.token())
    await settled(keys)
    await web_server.start()
    clock.forward(seconds=31)
    with pytest.raises(IssuerUnavailableError):
        await access.who(issuer.token())
    await settled(keys)
    assert await access.who(issuer.token())


async def test_an_issuer_that_was_never_reached_is_unavailable_until_it_is(remote, issuer, web_server, clock):
    access, _ = remote
    await web_server.stop()
    for _ in range(20):
        with pytest.raises(IssuerUnavailableError):
            await access.who(issuer.token())
    await web_server.start()
    assert web_server.requests == 0
    clock.forward(seconds=30)
    assert await access.who(issuer.token())


ANSWERS = {
    "an error": {"status": 500},
    "a redirect to itself": {"status": 302, "headers": {"location": "/jwks"}},
    "a page": {"body": b"<html>sign in</html>"},
    "an empty set": {"body": b'{"keys":[]}'},
    "too much": {"body": b" " * (MAX_SET_BYTES + 1)},
    "a compressed answer nobody asked for": {"headers": {"content-encoding": "gzip"}, "body": gzip.compress(b"{}")},
    "fewer bytes than promised": {"headers": {"content-length": "100000"}},
}


@pytest.mark.parametrize("fault", ANSWERS)
async def test_an_answer_like_this_never_replaces_the_keys_there_are(remote, issuer, web_server, clock, fault):
    access, keys = remote
    assert await access.who(issuer.token())
    version = keys.version
    for name, value in ANSWERS[fault].items():
        setattr(web_server, name, value)
    clock.forward(seconds=301)
    assert await access.who(issuer.token())
    await settled(keys)
    assert web_server.requests == 2
    assert keys.version == version
    assert await access.who(issuer.token(jti="another"))


async def test_an_issuer_that_does_not_answer_is_given_up(remote, issuer, web_server, monkeypatch):
    access, _ = remote
    monkeypatch.setattr("server.access.key_sources._FETCH_SECONDS", 0.05)
    web_server.delay = 0.5
    with pytest.raises(IssuerUnavailableError):
        await access.who(issuer.token())


async def test_a_caller_that_goes_away_does_not_end_the_fetch_for_the_others(remote, issuer, web_server):
    access, _ = remote
    web_server.delay = 0.1
    first = asyncio.create_task(access.who(issuer.token()))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(access.who(issuer.token(sub="staff-8")))
    await asyncio.sleep(0.02)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).actor == "staff-8"
    assert web_server.requests == 1


async def test_keys_may_lie_in_a_file(access_with, issuer, trust, tmp_path, clock):
    path = tmp_path / "jwks.json"
    keys = RefreshingKeys(from_file(path), now=clock, refresh=timedelta(seconds=60))
    access = await access_with(trust(issuer, keys=keys))
    with pytest.raises(IssuerUnavailableError) as refused:
        await access.who(issuer.token())
    assert str(tmp_path) not in str(refused.value)
    path.write_text(json.dumps(issuer.jwks()))
    clock.forward(seconds=31)
    assert await access.who(issuer.token())


async def test_the_settings_name_the_issuers(access_with, issuer, web_server, clock, tmp_path):
    web_server.body = json.dumps(issuer.jwks()).encode()
    entry = {
        "issuer": "https://login.example",
        "audience": "https://confide.example",
        "jwks": web_server.url,
        "claims": {"roles": "groups"},
        "actor_prefix": "login:",
    }
    settings = Settings(issuers=(entry,), data_dir=tmp_path)
    access = await access_with(*trusted_issuers(settings, local=None, client=web_server.client, now=clock))
    caller = await access.who(issuer.token(groups=["marketer"]))
    assert (caller.actor, caller.roles) == ("login:staff-7", ("marketer",))


async def test_the_local_issuer_is_trusted_only_where_the_settings_say_so(access, web_server, clock):
    entry = {"issuer": "https://a.example", "audience": "a", "jwks": "https://a.example/jwks", "actor_prefix": "a:"}
    for settings, names in (
        (Settings(), ["confide-local"]),
        (Settings(local_issuer=False), []),
        (Settings(issuers=(entry,)), ["https://a.example"]),
        (Settings(issuers=(entry,), local_issuer=True), ["https://a.example", "confide-local"]),
    ):
        found = trusted_issuers(settings, local=access.local, client=web_server.client, now=clock)
        assert [trusted.issuer for trusted in found] == names
    assert os.environ.get("CONFIDE_ISSUERS") is None


async def test_no_issuer_can_call_somebody_what_another_calls_its_own(
    access_with, issuer, web_server, clock, tmp_path
):
    web_server.body = json.dumps(issuer.jwks()).encode()
    entry = {"issuer": "https://login.example", "audience": "https://confide.example", "jwks": web_server.url}
    other = {**entry, "issuer": "https://partner.example", "actor_prefix": "partner:"}
    provider = {"issuer": "https://sso.example", "client_id": "confide", "roles": {"staff": ["support_agent"]}}
    settings = Settings(
        issuers=(entry, other),
        staff_oidc=provider,
        staff_oidc_secret=SecretStr("a secret of ours"),
        data_dir=tmp_path,
    )
    access = await access_with(*trusted_issuers(settings, local=None, client=web_server.client, now=clock))
    for name in ("sso:ana", "partner:staff-7"):
        with pytest.raises(TokenRefusedError, match="a name this server gives to others"):
            await access.who(issuer.token(sub=name))
    assert (await access.who(issuer.token(sub="staff-7"))).actor == "staff-7"
    assert (await access.who(issuer.token(sub="ssoana"))).actor == "ssoana", "the control"
    theirs = await access.who(issuer.token(iss="https://partner.example", sub="staff-7"))
    assert theirs.actor == "partner:staff-7", "the control: whose prefix it is"
