"""The demo company: a record shop with the purchases of the CDNOW sample and customers who do not exist."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from server.demo.cdnow import Purchase, purchases, sample_file
from server.demo.dice import Dice
from server.demo.model import DemoCustomer, DemoOrder
from server.demo.orders import orders, tickets
from server.demo.people import People
from server.demo.rights import consents, objections, restricted
from server.demo.well_known import STORIES, Story
from server.demo.writing import notes, traits

# How many customers `company` yields.
SIZE = 2357

_CHANNELS = (
    ("web_search", 26.0),
    ("banner", 20.0),
    ("affiliate", 18.0),
    ("friend_referral", 14.0),
    ("magazine", 12.0),
    ("radio", 10.0),
)
# From how many cents spent a customer has each tier.
_TIERS = ((50_000, "platinum"), (20_000, "gold"), (7_500, "silver"), (0, "basic"))


def company(seed: int = 1997) -> Iterator[DemoCustomer]:
    """Every customer of the demo company, in the order of the CDNOW sample: 2,357 of them with 6,919 orders.

    The same seed gives the same company on every machine. Nothing in it belongs to a living person; see places.toml
    for where the phone numbers come from and national_ids.py for the identity numbers.

    Raises:
        DemoDataMissingError: The extra `demo`, or the wheel with the sample, is not installed.
    """
    people = People()
    for number, bought in purchases(sample_file()):
        external_id = f"crm:{number}"
        dice = Dice(seed, external_id)
        story = STORIES.get(external_id)
        yield _told(external_id, dice, story, bought) if story else _made(external_id, dice, people, bought)


def _made(external_id: str, dice: Dice, people: People, bought: Sequence[Purchase]) -> DemoCustomer:
    """A customer who is made up by the dice; each part has dice of its own, so that one can change alone."""
    person = people.person(dice)
    placed = orders(dice, person, bought)
    since = placed[0].placed_at - timedelta(minutes=dice.between(2, 90))
    return DemoCustomer(
        external_id=external_id,
        created_at=since,
        region=person.region,
        country=person.country,
        language=person.language,
        given_name=person.given_name,
        family_name=person.family_name,
        email=person.email,
        phone=person.phone,
        street=person.street,
        postal_code=person.postal_code,
        city=person.city,
        birth_date=person.birth_date,
        national_id=person.national_id,
        loyalty_tier=_tier(placed),
        acquisition_channel=dice.weighted(_CHANNELS),
        notes=notes(dice, person),
        traits=traits(dice),
        consents=consents(dice, since),
        objections=objections(dice),
        restricted=restricted(dice),
        orders=placed,
        tickets=tickets(dice, person, placed),
    )


def _told(external_id: str, dice: Dice, story: Story, bought: Sequence[Purchase]) -> DemoCustomer:
    """A customer of the tour: what the story says, around the real purchases."""
    person = story.person
    placed = orders(dice, person, bought)
    return DemoCustomer(
        external_id=external_id,
        created_at=placed[0].placed_at - timedelta(minutes=11),
        region=person.region,
        country=person.country,
        language=person.language,
        given_name=person.given_name,
        family_name=person.family_name,
        email=person.email,
        phone=person.phone,
        street=person.street,
        postal_code=person.postal_code,
        city=person.city,
        birth_date=person.birth_date,
        national_id=person.national_id,
        loyalty_tier=_tier(placed),
        acquisition_channel=story.acquisition_channel,
        notes=story.notes,
        traits=story.traits,
        consents=story.consents(placed),
        objections=(),
        restricted=False,
        orders=placed,
        tickets=story.tickets(placed),
    )


def _tier(placed: Sequence[DemoOrder]) -> str:
    spent = sum(order.total_minor for order in placed)
    return next(tier for least, tier in _TIERS if spent >= least)
