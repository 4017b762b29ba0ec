"""The five-minute tour: one profile as five roles see it, who looked, and what is left when it is erased.

Every question goes over HTTP to the running server; nothing is printed that it did not answer.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.demo.cast import CAST, Player
from server.demo.errors import DemoError
from server.demo.well_known import WELL_KNOWN

_FIELDS = (
    "id", "givenName", "familyName", "email", "phone", "city", "birthDate", "nationalId", "notes", "traits",
    "loyaltyTier", "totalSpent", "orderCount",
)  # fmt: skip
PROFILE = f"query Tour($id: ID!) {{ profile(id: $id) {{ {' '.join(_FIELDS)} }} }}"
FIND = "query Find($email: String!) { profileByIdentifier(type: EMAIL, value: $email) { id } }"
LOG = (
    "query Log { accessLog(first: 5) { nodes "
    "{ id actor roles purpose case kind decisions { decision fields rule reason } subjects outcome } } }"
)
ERASE = "mutation Erase($id: ID!) { eraseCustomer(id: $id, confirm: $id) { keyFingerprints erasedAt } }"
_ASKING = ("support_agent", "marketer", "sales_rep", "executive")
_HEADS = {
    "support_agent": "support",
    "marketer": "marketing",
    "sales_rep": "sales",
    "executive": "executive",
    "customer": "customer",
}
_CASE = "T-1042"
_SHORT = 12


@dataclass(frozen=True)
class Stage:
    """Where the tour plays: the server, everybody's tokens, who is asked about, and who is the second of two."""

    address: str
    tokens: Mapping[str, str]
    customer_id: str
    second_officer: str


