"""Everything the vault may refuse.

VaultError
├── KeyRingError
│   ├── KeyRingMissingError
│   ├── KeyRingPermissionsError
│   ├── KeyRingForeignError
│   ├── KeyRingStaleError
│   ├── KeyRingCorruptError
│   └── KeyRingLockedError
├── LeafError
│   ├── LeafPuncturedError
│   └── LeafOutOfRangeError
├── RootKeyError
│   ├── RootKeyMissingError
│   ├── RootKeyPermissionsError
│   ├── RootKeyRefusedError
│   └── RootKeyUnavailableError
├── EnvelopeError
├── UnsealableValueError
├── CustomerKeyError
│   ├── CustomerErasedError
│   ├── CustomerErasingError
│   ├── CustomerKeyMissingError
│   └── CustomerKeyExistsError
├── IdentifierError
│   ├── InvalidIdentifierError
│   ├── IdentifierTakenError
│   └── UnknownIndexError
├── FleetError
│   ├── LeaseLostError
│   ├── ReadDeadlineError
│   └── FleetUnresponsiveError
├── ShredInterruptedError
├── ErasureWithdrawnError
├── RotationError
│   ├── RotationInProgressError
│   └── RotationInterruptedError
├── KeyStoreError
│   ├── KeyStoreStaleError
│   └── KeyStoreUnavailableError
├── TokenInvalidError
└── SecretExposedError

Every class has one fixed text that says what to do; no text ever holds a value, a key, an identifier or a path.
"""

from typing import ClassVar

__all__ = [
    "CustomerErasedError",
    "CustomerErasingError",
    "CustomerKeyError",
    "CustomerKeyExistsError",
    "CustomerKeyMissingError",
    "EnvelopeError",
    "ErasureWithdrawnError",
    "FleetError",
    "FleetUnresponsiveError",
    "IdentifierError",
    "IdentifierTakenError",
    "InvalidIdentifierError",
    "KeyRingCorruptError",
    "KeyRingError",
    "KeyRingForeignError",
    "KeyRingLockedError",
    "KeyRingMissingError",
    "KeyRingPermissionsError",
    "KeyRingStaleError",
    "KeyStoreError",
    "KeyStoreStaleError",
    "KeyStoreUnavailableError",
    "LeafError",
    "LeafOutOfRangeError",
    "LeafPuncturedError",
    "LeaseLostError",
    "ReadDeadlineError",
    "RootKeyError",
    "RootKeyMissingError",
    "RootKeyPermissionsError",
    "RootKeyRefusedError",
    "RootKeyUnavailableError",
    "RotationError",
    "RotationInProgressError",
    "RotationInterruptedError",
    "SecretExposedError",
    "ShredInterruptedError",
    "TokenInvalidError",
    "UnknownIndexError",
    "UnsealableValueError",
    "VaultError",
]


class VaultError(Exception):
    """Anything the vault refuses. `text` is what a raise without an argument says."""

    text: ClassVar[str] = "The vault refused."

    def __init__(self, text: str | None = None) -> None:
        super().__init__(self.text if text is None else text)


class KeyRingError(VaultError):
    """The key ring cannot be used."""

    text = "The key ring cannot be used."


class KeyRingMissingError(KeyRingError):
    """There is no key ring where the settings say it is."""

    text = "There is no key ring where the settings say it is: restore its newest backup."


class KeyRingPermissionsError(KeyRingError):
    """Others than the owner can read or write the key ring file."""

    text = "Others than its owner can reach the key ring file: set its mode to 0600."


class KeyRingForeignError(KeyRingError):
    """The key ring belongs to another database."""

    text = "The key ring belongs to another database."


class KeyRingStaleError(KeyRingError):
    """The key ring is older than the key store knows it to be: an erasure would be undone."""

    text = "The key ring is older than the key store knows it to be: restore its newest backup."


class KeyRingCorruptError(KeyRingError):
    """The key ring's bytes are not a key ring."""

    text = "The key ring is damaged: restore its newest backup."


class KeyRingLockedError(KeyRingError):
    """Another process holds the lock on the key ring file."""

    text = "Another process is writing the key ring: try again."


class LeafError(VaultError):
    """A leaf key of the ring cannot be had."""

    text = "The leaf cannot be derived."


class LeafPuncturedError(LeafError):
    """The leaf's key can no longer be derived from this ring, by anyone."""

    text = "The leaf is punctured: its key no longer exists."


