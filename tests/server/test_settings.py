"""The settings: what is taken, what is refused, and that a refusal never repeats a value."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest

from server.errors import SettingsError
from server.settings import Settings, load_settings
from server.settings_page import render

ROOT = Path(__file__).parents[2]
CANARY = "canary-7c1f"
ISSUER = {"issuer": "https://a.example", "audience": "confide", "jwks": "https://a.example/jwks"}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in os.environ:
        if name.upper().startswith("CONFIDE_"):
            monkeypatch.delenv(name)


def faults(monkeypatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert refused.value.__cause__ is None
    return str(refused.value)


def test_nothing_needs_to_be_set():
    settings = load_settings()
    assert settings.accepts_local_tokens
    assert settings.effective_root_key == f"file:{Path('.confide/root.key').absolute()}"


def test_no_secret_has_a_default_and_none_is_shown():
    secrets = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    uris = ["mongo_uri", "keys_uri", "audit_uri"]
    assert secrets == [*uris, "vault_token", "staff_oidc_secret", "smtp_uri", "otlp_headers"]
    assert all(Settings.model_fields[name].default is None for name in secrets)
    settings = Settings(mongo_uri=f"mongodb://user:{CANARY}@db")
    assert CANARY not in repr(settings) + str(settings) + settings.model_dump_json()
    assert CANARY in settings.mongo_uri.get_secret_value()


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_settings_do_not_change():
    with pytest.raises(pydantic.ValidationError):
        load_settings().port = 1


def test_every_fault_is_listed_and_no_value(monkeypatch):
    text = faults(
        monkeypatch,
        CONFIDE_MONGO_URI=f"postgres://{CANARY}@db",
        CONFIDE_PORT=CANARY,
        CONFIDE_LOG_LEVEL=CANARY,
        CONFIDE_ROOT_KEY=f"file:{CANARY}",
        CONFIDE_TENANT=f"{CANARY} Ltd.",
        CONFIDE_MAX_DEPTH="0",
        CONFIDE_ISSUERS=json.dumps(
            [{**ISSUER, "jwks": f"http://{CANARY}.example/", CANARY: 1, "algorithms": ["HS256"]}]
        ),
    )
    assert CANARY not in text
    for name in ("MONGO_URI", "PORT", "LOG_LEVEL", "ROOT_KEY", "TENANT", "MAX_DEPTH", "ISSUERS"):
        assert f"CONFIDE_{name}" in text
    for part in ("[0][algorithms][0]", "[0][jwks]", "[0]: has a key that is not one"):
        assert f"CONFIDE_ISSUERS{part}" in text


def test_json_that_is_broken_is_named_without_its_text(monkeypatch):
    text = faults(monkeypatch, CONFIDE_ISSUERS=f"[{CANARY}")
    assert "CONFIDE_ISSUERS" in text
    assert CANARY not in text


@pytest.mark.parametrize("name", ["CONFIDE_MONGO_URL", "CONFIDE_MONGODB_URI", "CONFIDE_ROOTKEY", "CONFIDE_ISSUER"])
def test_a_misspelt_setting_is_a_fault_and_not_ignored(monkeypatch, name):
    text = faults(monkeypatch, **{name: CANARY})
    assert "did you mean CONFIDE_" in text
    assert CANARY not in text


def test_names_that_others_put_into_the_environment_are_let_be(monkeypatch):
    monkeypatch.setenv("CONFIDE_SERVICE_HOST", "10.0.0.1")  # Kubernetes, for a service called confide
    monkeypatch.setenv("CONFIDE_PORT_8000_TCP_ADDR", "10.0.0.1")
    monkeypatch.setenv("CONFIDE_ROOT_KEY", "env:CONFIDE_ROOT_KEY_64")
    monkeypatch.setenv("CONFIDE_ROOT_KEY_64", CANARY)
    assert load_settings()


@pytest.mark.parametrize(
    "value",
    [
        "file:/etc/confide/root.key",
        "env:CONFIDE_ROOT_KEY_BYTES",
        "aws-kms:arn:aws:kms:eu-central-1:123456789012:key/0000-1111",
        "aws-kms:arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/confide",
    ],
)
def test_these_root_keys_are_taken(value):
    assert Settings(root_key=value).effective_root_key == value


def test_vault_is_a_root_key_with_its_token_and_over_https():
    for url in ("https://vault.example:8200", "http://127.0.0.1:8200", "http://localhost:8200"):
        assert Settings(root_key=f"vault-transit:{url}#confide", vault_token="t")
    for key, token in (
        ("vault-transit:https://vault.example#confide", None),
        ("vault-transit:http://vault.example#confide", "t"),
        ("vault-transit:https://user@vault.example#confide", "t"),
        ("vault-transit:https://vault.example", "t"),
    ):
        with pytest.raises(pydantic.ValidationError):
            Settings(root_key=key, vault_token=token)


@pytest.mark.parametrize("value", ["", "root.key", "file:root.key", "env:", "env:A B", "aws-kms:key", "plain:abc"])
def test_these_root_keys_are_refused(value):
    with pytest.raises(pydantic.ValidationError):
        Settings(root_key=value)


@pytest.mark.parametrize(
    ("jwks", "good"),
    [
        ("https://a.example/jwks", True),
        ("http://127.0.0.1:80/jwks", True),
        ("http://[::1]/jwks", True),
        ("http://localhost/jwks", True),
        ("/etc/jwks.json", True),
        ("http://a.example/jwks", False),
        ("http://127.0.0.1.example/jwks", False),
        ("https://user:secret@a.example/jwks", False),
        ("file:///etc/jwks.json", False),
        ("jwks.json", False),
        ("https://", False),
        ("https://a.example:99999/", False),
        ("http://[::1/", False),
    ],
)
def test_keys_are_fetched_by_https_or_on_this_machine(jwks, good):
    if good:
        assert Settings(issuers=({**ISSUER, "jwks": jwks},))
    else:
        with pytest.raises(pydantic.ValidationError):
            Settings(issuers=({**ISSUER, "jwks": jwks},))


def test_two_issuers_need_different_prefixes():
    other = {**ISSUER, "issuer": "https://b.example"}
    with pytest.raises(pydantic.ValidationError, match="actor_prefix"):
        Settings(issuers=(ISSUER, other))
    with pytest.raises(pydantic.ValidationError, match="actor_prefix"):
        Settings(issuers=(ISSUER,), local_issuer=True)
    with pytest.raises(pydantic.ValidationError, match="once"):
        Settings(issuers=(ISSUER, {**ISSUER, "actor_prefix": "b:"}))
    assert Settings(issuers=(ISSUER, {**other, "actor_prefix": "b:"}))


def test_databases_differ_and_parts_need_the_whole():
    with pytest.raises(pydantic.ValidationError, match="must differ"):
        Settings(keys_database="confide")
    with pytest.raises(pydantic.ValidationError, match="set mongo_uri"):
        Settings(keys_uri="mongodb://keys")


def test_secrets_may_lie_in_files(monkeypatch, tmp_path):
    (tmp_path / "confide_mongo_uri").write_text(f"mongodb://user:{CANARY}@db\n")
    monkeypatch.setenv("CONFIDE_SECRETS_DIR", str(tmp_path))
    assert load_settings().mongo_uri.get_secret_value() == f"mongodb://user:{CANARY}@db"
    assert "CONFIDE_SECRETS_DIR" in faults(monkeypatch, CONFIDE_SECRETS_DIR=str(tmp_path / "none"))


def test_the_settings_page_is_what_the_code_says():
    assert (ROOT / "docs" / "settings.md").read_text() == render(), "run scripts/docs"


def test_the_settings_page_has_every_setting_and_would_be_stale_without_one():
    page = render()
    names = [f"`CONFIDE_{name.upper()}`" for name in Settings.model_fields]
    assert [name for name in names if name not in page] == []

    class Grown(Settings):
        canary: int = pydantic.Field(default=1, description="One more.")

    assert render(Grown) != page


def test_the_page_is_made_by_the_script():
    found = subprocess.run([sys.executable, "-m", "server.settings_page"], cwd=ROOT, capture_output=True, check=True)
    assert found.stdout.decode() == render()
