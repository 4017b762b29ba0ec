"""What keeps somebody from signing in.

StaffError (ServerError)
├── SignInRefusedError      not the right name, password and code; it is not said which
├── TooManyTriesError       too many tries with one name; another is possible later
├── DoorBusyError           too many people sign in at once
├── InvitationRefusedError  an invitation is none, or good no more
├── ArrivalRefusedError     what came back from the identity provider is not to be trusted
├── ProviderAwayError       the identity provider does not answer as it should
├── StaffNotFoundError      nobody of that name may sign in
└── StaffInvalidError       an account was asked for that could not be used
StaffRefusedError (AccessError)  somebody who is signed in may not be here any more
"""

from server.errors import AccessError, ServerError


class StaffError(ServerError):
    """Anything this package raises; its text holds nothing that was typed, sent or stored."""


class SignInRefusedError(StaffError):
    """The name, the password or the code is not right, or there is no such account; it is never said which."""


class TooManyTriesError(StaffError):
    """Too many tries with one name, whether there is such an account or not.

    Attributes:
        seconds: after which another try is looked at.
    """

    def __init__(self, seconds: int) -> None:
        minutes = -(-seconds // 60)
        when = f"{seconds} seconds" if seconds < 60 else f"{minutes} minute{'s' if minutes > 1 else ''}"  # noqa: PLR2004
        super().__init__(f"Too many tries with this name. Try again in {when}.")
        self.seconds = seconds


class DoorBusyError(StaffError):
    """Too many people sign in at once."""


class InvitationRefusedError(StaffError):
    """An invitation is none, was used, is too old, or is somebody else's; it is never said which."""


class ArrivalRefusedError(StaffError):
    """What came back from the identity provider is not to be trusted."""


class ProviderAwayError(StaffError):
    """The identity provider does not answer, or not as OpenID Connect says."""


class StaffNotFoundError(StaffError):
    """Nobody of that name may sign in."""


class StaffInvalidError(StaffError):
    """An account was asked for that could not be used."""


class StaffRefusedError(AccessError):
    """Somebody who is signed in may not be here any more: disabled, given another password, or without a role."""


__all__ = [
    "ArrivalRefusedError",
    "DoorBusyError",
    "InvitationRefusedError",
    "ProviderAwayError",
    "SignInRefusedError",
    "StaffError",
    "StaffInvalidError",
    "StaffNotFoundError",
    "StaffRefusedError",
    "TooManyTriesError",
]
