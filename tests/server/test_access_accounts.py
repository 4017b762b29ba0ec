"""The local issuer, service accounts and revocations."""

import asyncio
import json
import os
import stat
from datetime import timedelta

import pytest

from server.access import LocalIssuer, Revocations, ServiceAccounts
from server.access.claims import subject_of
from server.errors import (
    LocalIssuerError,
    ServiceAccountInvalidError,
    ServiceAccountRefusedError,
    TokenRefusedError,
    TokenRevokedError,
)

CUSTOMER = "cus_abcdefghijklmnopqrstuvwxyz"


async def test_a_token_of_the_local_issuer_names_its_caller(access):
    token = access.local.issue(
        "anna", roles=["sales_rep"], purposes=["sales"], regions=["eu"], client="desk", ttl=timedelta(hours=1)
    )
    caller = await access.who(token)
    assert (caller.actor, caller.roles, caller.client) == ("anna", ("sales_rep",), "desk")
    assert (caller.purposes, caller.regions) == ({"sales"}, {"eu"})
    customer = await access.who(access.local.issue(CUSTOMER, roles=["customer"], customer_id=CUSTOMER))
    assert customer.customer_id == CUSTOMER


REFUSED = {
    "a customer without an id": {"roles": ["customer"]},
    "a customer who is also staff": {"roles": ["customer", "marketer"], "customer_id": CUSTOMER},
    "staff with a customer's id": {"roles": ["marketer"], "customer_id": CUSTOMER},
    "a role with a space": {"roles": ["a b"]},
    "no time at all": {"roles": ["marketer"], "ttl": timedelta()},
    "a time too long": {"roles": ["marketer"], "ttl": timedelta(days=2)},
}


@pytest.mark.parametrize("fault", REFUSED)
def test_the_local_issuer_makes_no_token_that_would_be_refused(access, fault):
    with pytest.raises(LocalIssuerError):
        access.local.issue("anna", **REFUSED[fault])
    assert access.local.issue("anna", roles=["marketer"], ttl=timedelta(days=1))


def reopen(tmp_path, clock) -> LocalIssuer:
    return LocalIssuer.open(tmp_path, now=clock, random=os.urandom)


def test_the_local_issuers_key_is_made_once_and_closed_to_others(tmp_path, clock):
    first = reopen(tmp_path / "new", clock)
    path = tmp_path / "new" / "local-issuer.jwk"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert reopen(path.parent, clock).jwks == first.jwks
    assert "d" not in first.jwks["keys"][0]
    assert json.loads(path.read_text())["d"] not in json.dumps(first.jwks)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666])
def test_a_local_issuers_key_that_others_may_read_is_refused(tmp_path, clock, mode):
    reopen(tmp_path, clock)
    path = tmp_path / "local-issuer.jwk"
    path.chmod(mode)
    with pytest.raises(LocalIssuerError, match="chmod 600"):
        reopen(tmp_path, clock)
    path.chmod(0o600)
    assert reopen(tmp_path, clock)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"kty":"OKP","crv":"Ed25519","x":"secret-canary"}', "["]
)
def test_a_broken_key_file_is_refused_without_its_content(tmp_path, clock, content):
    path = tmp_path / "local-issuer.jwk"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(LocalIssuerError) as refused:
        reopen(tmp_path, clock)
    assert "canary" not in repr(refused.value)
    assert refused.value.__cause__ is None


def test_a_public_key_or_a_link_in_the_key_files_place_is_refused(tmp_path, clock):
    elsewhere = reopen(tmp_path / "elsewhere", clock)
    path = tmp_path / "local-issuer.jwk"
    path.symlink_to(tmp_path / "elsewhere" / "local-issuer.jwk")
    with pytest.raises(LocalIssuerError):
        reopen(tmp_path, clock)
    path.unlink()
    path.touch(mode=0o600)
    path.write_text(json.dumps(elsewhere.jwks["keys"][0]))
    with pytest.raises(LocalIssuerError):
        reopen(tmp_path, clock)


async def test_a_token_of_another_local_issuer_is_refused(access, tmp_path, clock):
    other = reopen(tmp_path / "other", clock)
    with pytest.raises(TokenRefusedError):
        await access.who(other.issue("anna", roles=["marketer"]))
    assert await access.who(access.local.issue("anna", roles=["marketer"]))


async def test_a_service_account_is_known_by_its_secret(access):
    account, bearer = await access.accounts.create("shop", roles=["client_app"], purposes=["order_support"])
    with pytest.raises(ServiceAccountRefusedError):
        await access.who(bearer)
    await access.authenticator.reload()
    caller = await access.who(bearer)
    assert (caller.actor, caller.client) == (f"service:{account.id}", account.id)
    assert (caller.roles, caller.purposes, caller.customer_id) == (("client_app",), {"order_support"}, None)
    assert [found.name for found in await access.accounts.all()] == ["shop"]


async def test_the_database_holds_no_service_accounts_secret(access, databases):
    _, bearer = await access.accounts.create("shop", roles=["client_app"])
    secret = bearer.rpartition("_")[2]
    assert len(secret) == 52
    assert secret not in repr(await databases.keys["service_accounts"].find({}).to_list(None))


