"""The mutations `applyCorrection` and `dismissCorrection`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import strawberry

from customers.errors import ReadNotAllowedError
from customers.quality import CorrectionGoneError, Corrections
from schema.context import Info
from schema.errors import ForbiddenError, NotFoundError
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.permission import needs
from schema.types.quality import NO_SUGGESTIONS

Id = Annotated[strawberry.ID, strawberry.argument(description="The suggestion's id.")]


@strawberry.mutation(
    description="Write what a suggestion suggests, as `updateProfile` would. It is recorded with the case that the "
    "request states. The value before is kept among the profile's `traits`, where only the person and the privacy "
    "officer see it.",
    directives=needs("write", "profile.*"),
)
async def apply_correction(info: Info, id: Id) -> ProfilePayload:  # noqa: A002 - the API's name
    """Apply one suggestion and show the profile as the caller may see it."""
    with _told():
        customer_id = await _corrections(info).apply(info.context.access, str(id))
    return await profile_payload(info, customer_id)


@strawberry.mutation(
    description="Say that the value is right as it is: it is not suggested again until it changes.",
    directives=needs("write", "profile.*"),
)
async def dismiss_correction(info: Info, id: Id) -> ProfilePayload:  # noqa: A002 - the API's name
    """Dismiss one suggestion and show the profile as the caller may see it."""
    with _told():
        customer_id = await _corrections(info).dismiss(info.context.access, str(id))
    return await profile_payload(info, customer_id)


def _corrections(info: Info) -> Corrections:
    service = info.context.services.quality
    if service is None:
        raise NotFoundError(_GONE)
    return service.corrections


@contextmanager
def _told() -> Iterator[None]:
    """What may go wrong here, in the words of the API."""
    try:
        yield
    except CorrectionGoneError:
        raise NotFoundError(_GONE) from None
    except ReadNotAllowedError:
        raise ForbiddenError(NO_SUGGESTIONS) from None


_GONE = "There is no such suggestion: it was decided, or what it was about has changed."
