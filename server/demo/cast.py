"""Who plays in the demo: one person for each role, with the purpose they usually state and a token to call with."""

from dataclasses import dataclass
from datetime import timedelta

from server.access import LocalIssuer


@dataclass(frozen=True, slots=True)
class Player:
    """Somebody who asks.

    Attributes:
        subject: Their name in the access log.
        role: Their role.
        purpose: The purpose they state in the tour.
        regions: The regions whose customers a region-scoped role sees in clear.
    """

    subject: str
    role: str
    purpose: str
    regions: tuple[str, ...] = ()


CAST = (
    Player("ana.support", "support_agent", "order_support"),
    Player("ben.marketing", "marketer", "marketing"),
    Player("carla.sales", "sales_rep", "sales", ("emea",)),
    Player("dev.product", "product_analyst", "product_improvement"),
    Player("elif.stock", "inventory_planner", "inventory_planning"),
    Player("finn.board", "executive", "business_reporting"),
    Player("gro.privacy", "privacy_officer", "privacy_request"),
    Player("hugo.audit", "auditor", "audit"),
    Player("ines.admin", "administrator", "data_management"),
    Player("jo.steward", "data_steward", "identity_resolution"),
    Player("kim.records", "record_keeper", "data_quality"),
    Player("shop", "client_app", "order_support"),
)

SECOND_OFFICER = Player("lea.privacy", "privacy_officer", "privacy_request")
"""Nobody is erased by one person alone."""

_TTL = timedelta(hours=12)


def token_for(issuer: LocalIssuer, player: Player) -> str:
    """A token for half a day."""
    return issuer.issue(player.subject, roles=[player.role], regions=player.regions, ttl=_TTL)


def customer_token(issuer: LocalIssuer, customer_id: str) -> str:
    """The token of a customer, who sees only themselves."""
    return issuer.issue(customer_id, roles=["customer"], purposes=["self_service"], customer_id=customer_id, ttl=_TTL)
