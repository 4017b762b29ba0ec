"""Recipients of personal data, who are told when it is rectified, erased or restricted (GDPR Art. 17(2), 19)."""

from customers.rights.recipients.deliveries import DeliveryStore
from customers.rights.recipients.delivering import RETRIES, Deliverer
from customers.rights.recipients.errors import RecipientError, RecipientNotFoundError, RecipientTakenError
from customers.rights.recipients.model import (
    Delivery,
    NoticeKind,
    Receipt,
    Recipient,
    RecipientKind,
    State,
)
from customers.rights.recipients.reach import Member, Reach
from customers.rights.recipients.service import Followed, RecipientService
from customers.rights.recipients.store import RecipientStore
from customers.rights.recipients.telling import JOB, RecipientNotices

__all__ = [
    "JOB",
    "RETRIES",
    "Deliverer",
    "Delivery",
    "DeliveryStore",
    "Followed",
    "Member",
    "NoticeKind",
    "Reach",
    "Receipt",
    "Recipient",
    "RecipientError",
    "RecipientKind",
    "RecipientNotFoundError",
    "RecipientNotices",
    "RecipientService",
    "RecipientStore",
    "RecipientTakenError",
    "State",
]
