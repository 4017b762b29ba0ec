"""Who looked: when, in which role, for which purpose, at which fields; and the proof of each. Never a person's name."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from audit import AccessLog, Checkpointer, EntryId, EntryIdInvalidError, Kind, Outcome, Receipt
from audit.note import encode_base64
from audit.tree import leaf_hash
from customers.disclosure import Disclosure
from policies import Verdict
from server.clock import Now
from server.portal.errors import NothingHereError
from server.portal.frame import Frame, Visit
from server.portal.words import KINDS
from vault import DataKey, Vault

_FIELDS: Final = "id time roles purpose kind decisions { decision fields } filters outcome policyVersion"
_LOG: Final = f"""query PortalLooked($after: String) {{
  accessLog(first: 50, after: $after) {{ edges {{ cursor node {{ {_FIELDS} }} }} pageInfo {{ hasNextPage endCursor }} }}
}}"""
_ENTRY: Final = f"query PortalLook($id: ID!) {{ accessEntry(id: $id) {{ {_FIELDS} }} }}"
_GIVEN: Final = """query PortalGiven {
  myRecipients { name fields }
  myRecipientNotices { recipient kind state fields at toldAt }
}"""
_OWN: Final = "customer"
_SHOWN: Final = 20
_MOST_PAGES: Final = 4
VERSION: Final = "confide.portal.proof/v1"


class LookedPages:
    """Handlers.

    Args:
        frame: the frame.
        log: takes the record of a proof that is given out.
        checkpointer: makes proofs.
        vault: the customer's own reference.
        now: the time.
    """

    def __init__(self, frame: Frame, log: AccessLog, checkpointer: Checkpointer, vault: Vault, now: Now) -> None:
        self._frame = frame
        self._log = log
        self._checkpointer = checkpointer
        self._vault = vault
        self._now = now

    async def every(self, request: Request) -> Response:
        """Every look, the newest first; the customer's own only where they ask for them."""
        frame, visit = self._frame, await self._frame.visit(request)
        own = request.query_params.get("own") == "1"
        after = request.query_params.get("after") or None
        later = after is not None
        rows: list[dict[str, Any]] = []
        for _ in range(_MOST_PAGES):
            page = (await frame.ask(visit, _LOG, after=after))["accessLog"]
            for each in page["edges"]:
                if len(rows) == _SHOWN:
                    break
                after = each["cursor"]
                if own or not self._is_own(each["node"]):
                    rows.append(self._row(visit, each["node"]))
            else:
                after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
            if len(rows) == _SHOWN or after is None:
                break
        given = [] if later else await self._given(visit)
        return frame.show(visit, "looked.html", rows=rows, more=after, own=own, later=later, given=given)

    async def proof(self, request: Request) -> Response:
        """The proof of one look, as a file. One that is not about this customer is not there.

        The whole record would name staff and other people. So the proof has its hash, which binds whoever keeps the
        log to one record only, and what of it the customer may know.
        """
        frame, visit = self._frame, await self._frame.visit(request)
        try:
            place = EntryId.parse(request.path_params["entry"])
        except EntryIdInvalidError:
            raise NothingHereError from None
        shown = (await frame.ask(visit, _ENTRY, id=str(place)))["accessEntry"]
        if shown is None:
            raise NothingHereError
        await self._note(visit)
        receipt = Receipt.parse(await self._checkpointer.receipt(place))
        told = {
            "version": VERSION,
            "entry": str(place),
            "record": {name: value for name, value in shown.items() if value is not None},
            "leaf": encode_base64(leaf_hash(receipt.record)),
            "index": receipt.index,
            "proof": [encode_base64(each) for each in receipt.proof],
            "checkpoint": receipt.note.to_bytes().decode(),
        }
        body = json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n"
        return frame.pages.file(body, f"proof-{place.shard}-{place.index}.json", "application/json")

    async def _note(self, visit: Visit) -> None:
        """Record that a proof was taken, before it is given."""
        access = self._frame.access(visit, "PortalProof")
        disclosure = Disclosure(access.disclosure.request, access.grant, Kind.EXPORT)
        for path, granted in access.grant.export.items():
            if path.startswith("access_entry.") and granted:
                disclosure.add_fields({path: (Verdict.CLEAR, granted.alternatives[0].rule)})
        async with self._vault.reading():
            key = (await self._vault.keys([visit.session.customer_id])).get(visit.session.customer_id)
            if not isinstance(key, DataKey):
                raise NothingHereError
            disclosure.about(key.audit_reference)
        await self._log.append(disclosure.record(self._now(), Outcome.ALLOWED, Kind.EXPORT))

    async def _given(self, visit: Visit) -> list[dict[str, Any]]:
        """To whom data is given, with what, and what they were told of corrections; nothing where nobody is."""
        try:
            found = await self._frame.ask(visit, _GIVEN)
        except NothingHereError:
            return []
        fields = self._frame.policies().catalogue.fields

        def labels(paths: Iterable[str]) -> list[str]:
            return list(dict.fromkeys(visit.words(fields[each].label) for each in paths if each in fields))

        told = [
            each
            for each in found["myRecipientNotices"]
            if each["toldAt"] is not None and each["kind"] == "RECTIFICATION"
        ]
        return [
            {
                "name": each["name"],
                "fields": labels(each["fields"]),
                "told": [(one["toldAt"], labels(one["fields"])) for one in told if one["recipient"] == each["name"]],
            }
            for each in found["myRecipients"]
        ]

    @staticmethod
    def _is_own(node: Mapping[str, Any]) -> bool:
        return node.get("roles") == [_OWN]

    def _row(self, visit: Visit, node: Mapping[str, Any]) -> dict[str, Any]:
        policies, words = self._frame.policies(), visit.words
        purpose = policies.purposes.get(node.get("purpose") or "")
        seen: dict[str, list[str]] = {"clear": [], "masked": [], "withheld": []}
        for decision in node.get("decisions") or ():
            seen[decision["decision"]] += [
                words(policies.catalogue.fields[path].label)
                for path in decision["fields"]
                if path in policies.catalogue.fields
            ]
        return {
            "id": node["id"],
            "time": node["time"],
            "own": self._is_own(node),
            "roles": ", ".join(
                words(policies.roles[each].label) if each in policies.roles else each for each in node["roles"] or ()
            ),
            "kind": words(KINDS.get(node["kind"], node["kind"])),
            "purpose": words(purpose.label) if purpose is not None else node.get("purpose"),
            "means": None if purpose is None else words(purpose.description),
            "seen": {name: list(dict.fromkeys(labels)) for name, labels in seen.items()},
            "refused": node.get("outcome") != "allowed",
        }


__all__ = ["VERSION", "LookedPages"]
