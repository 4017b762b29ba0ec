"""What pages read: through GraphQL and nothing else, so that policy decides and every look is recorded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from customers.caller import Caller
from schema.service import Answer, Asked, GraphQLService
from server.console.errors import NoSuchPageError, ReadRefusedError
from server.console.parts import OnBehalf
from server.console.search import PAGE_SIZE, LogShape

_POLICY: Final = """query ConsolePolicy($purpose: String) {
  policy(purpose: $purpose) {
    version
    roles
    purposes { name label lawfulBasis }
    fields { field read scope export }
  }
}
"""
_LOG: Final = "access_entry."


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as its reader may see it. `unseen` are the catalogue's names of what they may not."""

    values: Mapping[str, Any]
    unseen: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)

    @property
    def id(self) -> str:
        """Its place in the log."""
        return str(self.values["id"])

    def hides(self, name: str) -> bool:
        """Whether the reader may not see this field of the catalogue's `access_entry`."""
        return f"{_LOG}{name}" in self.unseen


@dataclass(frozen=True, slots=True)
class Found:
    """A page of entries; `older` is where the search goes on, None where everything was seen.

    `recorded` is where the access log holds this look at it.
    """

    entries: tuple[Entry, ...]
    older: str | None
    recorded: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and what GraphQL says of what was masked and withheld in it (`extensions.privacy`)."""

    data: Mapping[str, Any]
    privacy: Mapping[str, Any]

    @property
    def entry(self) -> str | None:
        """Where this look is recorded."""
        return self.privacy.get("entry")


@dataclass(frozen=True, slots=True)
class Rights:
    """What the reader may do, for the purpose they stated, if any.

    Attributes:
        purposes: name → label, of those they may state.
        opens: whether the log is open to them for the purpose stated.
        sees_all, exports_all: whether they see every field of an entry in clear, and may take every one with them.
    """

    version: str
    roles: tuple[str, ...]
    purposes: Mapping[str, str]
    opens: bool
    sees_all: bool
    exports_all: bool


class Reader:
    """Asks GraphQL what the pages show."""

    def __init__(self, service: GraphQLService, shape: LogShape) -> None:
        self._service = service
        self._shape = shape

    async def rights(self, caller: Caller, purpose: str | None) -> Rights:
        """What the caller may do; reads nothing of anybody.

        Raises:
            ReadRefusedError: GraphQL refused.
        """
        # Without the purpose of the request: stating one that is not allowed would be refused as a whole.
        answer = await self._answer(Asked(_POLICY, None, {"purpose": purpose}, None, None, None), caller)
        policy = answer.data["policy"]
        entry = [each for each in policy["fields"] if each["field"].startswith(_LOG)]
        return Rights(
            version=policy["version"],
            roles=tuple(policy["roles"]),
            purposes={each["name"]: each["label"] for each in policy["purposes"]},
            opens=any(each["field"] == f"{_LOG}id" and _seen(each) for each in entry),
            sees_all=bool(entry) and all(map(_seen, entry)),
            exports_all=bool(entry) and all(each["export"] for each in entry),
        )

    async def search(
        self, who: OnBehalf, wanted: Mapping[str, Any], after: str | None, *, operation: str = "ConsoleSearch"
    ) -> Found:
        """One page of the log, newest first.

        Raises:
            ReadRefusedError: The policy, the database or an input does not allow it.
        """
        variables = {"filter": dict(wanted) or None, "first": PAGE_SIZE, "after": after}
        answer = await self._answer(self._asked(self._shape.document(operation), variables, who), who.caller)
        log = answer.data["accessLog"]
        return Found(
            entries=tuple(_entry(each, answer) for each in log["nodes"]),
            older=log["pageInfo"]["endCursor"] if log["pageInfo"]["hasNextPage"] else None,
            recorded=_privacy(answer).get("entry"),
        )

    async def entry(self, who: OnBehalf, entry: str, *, operation: str = "ConsoleEntry") -> tuple[Entry, str | None]:
        """One entry, and where this look at it is recorded.

        Raises:
            ReadRefusedError: as `search`.
            NoSuchPageError: There is no such entry, or the reader may not know of it.
        """
        asked = self._asked(self._shape.entry_document(operation), {"id": entry}, who)
        answer = await self._answer(asked, who.caller)
        found = answer.data["accessEntry"]
        if found is None:
            raise NoSuchPageError("There is no entry with this number in the access log.")
        return _entry(found, answer), _privacy(answer).get("entry")

    async def ask(
        self, who: OnBehalf, document: str, variables: Mapping[str, Any], *, change: bool = False
    ) -> tuple[Mapping[str, Any], str | None]:
        """What GraphQL answers to one of our own documents, and where that is recorded.

        Raises:
            ReadRefusedError: as `search`.
        """
        asked = Asked(document, None, dict(variables), who.purpose, who.case, who.trace, read_only=not change)
        answer = await self._answer(asked, who.caller)
        return answer.data, _privacy(answer).get("entry")

    async def told(self, who: OnBehalf, document: str, variables: Mapping[str, Any]) -> Told:
        """As `ask`, with what was masked and withheld of it, and why.

        Raises:
            ReadRefusedError: as `search`.
        """
        answer = await self._answer(self._asked(document, variables, who), who.caller)
        return Told(answer.data or {}, _privacy(answer))

    @staticmethod
    def _asked(document: str, variables: Mapping[str, Any], who: OnBehalf) -> Asked:
        return Asked(document, None, dict(variables), who.purpose, who.case, who.trace, read_only=True)

    async def _answer(self, asked: Asked, caller: Caller) -> Answer:
        answer = await self._service.answer(asked, caller)
        if answer.errors or answer.data is None:
            errors: Iterable[Mapping[str, Any]] = answer.errors or ({"message": "Nothing was answered."},)
            raise ReadRefusedError(next(iter(errors)), _privacy(answer).get("entry"))
        return answer


def _entry(values: Mapping[str, Any], answer: Answer) -> Entry:
    withheld = _privacy(answer).get("withheld", ())
    return Entry(values, frozenset(path for each in withheld for path in each["fields"]))


def _seen(permission: Mapping[str, Any]) -> bool:
    return bool(permission["read"] == "clear" and permission["scope"] == "any")


def _privacy(answer: Answer) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (answer.extensions or {}).get("privacy", {})
    return found


__all__ = ["Entry", "Found", "Reader", "Rights", "Told"]
