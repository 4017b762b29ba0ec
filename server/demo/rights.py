"""What customers allowed, objected to and had restricted."""

from datetime import datetime, timedelta

from server.demo.dice import Dice
from server.demo.model import DemoConsent

_SOURCES = (("web_checkout", 60.0), ("preference_page", 20.0), ("phone_call", 12.0), ("paper_form", 8.0))
_OBJECTIONS = (("account_management", 0.015), ("product_improvement", 0.02), ("business_reporting", 0.006))


def consents(dice: Dice, since: datetime) -> tuple[DemoConsent, ...]:
    """About 55 in 100 allow marketing; some never answered, which allows nothing, and some took it back."""
    answer = dice.weighted((("yes", 55.0), ("withdrew", 4.0), ("no", 29.0), ("silent", 12.0)))
    if answer == "silent":
        return ()
    agreed = answer in {"yes", "withdrew"}
    source = dice.weighted(_SOURCES)
    at = since + timedelta(minutes=dice.between(1, 40))
    said = [
        DemoConsent("marketing", agreed, at, source),
        DemoConsent("email_marketing", agreed and dice.chance(0.85), at, source),
        DemoConsent("personalisation", agreed and dice.chance(0.6), at, source),
    ]
    if answer == "withdrew":
        later = at + timedelta(days=dice.between(20, 300), minutes=dice.between(0, 900))
        said += [DemoConsent(each.purpose, False, later, "preference_page") for each in said]
    return tuple(said)


def objections(dice: Dice) -> tuple[str, ...]:
    """Purposes resting on a legitimate interest that the customer objected to (GDPR, article 21)."""
    return tuple(purpose for purpose, share in _OBJECTIONS if dice.chance(share))


def restricted(dice: Dice) -> bool:
    """Whether processing is restricted while a dispute lasts (GDPR, article 18)."""
    return dice.chance(0.006)
