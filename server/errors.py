"""What can go wrong while running Confide.

ServerError
├── EngineError
│   ├── EngineNotInstalledError
│   ├── EngineStartError
│   └── EngineLostError
├── DatabaseUnreachableError
├── SettingsError
├── DriverNotInstalledError
├── TelemetryNotInstalledError
├── AccessError
│   ├── TokenMissingError
│   ├── TokenMalformedError
│   ├── TokenTooLargeError
│   ├── TokenExpiredError
│   ├── TokenRevokedError
│   ├── TokenRefusedError
│   ├── ServiceAccountRefusedError
│   ├── IssuerUnavailableError
│   └── AccessNotReadyError
├── IssuerKeysError
├── LocalIssuerError
├── TrustedDocumentError
└── ServiceAccountInvalidError
"""


class ServerError(Exception):
    """Anything this package raises; its text never holds a stored value or a secret."""


class EngineError(ServerError):
    """The embedded engine cannot serve."""


class EngineNotInstalledError(EngineError):
    """The extra `embedded` is missing."""


class EngineStartError(EngineError):
    """The engine ended, or was not ready in time."""


class EngineLostError(EngineError):
    """The engine ended while it was needed, and not by us."""


class DatabaseUnreachableError(ServerError):
    """A database does not answer, or refuses us; the message says which setting names it."""


class SettingsError(ServerError):
    """The configuration cannot be used; the message says which setting and what to do."""


class DriverNotInstalledError(ServerError):
    """The database driver that was asked for is not installed."""


class TelemetryNotInstalledError(ServerError):
    """An OTLP endpoint is set and the extra `otlp` is not installed."""


class AccessError(ServerError):
    """The caller is not known, so nothing is read for it; the text holds nothing the caller sent."""


class TokenMissingError(AccessError):
    """The request carries no bearer token."""


class TokenMalformedError(AccessError):
    """What came as a bearer token does not have the form of one."""


class TokenTooLargeError(AccessError):
    """The bearer token is longer than any that Confide accepts."""


class TokenExpiredError(AccessError):
    """The token was good and its time is over."""


class TokenRevokedError(AccessError):
    """The token, or everything issued to its subject until then, was revoked."""


class TokenRefusedError(AccessError):
    """The token is not one to trust: its issuer, audience, key, algorithm, signature, times or claims."""


class ServiceAccountRefusedError(AccessError):
    """No enabled service account has this id and secret."""


class IssuerUnavailableError(AccessError):
    """The issuer's keys have never been fetched, or not for too long; asking again later may help."""


class AccessNotReadyError(AccessError):
    """Revocations are not loaded yet, so no token can be trusted; asking again later helps."""


class IssuerKeysError(ServerError):
    """What an issuer publishes as its keys cannot be used."""


class LocalIssuerError(ServerError):
    """The local issuer's key file cannot be used, or it was asked for a token that would be refused."""


class TrustedDocumentError(ServerError):
    """Trusted documents cannot be added or found as asked; the message says why and quotes no value."""


class ServiceAccountInvalidError(ServerError):
    """A service account was asked for that could not be used."""
