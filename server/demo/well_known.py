"""Two customers whose data the guided tour relies on; their purchases are CDNOW's like everybody's."""

from dataclasses import dataclass
from datetime import date, timedelta

from server.demo.model import DemoConsent, DemoOrder, DemoTicket
from server.demo.people import Person


@dataclass(frozen=True, slots=True)
class WellKnown:
    """Where to find the two customers of the tour: their external ids and e-mail addresses."""

    consenting: str
    consenting_email: str
    declining: str
    declining_email: str


@dataclass(frozen=True, slots=True)
class Story:
    """What is written by hand about a well-known customer."""

    person: Person
    acquisition_channel: str
    notes: tuple[str, ...]
    traits: dict[str, str | int | bool]
    agrees_to_marketing: bool
    source: str

    def consents(self, placed: tuple[DemoOrder, ...]) -> tuple[DemoConsent, ...]:
        """One answer to every purpose that rests on consent, given with the first order."""
        at = placed[0].placed_at + timedelta(minutes=3)
        purposes = ("marketing", "email_marketing", "personalisation")
        return tuple(DemoConsent(purpose, self.agrees_to_marketing, at, self.source) for purpose in purposes)

    def tickets(self, placed: tuple[DemoOrder, ...]) -> tuple[DemoTicket, ...]:
        """One closed ticket about the second order."""
        order = placed[1]
        name = f"{self.person.given_name} {self.person.family_name}"
        return (
            DemoTicket(
                opened_at=order.placed_at.replace(hour=9, minute=12) + _WEEK,
                closed_at=order.placed_at.replace(hour=15, minute=40) + _WEEK,
                status="closed",
                channel="email",
                topic="delivery",
                subject=f"Parcel for {self.person.family_name} left with a neighbour",
                body=(
                    f"My discs were left with the neighbour at {self.person.street}, who opened them. "
                    f"Please call me on {self.person.phone} before six. {name}"
                ),
                order=1,
            ),
        )


_WEEK = timedelta(days=7)

WELL_KNOWN = WellKnown(
    consenting="crm:00166",
    consenting_email="eleanor.whitfield@example.org",
    declining="crm:01583",
    declining_email="arthur.pemberton@example.com",
)

STORIES = {
    WELL_KNOWN.consenting: Story(
        person=Person(
            region="amer",
            country="US",
            language="en",
            given_name="Eleanor",
            family_name="Whitfield",
            email=WELL_KNOWN.consenting_email,
            phone="+19715550142",
            street="418 Alder Street, Apt 5",
            postal_code="97205",
            city="Portland, OR",
            birth_date=date(1958, 3, 9),
            national_id="000-58-1942",
        ),
        acquisition_channel="friend_referral",
        notes=(
            "Eleanor asked us to call +1 971-555-0142 and never her office; her employer must not learn of orders.",
            "Eleanor Whitfield is recovering from surgery until March, leave parcels at 418 Alder Street, Apt 5.",
        ),
        traits={"shoe_size": 39, "pet_name": "Biscuit", "hears_poorly": True},
        agrees_to_marketing=True,
        source="web_checkout",
    ),
    WELL_KNOWN.declining: Story(
        person=Person(
            region="emea",
            country="GB",
            language="en",
            given_name="Arthur",
            family_name="Pemberton",
            email=WELL_KNOWN.declining_email,
            phone="+441914980127",
            street="27 Jesmond Terrace",
            postal_code="NE2 9XX",
            city="Newcastle upon Tyne",
            birth_date=date(1949, 11, 2),
            national_id="QQ 49 11 02 C",
        ),
        acquisition_channel="radio",
        notes=("Arthur asked for no advertising of any kind, by post, by e-mail or on +44 191 498 0127.",),
        traits={"instrument": "cello"},
        agrees_to_marketing=False,
        source="phone_call",
    ),
}
