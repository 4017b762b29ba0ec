"""Who is asking: bearer tokens of trusted issuers, Confide's own issuer, and accounts of client applications."""

from server.access.authenticator import MAX_TOKEN_BYTES, Authenticator, challenge, is_temporary
from server.access.key_sources import FixedKeys, KeySource, RefreshingKeys, from_file, from_url
from server.access.keys import KeySet
from server.access.local_issuer import AUDIENCE, LOCAL_ISSUER, LocalIssuer
from server.access.revocations import EPOCH, Revocations
from server.access.service_accounts import ServiceAccount, ServiceAccounts
from server.access.tokens import TokenVerifier, TrustedIssuer
from server.access.trust import trusted_issuers

__all__ = [
    "AUDIENCE",
    "EPOCH",
    "LOCAL_ISSUER",
    "MAX_TOKEN_BYTES",
    "Authenticator",
    "FixedKeys",
    "KeySet",
    "KeySource",
    "LocalIssuer",
    "RefreshingKeys",
    "Revocations",
    "ServiceAccount",
    "ServiceAccounts",
    "TokenVerifier",
    "TrustedIssuer",
    "challenge",
    "from_file",
    "from_url",
    "is_temporary",
    "trusted_issuers",
]
