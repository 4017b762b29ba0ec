"""Which source a delivery comes from, and whether it does: decided over its raw bytes, before any of them is parsed."""

from collections.abc import Mapping
from datetime import datetime

from customers.collection.sources import Source, SourceKind, SourceStore
from customers.collection.webhooks import Judgement, is_binary, judged, kind_of
from server.webhooks.errors import Problem, WebhookRefusedError

_LONGEST_KEY = 512


async def trusted(sources: SourceStore, name: str, headers: Mapping[str, str], body: bytes, now: datetime) -> Source:
    """The source of this name, where this delivery is its own.

    A name that no source has, one that is disabled, has no secret or sends no webhooks, and a wrong signature have the
    same answer after the same work.

    Raises:
        WebhookRefusedError: It is not, or it was signed too long ago.
    """
    found = await sources.signing(name)
    source, keys = found if found is not None and found[0].kind is not SourceKind.SEGMENT else (None, ())
    judgement = judged(kind_of(headers) if source is None else source.kind, headers, body, keys, now)
    shown = await sources.of_key(_bearer(headers))
    if source is not None:
        if source.kind is SourceKind.CLOUDEVENTS:
            # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md §3: a key in the header.
            if shown is not None and shown.name == source.name:
                return source
            if is_binary(headers):
                judgement = Judgement.REFUSED
        if judgement is Judgement.GOOD:
            return source
        if judgement is Judgement.TIME_OFF:
            raise WebhookRefusedError(Problem.TIMESTAMP_OUT_OF_RANGE)
    raise WebhookRefusedError(Problem.SIGNATURE_REFUSED)


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" and len(key) <= _LONGEST_KEY else ""


__all__ = ["trusted"]
