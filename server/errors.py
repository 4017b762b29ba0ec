"""What can go wrong while running Confide.

ServerError
├── EngineError
│   ├── EngineNotInstalledError
│   └── EngineStartError
├── SettingsError
└── DriverNotInstalledError
"""


class ServerError(Exception):
    """Anything this package raises; its text never holds a stored value or a secret."""


class EngineError(ServerError):
    """The embedded engine cannot serve."""


class EngineNotInstalledError(EngineError):
    """The extra `embedded` is missing."""


class EngineStartError(EngineError):
    """The engine ended, or was not ready in time."""


class SettingsError(ServerError):
    """The configuration cannot be used; the message says which setting and what to do."""


class DriverNotInstalledError(ServerError):
    """The database driver that was asked for is not installed."""
