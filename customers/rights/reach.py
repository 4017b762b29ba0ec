"""Which collections and kinds of files an erasure changes: what its certificate says of the stores it reached.

Exports of the access log are not among them: they hold references that lead to nobody once the key is destroyed.

`tests/server/test_nothing_left.py` holds that whatever can name a person is among them.
"""

from typing import Final

REACHED: Final = (
    "files/key.ring",
    "keys/data_keys",
    "main/blind_index",
    "main/consent_ledger",
    "main/event_batches",
    "main/event_recounts",
    "main/events",
    "main/identity_cases",
    "main/jobs",
    "main/match_records",
    "main/match_tokens",
    "main/merges",
    "main/orders",
    "main/privacy_intake",
    "main/privacy_requests",
    "main/portal_sessions",
    "main/profiles",
    "main/quality_corrections",
    "main/recipient_deliveries",
    "main/retained",
    "main/sign_in_links",
    "main/tickets",
)
"""Database and collection, or `files` and what they are; sorted."""
