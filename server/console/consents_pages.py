"""Consent: how many customers said what about each purpose, the texts they were shown, and one person's whole ledger.

Through GraphQL with the reader's own roles and purpose: who may only count is told no number below eleven.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from policies import PolicySet
from server.console.customer_names import CustomerNames
from server.console.errors import NoSuchPageError, NotServedError
from server.console.frame import Frame
from server.console.sections import looks_up
from server.console.words import purpose_of

_PAGE: Final = 25
_ENTRY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_COUNTS: Final = """query ConsoleConsents {
  consentCounts { countedAt counts { purpose channel state customers told } }
  consentNotices { reference name version language text sha256 publishedAt }
}
"""
_LEDGER: Final = """query ConsoleLedger($customer: ID!, $first: Int!, $after: String) {
  consentLedger(customer: $customer, first: $first, after: $after) {
    nodes { id purpose channel state at recordedAt expiresAt source notice proof }
    pageInfo { hasNextPage endCursor }
  }
}
"""
_RECEIPT: Final = """query ConsoleReceipt($customer: ID!, $entry: ID!) {
  consentReceipt(customer: $customer, entry: $entry)
}
"""
STATES: Final[Mapping[str, tuple[str, str, str]]] = {
    "granted": ("allowed", "✓", "Agreed"),
    "withdrawn": ("refused", "✕", "Withdrawn"),
    "expired": ("not_found", "◷", "Ended by itself"),
    "objected": ("refused", "✕", "Objected"),
    "objection_withdrawn": ("allowed", "✓", "Objection taken back"),
    "restricted": ("refused", "‖", "Restricted"),
    "restriction_lifted": ("allowed", "✓", "Restriction lifted"),
}
CHANNELS: Final[Mapping[str, str]] = {
    "EMAIL": "by e-mail",
    "SMS": "by text message",
    "PHONE": "by telephone",
    "POST": "by post",
    "PUSH": "as notifications",
}
_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class CountRow:
    """What was said about one purpose, by one channel where that was said.

    Attributes:
        label: The purpose in words.
        channel: The channel in words, or None.
        told: How many, by state, in words.
        share: How many of those who decided agree, as whole percent; None where it cannot or may not be told.
    """

    label: str
    channel: str | None
    told: Mapping[str, str]
    share: int | None

    @property
    def width(self) -> int:
        """The width of the share's bar."""
        return 0 if self.share is None else self.share * _WIDTH // 100


class ConsentPages:
    """Counts and ledgers."""

    def __init__(self, frame: Frame, names: CustomerNames | None) -> None:
        self._frame = frame
        self._names = names

    def _require(self) -> CustomerNames:
        if self._names is None:
            raise NotServedError("It keeps no consents.")
        return self._names

    async def counts(self, request: Request) -> Response:
        """Everybody's decisions in numbers, and the notices."""
        visit = await self._frame.visit(request)
        self._require()
        found, recorded = await self._frame.reader.ask(visit.who, _COUNTS, {})
        counted = found["consentCounts"]
        rows = count_rows(counted["counts"], self._frame.policies())
        return self._frame.show(
            visit,
            "consents.html",
            rows=rows,
            states=[(name, told[2]) for name, told in STATES.items() if any(name in row.told for row in rows)],
            counted_at=counted["countedAt"],
            notices=found["consentNotices"],
            width=_WIDTH,
            recorded=recorded,
        )

    async def ledger(self, request: Request) -> Response:
        """Everything one person decided, the latest first."""
        visit = await self._frame.visit(request)
        name = str(request.path_params["name"])
        customer = self._require().customer(visit.caller.actor, name)
        after = request.query_params.get("after") or None
        told, recorded = await self._frame.reader.ask(
            visit.who, _LEDGER, {"customer": customer, "first": _PAGE, "after": after}
        )
        found, policies = told["consentLedger"], self._frame.policies()
        if found is None:
            raise NoSuchPageError("There is nobody with this number, or nobody whom you may see for this purpose.")
        info = found["pageInfo"]
        return self._frame.show(
            visit,
            "ledger.html",
            name=name,
            nodes=[(each, purpose_of(each["purpose"], policies)) for each in found["nodes"]],
            more=info["endCursor"] if info["hasNextPage"] else None,
            after=after,
            states=STATES,
            channels=CHANNELS,
            looks=looks_up(policies.decide(visit.caller.roles, visit.who.purpose)),
            recorded=recorded,
        )

    async def receipt(self, request: Request) -> Response:
        """The receipt of one decision, to keep."""
        visit = await self._frame.visit(request)
        customer = self._require().customer(visit.caller.actor, str(request.path_params["name"]))
        entry = str(request.path_params["entry"])
        if _ENTRY.fullmatch(entry) is None:
            raise NoSuchPageError("There is no such decision.")
        told, _ = await self._frame.reader.ask(visit.who, _RECEIPT, {"customer": customer, "entry": entry})
        content = json.dumps(told["consentReceipt"], ensure_ascii=False, indent=2).encode()
        return self._frame.pages.file(content, f"consent-{entry}.jsonld", "application/ld+json")


def count_rows(counts: Sequence[Mapping[str, Any]], policies: PolicySet) -> list[CountRow]:
    """The counts as rows, in the policy's order of purposes."""
    kept: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for each in counts:
        kept.setdefault((each["purpose"], each["channel"]), []).append(each)
    order = {name: place for place, name in enumerate(policies.purposes)}
    rows = []
    for (purpose, channel), same in sorted(
        kept.items(), key=lambda each: (order.get(each[0][0], len(order)), each[0][0], each[0][1] or "")
    ):
        told = {
            each["state"]: each["told"] if each["customers"] is None else f"{each['customers']:,}" for each in same
        }
        said = CHANNELS.get(channel, channel.lower()) if channel else None
        rows.append(CountRow(purpose_of(purpose, policies), said, told, _share(same)))
    return rows


def _share(same: Sequence[Mapping[str, Any]]) -> int | None:
    """Never of numbers that are not told, nor where agreeing is nothing that was asked."""
    numbers = {each["state"]: each["customers"] for each in same}
    if "granted" not in numbers or None in numbers.values():
        return None
    whole = sum(numbers.values())
    return numbers["granted"] * 100 // whole if whole else None


__all__ = ["CHANNELS", "STATES", "ConsentPages", "CountRow", "count_rows"]
