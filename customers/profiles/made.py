"""The documents that a new customer is made of. Values in, documents out."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from customers.consent.model import Rights
from customers.consent.store import shown
from customers.identity.model import PRIMARY_FIELDS, Identifier, IdentifierType, new_id, primary
from customers.profiles.draft import OrderDraft, ProfileDraft, TicketDraft
from customers.profiles.provenance import PROVENANCE, Provenance
from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.sealing import heard, laid_out, seal_origins
from customers.profiles.store import Collection, Document, bucket_of
from policies import Catalogue, Purpose
from vault import DataKey

CUSTOMER = "customer"
_STORED: Final = f"sealed.{PROVENANCE}"
UNPROVEN: Final = "unproven"
"""Stands beside an identifier that only senders have named whom nobody need believe; it is not there otherwise."""
VISITOR = "visitor"
"""Somebody of whom nothing says who it is: there are ids that browsers and apps gave themselves, and no others."""


def rights_of(draft: ProfileDraft, purposes: Mapping[str, Purpose]) -> Rights:
    """What the decisions of a draft amount to, in the order in which the customer made them."""
    rights = Rights(restricted=draft.restricted)
    for decision in sorted(draft.consents, key=lambda each: each.at):
        rights = rights.after(decision, purposes)
    return rights


def profile_document(
    draft: ProfileDraft, rights: Rights, catalogue: Catalogue, key: DataKey, *, seq: int, now: datetime
) -> Document:
    """The profile's own document; with origins where the draft has one."""
    orders = [order.values for order in draft.orders]
    values = {
        **draft.values,
        **_with_originals(draft),
        **identifier_fields(draft.identifiers),
        "created_at": draft.created_at or now,
        "updated_at": now,
        "order_count": len(orders),
        "ticket_count": len(draft.tickets),
        "total_spent": sum(order["total"] for order in orders),
        "currency": orders[-1]["currency"] if orders else None,
        "first_order_at": orders[0]["placed_at"] if orders else None,
        "last_order_at": orders[-1]["placed_at"] if orders else None,
    }
    consents: list[dict[str, Any]] = []
    for decision in sorted(draft.consents, key=lambda each: each.at):
        consents = shown(consents, decision)
    values["consents"] = consents
    document = {
        "_id": key.customer_id,
        "seq": seq,
        "version": 1,
        "rights": rights.document(),
        **laid_out(catalogue.object("profile"), Collection.PROFILES, key.customer_id, key, values),
    }
    if draft.origin is not None:
        origins = Provenance()
        for name in (*draft.values, "traits", *PRIMARY_FIELDS.values(), "identifiers"):
            if values.get(name) is not None:
                heard(origins, name, values[name], draft.origin)
        setting: dict[str, Any] = {}
        seal_origins(key, {"_id": key.customer_id}, origins, setting, {})
        document["sealed"] |= {PROVENANCE: envelope} if (envelope := setting.pop(_STORED, None)) else {}
        document |= setting
    return document


def _with_originals(draft: ProfileDraft) -> dict[str, Any]:
    """The traits of a draft with its values as they came beside them, where others are stored."""
    if not draft.originals:
        return {}
    return {"traits": {**(draft.values.get("traits") or {}), **draft.originals}}


def child_documents(
    collection: Collection,
    drafts: Sequence[OrderDraft | TicketDraft],
    catalogue: Catalogue,
    key: DataKey,
    *,
    random: Callable[[int], bytes],
) -> list[Document]:
    """The documents of a new customer's orders or tickets."""
    name, prefix = ("order", "ord_") if collection is Collection.ORDERS else ("ticket", "tic_")
    fields = catalogue.object(name)
    documents: list[Document] = []
    for ordinal, draft in enumerate(drafts, start=1):
        document_id = new_id(prefix, random)
        documents.append(
            {
                "_id": document_id,
                "customer_id": key.customer_id,
                "ordinal": ordinal,
                "bucket": bucket_of(key.customer_id, ordinal),
                **laid_out(fields, collection, document_id, key, draft.values),
            }
        )
    return documents


def identifiers_of(document: Mapping[str, Any], key: DataKey) -> tuple[Identifier, ...]:
    """The identifiers that a profile holds."""
    envelope = (document.get("sealed") or {}).get("identifiers")
    if envelope is None:
        return ()
    held = key.open(envelope, Collection.PROFILES, document["_id"], "identifiers", SCHEMA_VERSION)
    return tuple(
        Identifier(IdentifierType(each["type"]), each["value"], not each.get(UNPROVEN, False))
        for each in held["identifiers"]
    )


def identifier_fields(identifiers: Sequence[Identifier]) -> dict[str, Any]:
    """The fields that follow from a customer's identifiers."""
    fields: dict[str, Any] = {name: primary(identifiers, kind) for kind, name in PRIMARY_FIELDS.items()}
    fields["identifiers"] = [
        {"type": each.type.value, "value": each.value, **({} if each.proven else {UNPROVEN: True})}
        for each in identifiers
    ] or None
    anonymous = [each.type is IdentifierType.ANONYMOUS_ID for each in identifiers]
    fields["kind"] = VISITOR if anonymous and all(anonymous) else CUSTOMER
    return fields
