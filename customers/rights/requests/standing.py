"""Who may open and see a person's requests, and who answers for everybody's."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from customers.access import Access, Circumstances, in_scope
from customers.errors import ProfileNotFoundError, ReadNotAllowedError, WriteNotAllowedError
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore
from policies import LawfulBasis, Scope, Verdict
from vault import DataKey, Vault

PATH: Final = "profile.consents"
"""What of the catalogue a request is: one of a person's privacy choices."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose requests the caller may open.

    Attributes:
        document: Their profile.
        key: Their key.
        circumstances: Who the caller is to them.
    """

    document: dict[str, Any]
    key: DataKey
    circumstances: Circumstances

    @property
    def ids(self) -> list[str]:
        """Whose requests are theirs: also what was merged into them."""
        return [self.document["_id"], *self.document.get(PARTS, ())]


async def person_of(
    access: Access, customer_id: str, customers: CustomerStore, vault: Vault, now: datetime
) -> Person:
    """The person whose privacy choices the caller may write; of one merged away, the survivor.

    Raises:
        WriteNotAllowedError: The caller may write nobody's.
        ProfileNotFoundError: There is nobody whose they may write by this id.
    """
    ways = access.grant.write[PATH].alternatives
    if not ways:
        raise WriteNotAllowedError([PATH])
    documents = await customers.find([customer_id])
    if documents and MERGED_INTO in documents[0]:
        documents = await customers.find([documents[0][MERGED_INTO]])
    key = (await vault.keys([documents[0]["_id"]])).get(documents[0]["_id"]) if documents else None
    if not isinstance(key, DataKey):
        raise ProfileNotFoundError
    circumstances = circumstances_of(documents[0], access.caller, access.grant, now)
    if circumstances.reason is not None or not any(in_scope(each.scope, circumstances) for each in ways):
        raise ProfileNotFoundError
    return Person(documents[0], key, circumstances)


def require_officer(access: Access, refusal: type[ReadNotAllowedError | WriteNotAllowedError]) -> int | None:
    """The rule by which the caller answers for everybody's privacy.

    Raises:
        ReadNotAllowedError, WriteNotAllowedError: As `refusal` says: they do not.
    """
    for granted in (access.grant.read[PATH], access.grant.write[PATH]):
        ways = [each for each in granted.alternatives if each.scope is Scope.ANY and each.verdict is Verdict.CLEAR]
        if not ways or access.grant.purpose.basis is not LawfulBasis.LEGAL_OBLIGATION:
            raise refusal([PATH])
    return access.grant.read[PATH].alternatives[0].rule
