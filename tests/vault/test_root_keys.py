import base64
import os
import socket

import pytest

from tests.vault.transit_server import TOKEN, transit_server
from vault.errors import (
    RootKeyError,
    RootKeyMissingError,
    RootKeyPermissionsError,
    RootKeyRefusedError,
    RootKeyUnavailableError,
)
from vault.root_keys import EnvironmentRootKey, FileRootKey, VaultTransitRootKey, root_key_text

SECRET = b"the ring file's own key: 32 byte"
CONTEXT = b"context"


def text():
    return root_key_text(os.urandom)


def from_environment(value):
    return EnvironmentRootKey("ROOT", {"ROOT": value}, random=os.urandom)


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def transit():
    with transit_server() as (engine, address):
        engine.create("confide")
        engine.create("other")
        yield engine, address


@pytest.fixture(params=["environment", "file", "vault_transit"])
def two_keys(request, tmp_path, transit):
    """Two different root keys of one provider."""
    if request.param == "environment":
        return from_environment(text()), from_environment(text())
    if request.param == "file":
        return (
            FileRootKey.create(tmp_path / "a", random=os.urandom),
            FileRootKey.create(tmp_path / "b", random=os.urandom),
        )
    return VaultTransitRootKey(transit[1], "confide", TOKEN), VaultTransitRootKey(transit[1], "other", TOKEN)


async def test_a_root_key_unwraps_what_it_wrapped(two_keys):
    key, _ = two_keys
    wrapped = await key.wrap(SECRET, CONTEXT)
    assert SECRET not in wrapped
    assert base64.b64encode(SECRET)[:-2] not in wrapped
    assert await key.unwrap(wrapped, CONTEXT) == SECRET


async def test_the_same_secret_is_never_wrapped_to_the_same_bytes(two_keys):
    key, _ = two_keys
    assert await key.wrap(SECRET, CONTEXT) != await key.wrap(SECRET, CONTEXT)


async def test_another_key_another_context_and_changed_bytes_are_refused(two_keys):
    key, other = two_keys
    wrapped = await key.wrap(SECRET, CONTEXT)
    changed = wrapped[:-2] + bytes([wrapped[-2] ^ 1]) + wrapped[-1:]
    for by, what, context in (
        (other, wrapped, CONTEXT),
        (key, wrapped, b"another"),
        (key, changed, CONTEXT),
        (key, wrapped[:-1], CONTEXT),
        (key, b"", CONTEXT),
        (key, b"\xff\x00", CONTEXT),
    ):
        with pytest.raises(RootKeyRefusedError):
            await by.unwrap(what, context)


async def test_a_description_tells_keys_apart_and_is_stable(two_keys):
    key, other = two_keys
    assert key.describe() != other.describe()
    assert key.describe() == key.describe()


def test_no_secret_shows_in_what_a_root_key_prints(tmp_path):
    secret = text()
    raw = base64.b64decode(secret)
    path = tmp_path / "root.key"
    path.write_text(secret)
    path.chmod(0o600)
    for key in (
        from_environment(secret),
        FileRootKey(path, random=os.urandom),
        VaultTransitRootKey("https://vault", "confide", secret),
    ):
        for shown in (repr(key), str(key), key.describe()):
            assert secret not in shown
            assert raw.hex() not in shown


@pytest.mark.parametrize(
    "wrong",
    ["", "short", "é" * 44, base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 33).decode(), "!" * 44],
)
def test_text_that_is_no_root_key_is_refused_without_being_shown(wrong, tmp_path):
    path = tmp_path / "root.key"
    path.write_text(wrong)
    path.chmod(0o600)
    for take in (lambda: from_environment(wrong), lambda: FileRootKey(path, random=os.urandom)):
        with pytest.raises(RootKeyMissingError) as caught:
            take()
        assert not wrong or wrong not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


def test_spaces_and_line_ends_around_a_key_do_not_matter():
    secret = text()
    assert from_environment(secret).describe() == from_environment(f" {secret}\n").describe()


def test_a_variable_that_is_not_set_is_refused():
    with pytest.raises(RootKeyMissingError):
        EnvironmentRootKey("ROOT", {}, random=os.urandom)


# ---- file


def test_a_new_root_key_file_is_for_its_owner_only_and_never_overwritten(tmp_path):
    path = tmp_path / "keys" / "root.key"
    key = FileRootKey.create(path, random=os.urandom)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert FileRootKey(path, random=os.urandom).describe() == key.describe()
    with pytest.raises(FileExistsError):
        FileRootKey.create(path, random=os.urandom)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o602, 0o601])
