"""The KMS provider against moto's KMS over real HTTP."""

import asyncio
import builtins
import socket

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from vault.errors import RootKeyMissingError, RootKeyRefusedError, RootKeyUnavailableError
from vault.root_keys import AwsKmsRootKey

SECRET = b"the ring file's own key: 32 byte"
CONTEXT = b"context"
REGION = "eu-central-1"


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-access-key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def kms(endpoint, credentials):
    return boto3.client("kms", region_name=REGION, endpoint_url=endpoint)


@pytest.fixture
def key_id(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


def connect(key_id, endpoint):
    return AwsKmsRootKey.connect(key_id, region=REGION, endpoint=endpoint, timeout_seconds=2)


async def test_a_kms_key_unwraps_what_it_wrapped(key_id, endpoint):
    key = connect(key_id, endpoint)
    wrapped = await key.wrap(SECRET, CONTEXT)
    assert SECRET not in wrapped
    assert await key.unwrap(wrapped, CONTEXT) == SECRET
    assert key.describe() == f"aws-kms:{key_id}"


async def test_an_alias_will_do(kms, key_id, endpoint):
    kms.create_alias(AliasName="alias/confide", TargetKeyId=key_id)
    key = connect("alias/confide", endpoint)
    assert await key.unwrap(await key.wrap(SECRET, CONTEXT), CONTEXT) == SECRET


async def test_another_context_and_changed_bytes_are_refused(key_id, endpoint):
    key = connect(key_id, endpoint)
    wrapped = await key.wrap(SECRET, CONTEXT)
    for what, context in (
        (wrapped, b"another"),
        (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), CONTEXT),
        (b"nothing of KMS's" * 8, CONTEXT),
    ):
        with pytest.raises(RootKeyRefusedError):
            await key.unwrap(what, context)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("IncorrectKeyException", RootKeyRefusedError),
        ("DisabledException", RootKeyRefusedError),
        ("KMSInvalidStateException", RootKeyRefusedError),
        ("AccessDeniedException", RootKeyRefusedError),
        ("ThrottlingException", RootKeyUnavailableError),
        ("KMSInternalException", RootKeyUnavailableError),
    ],
)
async def test_what_kms_says_and_moto_does_not_is_told_apart(key_id, endpoint, code, expected):
    """moto opens a ciphertext with whichever key made it, and with disabled ones: these answers come from us."""
    key = connect(key_id, endpoint)

    def answer(**_):
        raise ClientError({"Error": {"Code": code, "Message": SECRET.decode()}}, "Decrypt")

    key._client.decrypt = answer
    with pytest.raises(expected) as caught:
        await key.unwrap(b"wrapped", CONTEXT)
    assert SECRET.decode() not in f"{caught.value!r}{caught.value.__cause__!r}"


async def test_an_unknown_key_is_refused(endpoint):
    with pytest.raises(RootKeyRefusedError):
        await connect("00000000-0000-0000-0000-000000000000", endpoint).wrap(SECRET, CONTEXT)


async def test_an_address_where_nobody_answers_is_unavailable():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(RootKeyUnavailableError) as caught:
        await connect("any", f"http://127.0.0.1:{port}").wrap(SECRET, CONTEXT)
    assert caught.value.__cause__ is None


async def test_no_credentials_is_a_refusal(endpoint, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(RootKeyRefusedError):
        await connect("any", endpoint).wrap(SECRET, CONTEXT)


def test_settings_without_a_region_are_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(RootKeyRefusedError):
        AwsKmsRootKey.connect("any")


def test_without_the_extra_the_error_names_it(monkeypatch):
    real = builtins.__import__

    def without_boto3(name, *args, **kwargs):
        if name.startswith("boto3"):
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_boto3)
    with pytest.raises(RootKeyMissingError, match="aws"):
        AwsKmsRootKey.connect("any", region=REGION)


async def test_the_event_loop_is_free_while_kms_is_asked(key_id, endpoint):
    key = connect(key_id, endpoint)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        slow = AwsKmsRootKey.connect(
            key_id, region=REGION, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.2
        )
        asking = asyncio.create_task(slow.wrap(SECRET, CONTEXT))
        assert await key.unwrap(await key.wrap(SECRET, CONTEXT), CONTEXT) == SECRET
        with pytest.raises(RootKeyUnavailableError):
            await asking