class Tour:
    """Asks and prints, and remembers whether every answer was the one that the tour promises."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._out = console
        self._faults: list[str] = []

    async def run(self) -> list[str]:
        """Run the whole tour; give what was not as promised."""
        async with httpx.AsyncClient(base_url=self._stage.address, timeout=30.0) as client:
            self._client = client
            await self._find()
            await self._side_by_side()
            await self._refusals()
            await self._log()
            await self._erase()
        return self._faults

    async def _find(self) -> None:
        self._title("1. Support finds a customer by e-mail address")
        answer = await self._ask("support_agent", FIND, {"email": WELL_KNOWN.consenting_email})
        found = _path(answer, "data", "profileByIdentifier", "id")
        self._out.print(f"{WELL_KNOWN.consenting_email} is [bold]{found}[/bold]")
        self._expect(found == self._stage.customer_id, "support finds the customer by e-mail address")

    async def _side_by_side(self) -> None:
        self._title("2. The same profile, asked for by five roles")
        answers = {role: await self._ask(role, PROFILE, {"id": self._stage.customer_id}) for role in _ASKING}
        answers["customer"] = await self._ask("customer", PROFILE, {"id": self._stage.customer_id})
        self._out.print(_table(answers))
        for role, answer in answers.items():
            privacy = _privacy(answer)
            self._out.print(
                f"[bold]{role}[/bold] for {privacy['purpose']}: entry {privacy['entry']}; " + _why(privacy),
                highlight=False,
            )
        self._expect(_path(answers["support_agent"], "data", "profile", "birthDate") == "1958", "support sees a year")
        self._expect(_path(answers["marketer"], "data", "profile", "phone") is None, "marketing sees no phone number")
        self._expect(_path(answers["executive"], "data", "profile", "givenName") is None, "executives see no name")
        self._expect(bool(_path(answers["customer"], "data", "profile", "traits")), "the customer sees everything")

    async def _refusals(self) -> None:
        self._title("3. What is refused")
        no_purpose = await self._ask("support_agent", PROFILE, {"id": self._stage.customer_id}, purpose=None)
        self._out.print("without a purpose:", _error(no_purpose))
        self._expect(_code(no_purpose) == "PURPOSE_REQUIRED", "no purpose, no personal data")
        looking = await self._ask("marketer", FIND, {"email": WELL_KNOWN.consenting_email})
        self._out.print("marketing looking somebody up:", _error(looking))
        self._expect(_code(looking) == "FILTER_NOT_ALLOWED", "marketing may not look people up")

    async def _log(self) -> None:
        self._title("4. The auditor reads who looked")
        answer = await self._ask("auditor", LOG, {})
        entries = _path(answer, "data", "accessLog", "nodes") or []
        for entry in entries:
            who = ", ".join(map(_short, entry["subjects"])) or "-"
            fields = len({field for decision in entry["decisions"] for field in decision["fields"]})
            self._out.print(
                f"{entry['id']}  {entry['kind']:<6} {entry['actor']:<32} {', '.join(entry['roles']):<14} "
                f"{entry['purpose']:<20} {entry['case'] or '-':<7} {fields:>2} fields  "
                f"{entry['outcome']}  about {who}",
                highlight=False,
            )
        self._expect(any(entry["roles"] == ["customer"] for entry in entries), "every read is in the log")

    async def _erase(self) -> None:
        self._title("5. Two privacy officers erase the customer")
        alone = await self._ask("privacy_officer", ERASE, {"id": self._stage.customer_id})
        self._out.print("the first alone:", _error(alone))
        self._expect(_code(alone) == "SECOND_PERSON_NEEDED", "nobody is erased by one person")
        second = self._stage.second_officer
        answer = await self._ask("privacy_officer", ERASE, {"id": self._stage.customer_id}, token=second)
        receipt = _path(answer, "data", "eraseCustomer")
        self._out.print(json.dumps(receipt), highlight=False)
        self._expect(bool(receipt), "the erasure is acknowledged")
        for role in (*_ASKING, "customer", "privacy_officer"):
            answer = await self._ask(role, PROFILE, {"id": self._stage.customer_id})
            profile = _path(answer, "data", "profile")
            reasons = sorted({each["reason"] for each in _privacy(answer)["withheld"]})
            self._out.print(f"{role:<16} {json.dumps(profile)}  {', '.join(reasons)}", highlight=False)
            self._expect(profile is None and "ERASED" in reasons, f"{role} gets nothing after the erasure")

    async def _ask(
        self,
        role: str,
        query: str,
        variables: Mapping[str, Any],
        *,
        purpose: str | None = "usual",
        token: str | None = None,
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token or self._stage.tokens[role]}", "confide-case": _CASE}
        if purpose is not None:
            headers["confide-purpose"] = purpose_of(role)
        response = await self._client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        try:
            answer: dict[str, Any] = response.json()
        except ValueError:
            raise DemoError(f"the server answered {response.status_code} and no JSON") from None
        return answer

    def _title(self, text: str) -> None:
        self._out.print()
        self._out.print(Text(text, style="bold"))

    def _expect(self, holds: bool, promise: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not holds:
            self._faults.append(promise)


def _table(answers: Mapping[str, dict[str, Any]]) -> Table:
    """A row for each field and a column for each role, within 80 characters."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    table.add_column("field", style="bold", no_wrap=True)
    for role in answers:
        table.add_column(_HEADS[role], overflow="fold", width=12)
    for name in _FIELDS:
        shown = [_shown(_path(answer, "data", "profile", name)) for answer in answers.values()]
        table.add_row(name, *map(_short, shown) if name == "id" else shown)
    return table


def _short(text: str) -> str:
    """The beginning of a long id."""
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def purpose_of(role: str) -> str:
    """The purpose that a role states in the tour."""
    return "self_service" if role == "customer" else player(role).purpose


def player(role: str) -> Player:
    """Who plays a role."""
    return next(each for each in CAST if each.role == role)


def _path(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return f"{len(value)} notes"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {held}" for name, held in value.items())
    return str(value)


def _why(privacy: Mapping[str, Any]) -> str:
    def parts() -> Iterator[str]:
        for each in privacy["masked"]:
            yield f"{_names(each)} masked ({'rule ' + str(each['rule']) if each.get('rule') else each['reason']})"
        for each in privacy["withheld"]:
            rule = f" rule {each['rule']}" if each.get("rule") else ""
            yield f"{_names(each)} withheld ({each['reason']}{rule})"

    return "; ".join(parts()) or "everything in clear"


def _names(each: Mapping[str, Any]) -> str:
    return ", ".join(field.removeprefix("profile.") for field in each["fields"])


def _privacy(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = _path(answer, "extensions", "privacy")
    if found is None:
        raise DemoError(f"the server did not answer a question of the tour ({_error(answer)})")
    return found


def _error(answer: Mapping[str, Any]) -> str:
    errors = answer.get("errors") or [{}]
    return f"{_code(answer)}: {errors[0].get('message')}"


def _code(answer: Mapping[str, Any]) -> Any:
    errors = answer.get("errors") or [{}]
    return _path(errors[0], "extensions", "code")
