"""The forms that single settings must have.

Each takes what was set and gives it back, or raises a fault whose text is ours, so that it never repeats the value.
"""

import re
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from server.loopback import is_loopback

_ROOT_KEY = re.compile(
    r"file:/.+"
    r"|env:[A-Za-z_][A-Za-z0-9_]*"
    r"|aws-kms:arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_-]+"
    r"|vault-transit:https?://[^\s#@]+#[A-Za-z0-9._-]+"
)


def uri_of_mongodb(value: SecretStr | None) -> SecretStr | None:
    """Where a MongoDB is."""
    if value is not None and not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise PydanticCustomError("mongo_uri", "must begin with mongodb:// or mongodb+srv://")
    return value


def known_root_key(value: str | None) -> str | None:
    """A root key that there is a provider for, and that is reached safely."""
    if value is None or _ROOT_KEY.fullmatch(value):
        if value and value.startswith("vault-transit:http://"):
            host = urlsplit(value.removeprefix("vault-transit:")).hostname
            if not is_loopback(host):
                raise PydanticCustomError("root_key", "must reach Vault by https; http is for loopback only")
        return value
    raise PydanticCustomError(
        "root_key",
        "must be file:/absolute/path, env:NAME, aws-kms:arn:aws:kms:region:account:key/id or "
        "vault-transit:https://host:port#key",
    )


def url_of_witness(value: str | None) -> str | None:
    """Where a witness is."""
    if value is not None and not re.fullmatch(r"https?://[^\s@?#]+", value):
        raise PydanticCustomError("witness_url", "must be an http or https URL without a user name or query")
    return value


def uri_of_smtp(value: SecretStr | None) -> SecretStr | None:
    """Where a mail server is."""
    if value is not None and not re.fullmatch(
        r"smtps?://([^\s@/?#]+@)?[^\s@/?#:\[\]]+(:\d{1,5})?/?", value.get_secret_value()
    ):
        raise PydanticCustomError("smtp_uri", "must be smtps://user:password@host:port or smtp://…, percent-encoded")
    return value


def url_of_collector(value: str | None) -> str | None:
    """Where a collector of traces is."""
    if value is not None and not re.fullmatch(r"https?://[^\s@?#]+", value):
        raise PydanticCustomError("otlp_endpoint", "must be an http or https URL without a user name or query")
    return value
