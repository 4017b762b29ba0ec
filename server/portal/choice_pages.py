"""What a customer allows: agreeing and taking it back are one press each; so are objecting and stopping all use."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from customers.consent.model import EVERY_PURPOSE, Channel, ConsentDecision, ConsentState, Rights, refusal
from policies import LawfulBasis, Purpose
from server.clock import Now
from server.portal.errors import NothingHereError
from server.portal.frame import Frame, Visit
from server.portal.moments import moment_of
from server.portal.words import CHANNELS, DECISIONS

_READ: Final = """query PortalChoices($customer: ID!) {
  me { id consents { purpose state at channel expiresAt } }
  consentNotices { reference name language text publishedAt }
  consentLedger(customer: $customer, first: 25) { nodes { id purpose channel state at source notice } }
}"""
_RECORD: Final = """mutation PortalDecide($id: ID!, $choice: ConsentChoice!, $consent: ConsentInput!) {
  recordConsent(id: $id, choice: $choice, consent: $consent) { profile { id } }
}"""
_RECEIPT: Final = """query PortalReceipt($customer: ID!, $entry: ID!) {
  consentReceipt(customer: $customer, entry: $entry)
}"""
_SOURCE: Final = "portal"
_BY_CHOICE: Final[Mapping[str, str]] = {
    "agree": "GRANTED",
    "withdraw": "WITHDRAWN",
    "object": "OBJECTED",
    "unobject": "OBJECTION_WITHDRAWN",
    "stop": "RESTRICTED",
    "go-on": "RESTRICTION_LIFTED",
}


class ChoicePages:
    """Handlers."""

    def __init__(self, frame: Frame, now: Now) -> None:
        self._frame = frame
        self._now = now

    async def every(self, request: Request) -> Response:
        """Every purpose that a customer has a say in, and what they said."""
        frame, visit = self._frame, await self._frame.visit(request)
        data = await frame.ask(visit, _READ, customer=visit.session.customer_id)
        if data["me"] is None:
            raise NothingHereError
        rights = self._rights(data["me"]["consents"] or ())
        language = frame.pages.language(request)
        purposes = self._frame.policies().purposes.values()
        consents, uses = [], []
        for purpose in purposes:
            if purpose.basis is LawfulBasis.CONSENT:
                notice = _notice(data["consentNotices"], purpose.name, language)
                said = self._refused(purpose, data["me"]["consents"] or ())
                consents.append(self._consent(visit, purpose, rights, notice) | said)
            elif purpose.basis is LawfulBasis.LEGITIMATE_INTERESTS:
                uses.append(self._use(visit, purpose, rights))
        ledger = (data["consentLedger"] or {"nodes": []})["nodes"]
        return frame.show(
            visit,
            "choices.html",
            consents=consents,
            uses=uses,
            restricted=rights.restricted,
            ledger=[self._said(visit, each) for each in ledger],
            done=request.query_params.get("done") == "1",
        )

    async def decide(self, request: Request) -> Response:
        """Write one decision down; the next read of anybody feels it."""
        frame = self._frame
        visit, form = await frame.posted(request)
        name, choice = form.get("purpose", ""), _BY_CHOICE.get(form.get("choice", ""))
        purpose = frame.policies().purposes.get(name)
        about_all = choice in ("RESTRICTED", "RESTRICTION_LIFTED")
        if choice is None or (purpose is None) is not about_all:
            raise NothingHereError
        if not about_all and purpose is not None:
            allowed = {LawfulBasis.CONSENT: ("GRANTED", "WITHDRAWN", "OBJECTION_WITHDRAWN")}
            if choice not in allowed.get(purpose.basis, ("OBJECTED", "OBJECTION_WITHDRAWN")):
                raise NothingHereError
        consent: dict[str, Any] = {"purpose": EVERY_PURPOSE if about_all else name, "source": _SOURCE}
        if choice == "GRANTED" and (notice := form.get("notice")):
            consent["notice"] = notice
        customer = visit.session.customer_id
        if choice == "GRANTED" and purpose is not None:
            # Who agrees has changed their mind: an objection of theirs to just this ends with it.
            await self._end_objection(visit, purpose)
        await frame.ask(visit, _RECORD, id=customer, choice=choice, consent=consent)
        return frame.to("/choices?done=1")

    async def channels(self, request: Request) -> Response:
        """By which ways a purpose that is agreed to may reach the customer."""
        frame = self._frame
        visit, form = await frame.posted(request)
        purpose = frame.policies().purposes.get(form.get("purpose", ""))
        if purpose is None or purpose.basis is not LawfulBasis.CONSENT:
            raise NothingHereError
        customer = visit.session.customer_id
        data = await frame.ask(visit, _READ, customer=customer)
        held = self._rights((data["me"] or {}).get("consents") or ()).channels(purpose.name)
        for channel in Channel:
            wanted = form.get(channel.value) == "1"
            if wanted is not (channel in held):
                consent = {"purpose": purpose.name, "source": _SOURCE, "channel": channel.name}
                choice = "GRANTED" if wanted else "WITHDRAWN"
                await frame.ask(visit, _RECORD, id=customer, choice=choice, consent=consent)
        return frame.to("/choices?done=1")

    async def receipt(self, request: Request) -> Response:
        """The receipt of one decision, to keep. Another's is not there."""
        frame, visit = self._frame, await self._frame.visit(request)
        entry = str(request.path_params["entry"])
        found = await frame.ask(visit, _RECEIPT, customer=visit.session.customer_id, entry=entry)
        if found["consentReceipt"] is None:
            raise NothingHereError
        body = json.dumps(found["consentReceipt"], ensure_ascii=False, indent=2).encode() + b"\n"
        return frame.pages.file(body, "consent-receipt.json", "application/ld+json")

    async def _end_objection(self, visit: Visit, purpose: Purpose) -> None:
        data = await self._frame.ask(visit, _READ, customer=visit.session.customer_id)
        rights = self._rights((data["me"] or {}).get("consents") or ())
        for name in purpose.lineage:
            if name in rights.objected:
                consent = {"purpose": name, "source": _SOURCE}
                await self._frame.ask(
                    visit, _RECORD, id=visit.session.customer_id, choice="OBJECTION_WITHDRAWN", consent=consent
                )

    def _rights(self, consents: Any) -> Rights:
        """What these decisions come to, the oldest first."""
        purposes = self._frame.policies().purposes
        standing = [{**each, "at": moment_of(each["at"])} for each in consents]
        rights = Rights()
        for each in sorted(standing, key=lambda one: one["at"]):
            if each["purpose"] != EVERY_PURPOSE and each["purpose"] not in purposes:
                continue
            decision = ConsentDecision(
                each["purpose"],
                ConsentState(each["state"]),
                each["at"],
                _SOURCE,
                channel=None if each["channel"] is None else Channel(each["channel"].lower()),
                expires_at=moment_of(each["expiresAt"]),
            )
            rights = rights.after(decision, purposes, standing)
        return rights

    def _consent(
        self, visit: Visit, purpose: Purpose, rights: Rights, notice: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        allowed = refusal(_unrestricted(rights), purpose, self._now()) is None
        held = rights.channels(purpose.name) if allowed else {}
        return {
            "name": purpose.name,
            "depth": len(purpose.lineage) - 1,
            "label": visit.words(purpose.label),
            "means": visit.words(purpose.description),
            "allowed": allowed,
            "until": rights.until.get(purpose.name) if allowed else None,
            "channels": [(each.value, visit.words(CHANNELS[each.value]), each in held) for each in Channel],
            "some": allowed and len(held) < len(Channel),
            "notice": notice,
            "parts": self._parts(visit, purpose),
        }

    def _refused(self, purpose: Purpose, consents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """When an agreement to this, or to what it is part of, was taken back or ended by itself, where it was."""
        standing = {each["purpose"]: each for each in consents if each["channel"] is None}
        for name in purpose.lineage:
            said = standing.get(name)
            if said is None:
                continue
            ends = moment_of(said["expiresAt"])
            if ConsentState(said["state"]) is ConsentState.WITHDRAWN:
                return {"taken_back": said["at"], "ended": None}
            if ends is not None and ends <= self._now():
                return {"taken_back": None, "ended": said["expiresAt"]}
        return {"taken_back": None, "ended": None}

    def _use(self, visit: Visit, purpose: Purpose, rights: Rights) -> dict[str, Any]:
        above = [each for each in purpose.lineage[1:] if each in rights.objected]
        return {
            "name": purpose.name,
            "depth": len(purpose.lineage) - 1,
            "label": visit.words(purpose.label),
            "means": visit.words(purpose.description),
            "allowed": refusal(_unrestricted(rights), purpose, self._now()) is None,
            "happens": refusal(rights, purpose, self._now()) is None,
            "above": bool(above),
            "parts": self._parts(visit, purpose),
        }

    def _parts(self, visit: Visit, purpose: Purpose) -> list[str]:
        """The purposes that whoever decides over this one decides over too."""
        purposes = self._frame.policies().purposes.values()
        below = (each for each in purposes if purpose.name in each.lineage[1:] and each.basis is purpose.basis)
        return [visit.words(each.label) for each in below]

    def _said(self, visit: Visit, entry: Mapping[str, Any]) -> dict[str, Any]:
        purpose = self._frame.policies().purposes.get(entry["purpose"])
        channel = entry["channel"]
        return {
            "id": entry["id"],
            "at": entry["at"],
            "purpose": None if purpose is None else visit.words(purpose.label),
            "said": visit.words(DECISIONS.get(entry["state"], entry["state"])),
            "channel": None if channel is None else visit.words(CHANNELS[channel.lower()]),
            "source": entry["source"],
            "notice": entry["notice"],
        }


def _unrestricted(rights: Rights) -> Rights:
    """What was said of each purpose, whatever else was stopped."""
    return Rights(rights.consented, rights.objected, restricted=False, until=rights.until)


def _notice(notices: list[Mapping[str, Any]], name: str, language: str) -> Mapping[str, Any] | None:
    """The newest text that was published under a purpose's name, in this language or else in English."""
    for wanted in (language, "en"):
        mine = [each for each in notices if each["name"] == name and each["language"].partition("-")[0] == wanted]
        if mine:
            return max(mine, key=lambda each: str(each["publishedAt"]))
    return None


__all__ = ["ChoicePages"]