async def test_a_wrong_secret_id_or_form_is_refused(access):
    _, bearer = await access.accounts.create("shop", roles=["client_app"])
    _, other = await access.accounts.create("till", roles=["client_app"])
    await access.authenticator.reload()
    head, _, secret = bearer.rpartition("_")
    for wrong in (
        f"{head}_{other.rpartition('_')[2]}",
        f"{head}_{secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}",
        f"{head}_{secret.upper()}",
        f"{head}_",
        "confide_sa_",
        f"confide_sa_{'a' * 16}_{secret}",
        bearer + "a",
    ):
        with pytest.raises(ServiceAccountRefusedError) as refused:
            await access.who(wrong)
        assert secret[:8] not in str(refused.value)
    assert await access.who(bearer)


async def test_a_disabled_account_is_refused_from_the_next_reload_on_and_may_return(access):
    account, bearer = await access.accounts.create("shop", roles=["client_app"])
    await access.authenticator.reload()
    assert await access.who(bearer)
    assert await access.accounts.set_disabled(account.id, disabled=True)
    await access.authenticator.reload()
    with pytest.raises(ServiceAccountRefusedError):
        await access.who(bearer)
    assert await access.accounts.set_disabled(account.id, disabled=False)
    await access.authenticator.reload()
    assert await access.who(bearer)
    assert not await access.accounts.set_disabled("nobody", disabled=True)


@pytest.mark.parametrize(
    "fault", [{"roles": []}, {"roles": ["customer"]}, {"roles": ["a b"]}, {"roles": ["a"], "purposes": ["\n"]}]
)
async def test_a_service_account_that_could_not_be_used_is_not_made(access, fault):
    with pytest.raises(ServiceAccountInvalidError):
        await access.accounts.create("shop", **fault)
    with pytest.raises(ServiceAccountInvalidError):
        await access.accounts.create("", roles=["client_app"])
    assert await access.accounts.all() == []


async def test_a_revoked_token_is_refused_once_loaded_and_the_subjects_others_are_not(access, issuer):
    one, two = issuer.token(), issuer.token(jti="token-2")
    assert await access.who(one)
    assert await access.who(two)
    await access.revocations.revoke_token("token-1")
    await access.authenticator.reload()
    with pytest.raises(TokenRevokedError):
        await access.who(one)
    assert await access.who(two)


async def test_a_revoked_subject_needs_a_token_issued_later(access, issuer, clock):
    token, other = issuer.token(), issuer.token(sub="staff-8")
    undated = issuer.token(iat=None)
    assert await access.who(token)
    await access.revocations.revoke_subject("staff-7")
    await access.authenticator.reload()
    for revoked in (token, undated, issuer.token(jti="same-second")):
        with pytest.raises(TokenRevokedError):
            await access.who(revoked)
    assert await access.who(other)
    clock.forward(seconds=2)
    assert await access.who(issuer.token())


async def test_a_customers_tokens_are_revoked_by_the_customers_id(access):
    token = access.local.issue(CUSTOMER, roles=["customer"], customer_id=CUSTOMER)
    caller = await access.who(token)
    assert subject_of(caller) == CUSTOMER
    await access.revocations.revoke_subject(CUSTOMER)
    await access.authenticator.reload()
    with pytest.raises(TokenRevokedError):
        await access.who(token)


async def test_revoking_twice_at_once_keeps_the_later_moment(access, databases, clock):
    await asyncio.gather(*(access.revocations.revoke_subject("staff-7") for _ in range(8)))
    early = (await databases.keys["revocations"].find_one({"_id": "subject:staff-7"}))["at"]
    clock.forward(seconds=5)
    await access.revocations.revoke_subject("staff-7")
    late = (await databases.keys["revocations"].find_one({"_id": "subject:staff-7"}))["at"]
    assert late - early == timedelta(seconds=5)


async def test_a_revocation_is_forgotten_only_after_every_token_it_covers_has_expired(
    access, databases, issuer, clock
):
    await access.revocations.prepare()
    longest = issuer.token(exp=int(clock().timestamp()) + 86_400)
    assert await access.who(longest)
    await access.revocations.revoke_token("token-1")
    clock.forward(seconds=86_400 + 29)  # the last second in which the token itself is good
    assert await access.revocations.prune() == 0
    await access.authenticator.reload()
    with pytest.raises(TokenRevokedError):
        await access.who(longest)
    clock.forward(seconds=60)
    assert await access.revocations.prune() == 1
    assert await databases.keys["revocations"].find_one({}) is None


async def test_a_revocation_made_elsewhere_is_felt_after_load(access, databases, issuer, clock):
    token = issuer.token()
    assert await access.who(token)
    elsewhere = Revocations(databases.keys, now=clock)
    await elsewhere.revoke_token("token-1")
    assert await access.who(token)  # the control: not before it is loaded
    await access.revocations.load()
    with pytest.raises(TokenRevokedError):
        await access.who(token)


async def test_accounts_made_elsewhere_are_known_after_load(access, databases, clock):
    elsewhere = ServiceAccounts(databases.keys, now=clock, random=os.urandom)
    _, bearer = await elsewhere.create("shop", roles=["client_app"])
    await access.accounts.load()
    assert access.accounts.verify(bearer).roles == ("client_app",)
