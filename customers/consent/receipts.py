"""Consent receipts as ISO/IEC TS 27560:2023 has them, in the terms of the W3C Data Privacy Vocabulary (DPV 2). Pure.

A receipt is JSON-LD that a person can keep and show: what they decided, about what, when, and what they were told. It
names them by a pseudonym that means nothing to anybody else, and holds no proof.
"""

from datetime import datetime
from typing import Any, Final

from customers.consent.model import EVERY_PURPOSE, Channel, ConsentDecision, ConsentState
from customers.consent.notices import Notice
from policies import LawfulBasis, Purpose

_CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "confide": "urn:confide:",
}
CONFORMS_TO: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt"
_RECORD: Final = "https://w3id.org/dpv/schema/dpv-27560#record"

_STATUS: Final = {
    ConsentState.GRANTED: "dpv:ConsentGiven",
    ConsentState.WITHDRAWN: "dpv:ConsentWithdrawn",
    ConsentState.OBJECTED: "confide:Objected",
    ConsentState.OBJECTION_WITHDRAWN: "confide:ObjectionWithdrawn",
    ConsentState.RESTRICTED: "confide:Restricted",
    ConsentState.RESTRICTION_LIFTED: "confide:RestrictionLifted",
}
_RIGHT: Final = {
    ConsentState.OBJECTED: "eu-gdpr:A21",
    ConsentState.OBJECTION_WITHDRAWN: "eu-gdpr:A21",
    ConsentState.RESTRICTED: "eu-gdpr:A18",
    ConsentState.RESTRICTION_LIFTED: "eu-gdpr:A18",
    ConsentState.WITHDRAWN: "eu-gdpr:A7-3",
}
_BASIS: Final = {
    LawfulBasis.CONSENT: "eu-gdpr:A6-1-a",
    LawfulBasis.CONTRACT: "eu-gdpr:A6-1-b",
    LawfulBasis.LEGAL_OBLIGATION: "eu-gdpr:A6-1-c",
    LawfulBasis.VITAL_INTERESTS: "eu-gdpr:A6-1-d",
    LawfulBasis.PUBLIC_TASK: "eu-gdpr:A6-1-e",
    LawfulBasis.LEGITIMATE_INTERESTS: "eu-gdpr:A6-1-f",
}


def receipt(
    entry_id: str,
    decision: ConsentDecision,
    *,
    recorded_at: datetime | None,
    purpose: Purpose | None,
    notice: Notice | None,
    subject: str,
    controller: str | None,
    now: datetime,
) -> dict[str, Any]:
    """The receipt of one decision.

    Args:
        entry_id: The ledger's entry.
        decision: What was decided.
        recorded_at: When it was written down, where that is known.
        purpose: What it is about; None of a restriction, or of a purpose that is none any more.
        notice: What the person was shown, word for word.
        subject: What names the person to themselves alone.
        controller: Who is responsible, by name.
        now: When the receipt is made; a consent that has ended by then says so.
    """
    event = _event(decision, subject, now)
    record: dict[str, Any] = {
        "@type": "dpv:ConsentRecord",
        "@id": f"confide:consent/{entry_id}",
        "dct:identifier": entry_id,
        "dct:conformsTo": _RECORD,
        "dct:created": _moment(recorded_at or decision.at),
        "dpv:hasDataSubject": {"@id": f"confide:subject/{subject}", "@type": "dpv:DataSubject"},
        "dpv:hasConsentStatus" if event["@type"].startswith("dpv:") else "dpv:hasStatus": [event],
        "dpv:hasProcess": [_process(decision, purpose)],
    }
    if decision.state is ConsentState.GRANTED:
        record["dpv:hasConsentControl"] = "dpv:WithdrawConsent"
    if controller is not None:
        record["dpv:hasDataController"] = {"@type": "dpv:DataController", "dpv:hasName": controller}
    if (right := _RIGHT.get(decision.state)) is not None:
        record["dpv:hasRight"] = right
    if notice is not None:
        record["dpv:hasNotice"] = {
            "@type": "dpv:ConsentNotice",
            "dct:identifier": notice.reference,
            "dct:language": notice.language,
            "dct:issued": _moment(notice.published_at),
            "confide:sha256": notice.sha256,
            "dct:description": notice.text,
        }
    elif decision.notice is not None:
        record["dpv:hasNotice"] = {"@type": "dpv:ConsentNotice", "dct:identifier": decision.notice}
    return {
        "@context": _CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "@id": f"confide:receipt/{entry_id}",
        "dct:identifier": f"receipt-{entry_id}",
        "dct:conformsTo": CONFORMS_TO,
        "dct:created": _moment(now),
        "dpv:hasRecipient": "dpv:DataSubject",
        "dpv:hasRecordOfActivity": record,
    }


def _event(decision: ConsentDecision, subject: str, now: datetime) -> dict[str, Any]:
    """What was decided, as an event: of consent, or of what the standard does not have."""
    status = _STATUS[decision.state]
    if decision.state is ConsentState.GRANTED and decision.expires_at is not None and decision.expires_at <= now:
        status = "dpv:ConsentExpired"
    event: dict[str, Any] = {
        "@type": status,
        "dct:date": _moment(decision.at),
        "dpv:isIndicatedAtTime": _moment(decision.at),
        "dpv:isIndicatedBy": {"@id": f"confide:subject/{subject}"},
        "dpv:hasIndicationMethod": decision.source,
    }
    if decision.expires_at is not None:
        event["dct:valid"] = _moment(decision.expires_at)
        event["dpv:hasDuration"] = {"@type": "dpv:UntilTimeDuration", "dpv:hasEndTime": _moment(decision.expires_at)}
    return event


def _process(decision: ConsentDecision, purpose: Purpose | None) -> dict[str, Any]:
    process: dict[str, Any] = {"@type": "dpv:Process"}
    if purpose is None:
        name = "every-purpose" if decision.purpose == EVERY_PURPOSE else decision.purpose
        process["dpv:hasPurpose"] = {"@id": f"confide:purpose/{name}", "@type": "dpv:Purpose"}
    else:
        process["dpv:hasPurpose"] = {
            "@id": f"confide:purpose/{purpose.name}",
            "@type": "dpv:Marketing" if purpose.direct_marketing else "dpv:Purpose",
            "dct:title": purpose.label,
            "dct:description": purpose.description,
        }
        process["dpv:hasLegalBasis"] = _BASIS[purpose.basis]
        if purpose.retention is not None:
            process["dpv:hasStorageCondition"] = {
                "@type": "dpv:StorageDuration",
                "dpv:hasDuration": {"@type": "xsd:duration", "@value": purpose.retention},
            }
    channels = [decision.channel] if decision.channel is not None else list(Channel)
    process["confide:hasChannel"] = [each.value for each in channels]
    return process


def _moment(at: datetime) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": at.isoformat().replace("+00:00", "Z")}
