"""`confide erase`: erase one customer."""

from typing import Annotated, Final

import msgspec
import typer

from customers.identity.model import IdentifierType
from customers.rights.requests import SecondPersonNeededError
from server.cli.output import err, print_json
from server.cli.running import operator, with_platform
from server.platform import Platform
from server.webhooks import privacy_intake

_WAITS: Final = 3


def erase(
    customer: Annotated[str, typer.Argument(help="The customer's id, or type:value such as email:ana@example.org.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
    case: Annotated[str | None, typer.Option(help="The case it is done for.")] = None,
    preview: Annotated[  # noqa: FBT002
        bool, typer.Option("--preview", help="Only say what would go, and what the law has us keep until when.")
    ] = False,
) -> None:
    """Erase a customer for ever: destroy their key, then remove what is left. No backup brings them back.

    Where two persons must agree to erasures (CONFIDE_FOUR_EYES, as shipped), the first opens a privacy request with this
    and nobody is erased yet; the second runs the same, or `confide requests complete`. Ends with 3 while one is missing.

    Recorded in the access log under the purpose privacy_request. What was asked of them by webhook is settled
    (`confide sources requests`). Prints the keys' fingerprints and the certificate's id as JSON.

    Example: confide erase email:eleanor.whitfield@example.org --case DSR-1042
    """

    async def look(platform: Platform) -> str:
        return await _found(platform, customer)

    async def work(platform: Platform) -> dict[str, object]:
        return await erased(platform, chosen or await _found(platform, customer), case)

    async def foresee(platform: Platform) -> dict[str, object]:
        customer_id = await _found(platform, customer)
        access = platform.access(
            operator(), ("privacy_officer",), "privacy_request", operation="confide erase --preview", case=case
        )
        found = await platform.services.eraser.preview(access, customer_id)
        return {"customer": customer_id, **msgspec.to_builtins(found)}

    if preview:
        print_json(with_platform(foresee))
        return
    chosen: str | None = None
    if not yes:
        # Nothing is held open while somebody makes up their mind.
        chosen = with_platform(look)
        whom = chosen if chosen == customer else f"{chosen} ({customer})"
        typer.confirm(f"Erase {whom}? Once that is done, nobody can undo it.", abort=True, err=True)
    try:
        done = with_platform(work)
    except SecondPersonNeededError as waits:
        err.print(f"{waits.request_id}: nobody is erased yet. A second person has to agree:", soft_wrap=True)
        err.print(f"  confide requests complete {waits.request_id}", soft_wrap=True)
        raise typer.Exit(_WAITS) from None
    print_json(done)
    err.print("Erased. Nothing of this customer can be decrypted any more.")


async def erased(platform: Platform, customer_id: str, case: str | None) -> dict[str, object]:
    """Erase this customer, as who types; give the receipt.

    Raises:
        SecondPersonNeededError: Nobody is erased yet; who types is the first of two.
    """
    access = platform.access(
        operator(), ("privacy_officer",), "privacy_request", operation="confide erase", case=case
    )
    whole = await platform.services.eraser.whole(customer_id)
    settled = await privacy_intake(platform).waiting(whole)
    certificate = await platform.requests.erase(access, customer_id)
    return {
        "customer": customer_id,
        "privacy_requests_settled": settled,
        "key_fingerprints": list(certificate.keys),
        "erased_at": certificate.finished,
        "certificate": certificate.id,
    }


async def _found(platform: Platform, customer: str) -> str:
    kind, colon, value = customer.partition(":")
    if not colon:
        return customer
    if kind not in set(IdentifierType):
        kind, value = IdentifierType.EXTERNAL_ID.value, customer
    customer_id = await platform.vault.blind.find(kind, value)
    if customer_id is None:
        err.print("There is no customer with this identifier.")
        raise typer.Exit(1)
    return customer_id