def test_a_root_key_file_that_others_may_reach_is_refused(tmp_path, mode):
    path = tmp_path / "root.key"
    FileRootKey.create(path, random=os.urandom)
    path.chmod(mode)
    with pytest.raises(RootKeyPermissionsError):
        FileRootKey(path, random=os.urandom)
    path.chmod(0o400)
    FileRootKey(path, random=os.urandom)


def test_a_root_key_file_that_is_missing_or_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe"):
        with pytest.raises(RootKeyMissingError):
            FileRootKey(path, random=os.urandom)


# ---- HashiCorp Vault Transit


async def test_transit_reads_what_older_versions_of_its_key_wrapped_until_they_are_forbidden(transit):
    engine, address = transit
    engine.create("rotated")
    key = VaultTransitRootKey(address, "rotated", TOKEN)
    old = await key.wrap(SECRET, CONTEXT)
    engine.rotate("rotated")
    new = await key.wrap(SECRET, CONTEXT)
    assert old.startswith(b"vault:v1:")
    assert new.startswith(b"vault:v2:")
    assert await key.unwrap(old, CONTEXT) == SECRET
    _, rewrapped = engine.rewrap("rotated", {"ciphertext": old.decode(), "associated_data": "Y29udGV4dA=="})
    engine.config("rotated", 2)
    assert await key.unwrap(new, CONTEXT) == SECRET
    assert await key.unwrap(rewrapped["ciphertext"].encode(), CONTEXT) == SECRET
    with pytest.raises(RootKeyRefusedError):
        await key.unwrap(old, CONTEXT)


async def test_transit_refusals_are_told_apart_from_absence_and_hold_no_secret(transit):
    engine, address = transit
    wrapped = await VaultTransitRootKey(address, "confide", TOKEN).wrap(SECRET, CONTEXT)
    refused = [
        VaultTransitRootKey(address, "confide", "s.bad-token"),
        VaultTransitRootKey(address, "no-such-key", TOKEN),
        VaultTransitRootKey(address, "confide", TOKEN, mount="elsewhere"),
    ]
    absent = [
        VaultTransitRootKey(f"http://127.0.0.1:{closed_port()}", "confide", "s.bad-token", timeout_seconds=2),
        VaultTransitRootKey("http://[", "confide", "s.bad-token"),
    ]
    for keys, expected in ((refused, RootKeyRefusedError), (absent, RootKeyUnavailableError)):
        for key in keys:
            for attempt in (key.wrap(SECRET, CONTEXT), key.unwrap(wrapped, CONTEXT)):
                with pytest.raises(expected) as caught:
                    await attempt
                assert holds_no_secret(caught.value)
    engine.sealed = True
    try:
        with pytest.raises(RootKeyUnavailableError):
            await VaultTransitRootKey(address, "confide", TOKEN).unwrap(wrapped, CONTEXT)
    finally:
        engine.sealed = False


def holds_no_secret(error: BaseException) -> bool:
    shown = f"{error!r}{error.__cause__!r}"
    return not any(secret in shown for secret in ("s.bad-token", SECRET.decode(), base64.b64encode(SECRET).decode()))


async def test_transit_that_accepts_and_says_nothing_is_unavailable_after_the_timeout():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        key = VaultTransitRootKey(
            f"http://127.0.0.1:{silent.getsockname()[1]}", "confide", TOKEN, timeout_seconds=0.2
        )
        with pytest.raises(RootKeyUnavailableError):
            await key.wrap(SECRET, CONTEXT)


async def test_transit_requests_carry_the_token_and_the_namespace_in_headers_only(transit):
    engine, address = transit
    engine.seen.clear()
    await VaultTransitRootKey(address, "confide", TOKEN, namespace="team").wrap(SECRET, CONTEXT)
    ((path, headers),) = engine.seen
    assert TOKEN not in path
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["x-vault-token"] == TOKEN
    assert headers["x-vault-request"] == "true"
    assert headers["x-vault-namespace"] == "team"


def test_every_refusal_of_a_root_key_is_a_root_key_error():
    for error in (RootKeyMissingError, RootKeyPermissionsError, RootKeyRefusedError, RootKeyUnavailableError):
        assert issubclass(error, RootKeyError)