class LeafOutOfRangeError(LeafError):
    """The number is not a leaf of the ring."""

    text = "The number is not a leaf of the key ring."


class RootKeyError(VaultError):
    """The root key cannot be used."""

    text = "The root key cannot be used."


class RootKeyMissingError(RootKeyError):
    """There is no root key where the settings say it is."""

    text = "There is no root key where the settings say it is."


class RootKeyPermissionsError(RootKeyError):
    """Others than the owner can read or write the root key file."""

    text = "Others than its owner can reach the root key file: set its mode to 0600."


class RootKeyRefusedError(RootKeyError):
    """The root key, or the service that holds it, refused what it was given."""

    text = "The root key does not open the key ring, or the service that holds it refused."


class RootKeyUnavailableError(RootKeyError):
    """The service that holds the root key does not answer."""

    text = "The service that holds the root key does not answer: try again."


class EnvelopeError(VaultError):
    """An envelope does not open. Whatever the reason, the text is the same, so it teaches an attacker nothing."""

    text = "The envelope does not open."


class UnsealableValueError(VaultError):
    """A value cannot be sealed: its type, its size or its encoding has no place in a sealed group."""

    text = "A value cannot be sealed: only text, numbers, dates, booleans, lists and objects of them can."


class CustomerKeyError(VaultError):
    """The key of a customer cannot be had."""

    text = "The key of the customer cannot be had."


class CustomerErasedError(CustomerKeyError):
    """The customer was erased; no key exists."""

    text = "The customer was erased."


class CustomerErasingError(CustomerKeyError):
    """An erasure of the customer has begun; no new read gets the key."""

    text = "The customer is being erased."


class CustomerKeyMissingError(CustomerKeyError):
    """There is no key record for the customer."""

    text = "There is no key for the customer."


class CustomerKeyExistsError(CustomerKeyError):
    """The customer already has a key record, or had one."""

    text = "The customer already has a key, or had one."


class IdentifierError(VaultError):
    """An identifier of a person cannot be used."""

    text = "The identifier cannot be used."


class InvalidIdentifierError(IdentifierError):
    """The text cannot be an identifier of that kind."""

    text = "The text cannot be an identifier of that kind."


class IdentifierTakenError(IdentifierError):
    """Another customer has the identifier."""

    text = "Another customer has the identifier."


class UnknownIndexError(IdentifierError):
    """There is no blind index of that name."""

    text = "There is no blind index of that name."


class FleetError(VaultError):
    """The processes that share the keys are not in step."""

    text = "The processes that share the keys are not in step."


class LeaseLostError(FleetError):
    """This process could not renew its lease, so it may hold keys that others believe are gone. It must not serve."""

    text = "This process lost its lease and may not read sealed values."


class ReadDeadlineError(FleetError):
    """A read took longer than the time within which it may use the keys it fetched."""

    text = "The read took too long and must fetch its keys again."


class FleetUnresponsiveError(FleetError):
    """A live process did not acknowledge in time."""

    text = "A process did not acknowledge in time: try again."


class ShredInterruptedError(VaultError):
    """An erasure did not run to its end. Its intent is kept, and running it again resumes it."""

    text = "The erasure was interrupted: run it again to resume it."


class ErasureWithdrawnError(VaultError):
    """An erasure that had just begun was withdrawn, because something holds it. Nothing was destroyed."""

    text = "The erasure was withdrawn before anything was destroyed."


class RotationError(VaultError):
    """A rotation of keys cannot run."""

    text = "The rotation cannot run."


class RotationInProgressError(RotationError):
    """A rotation already runs elsewhere."""

    text = "A rotation is already running."


class RotationInterruptedError(RotationError):
    """A rotation did not run to its end. Running it again resumes it."""

    text = "The rotation was interrupted: run it again to resume it."


class KeyStoreError(VaultError):
    """The key store cannot be used."""

    text = "The key store cannot be used."


class KeyStoreStaleError(KeyStoreError):
    """The key store is from before the creation of a customer who was erased since: nobody knows who that was."""

    text = "The key store is older than the access log: it does not know of a customer who was erased since."


class KeyStoreUnavailableError(KeyStoreError):
    """The key store does not answer."""

    text = "The key store does not answer: try again."


class TokenInvalidError(VaultError):
    """A sealed token was not made here, for this use, or was changed. The text is the same for each."""

    text = "The token is not valid."


class SecretExposedError(VaultError, TypeError):
    """Something tried to copy, pickle or serialise an object that holds a key."""

    text = "An object that holds a key cannot be copied, pickled or serialised."
