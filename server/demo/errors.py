"""What can go wrong while making the demo company.

ServerError
└── DemoError
    ├── DemoDataMissingError
    └── DemoDirectoryError
"""

from server.errors import ServerError


class DemoError(ServerError):
    """The demo company cannot be made."""


class DemoDataMissingError(DemoError):
    """A package that the demo company is made from is not installed; the message says which and how to get it."""


class DemoDirectoryError(DemoError):
    """The directory for the demo's data holds something that no demo made; it was left as it is."""
