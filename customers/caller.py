"""Who is asking: what authentication found out, and nothing it did not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated caller.

    Attributes:
        actor: A stable name of who acts: a token's subject, or `service:<id>` for a service account.
        roles: The roles the caller holds; a role the policies do not know grants nothing.
        client: The application the caller came through, where it is known.
        purposes: The purposes the caller may state, or None for any its roles allow.
        customer_id: The customer this caller is, or None for staff and applications.
        regions: The regions whose customers a region-scoped role may see.
        token_id: The token's `jti`, or None; what a revocation names.
    """

    actor: str
    roles: tuple[str, ...]
    client: str | None
    purposes: frozenset[str] | None
    customer_id: str | None
    regions: frozenset[str]
    token_id: str | None
