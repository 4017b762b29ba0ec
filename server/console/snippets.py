"""What is pasted where, so that something sends here: lines of code for SDKs, and steps for senders of webhooks."""

from dataclasses import dataclass
from typing import Final

from customers.collection.sources import Source, SourceKind

PLACEHOLDER: Final = "WRITE_KEY"


@dataclass(frozen=True, slots=True)
class Snippet:
    """A few lines to paste; `install` is what has to be there before."""

    name: str
    label: str
    install: str
    text: str


@dataclass(frozen=True, slots=True)
class KindWords:
    """How a kind of source is told.

    Attributes:
        label, hint: for a form.
        steps: what to do at the sender, in order; where `{address}` stands, the address is shown.
        signs_with: what its signing secret is; empty where it needs none.
        by_key: whether it shows its write key.
        made_here: whether a secret can be made here, to be given to the sender.
    """

    label: str
    hint: str
    steps: tuple[str, ...] = ()
    signs_with: str = ""
    by_key: bool = False
    made_here: bool = False


KINDS: Final = {
    SourceKind.SEGMENT: KindWords(
        "App or web shop",
        "Sends by the SDKs of Segment or RudderStack, or by anything that speaks that API.",
        by_key=True,
    ),
    SourceKind.SHOPIFY: KindWords(
        "Shopify",
        "Webhooks of a Shopify shop: customers, orders, and its three privacy requests.",
        steps=(
            "In Shopify open Settings, Notifications, Webhooks, and create a webhook for each topic you want.",
            "Enter this address, and choose the format JSON.",
            "Below the list Shopify says what it signs with. Copy that text, and set it here as the secret.",
        ),
        signs_with="The text that Shopify shows below its list of webhooks, or the app's client secret.",
    ),
    SourceKind.STRIPE: KindWords(
        "Stripe",
        "Webhooks of a Stripe account: customers, payments, subscriptions, invoices.",
        steps=(
            "In Stripe open Developers, Webhooks, and add an endpoint.",
            "Enter this address, and choose the events you want.",
            "Open the endpoint, reveal its signing secret (whsec_…), and set it here.",
        ),
        signs_with="The endpoint's signing secret, whsec_…",
    ),
    SourceKind.STANDARD_WEBHOOKS: KindWords(
        "Standard Webhooks",
        "Anything that signs as standardwebhooks.com says.",
        steps=(
            "In the sender's settings enter this address.",
            "Make a secret here and enter it there, or copy the sender's own and set it here.",
        ),
        signs_with="whsec_ and 24 to 64 bytes in Base64.",
        made_here=True,
    ),
    SourceKind.CLOUDEVENTS: KindWords(
        "CloudEvents",
        "Anything that sends CloudEvents 1.0 over HTTP.",
        steps=(
            "In the sender's settings enter this address.",
            "Have it send the header Authorization: Bearer, followed by the write key.",
            "A sender that signs instead may be given a secret, as for Standard Webhooks.",
        ),
        signs_with="Only where the sender signs: whsec_ and 24 to 64 bytes in Base64.",
        by_key=True,
        made_here=True,
    ),
}


def address_of(source: Source, origin: str) -> str:
    """Where a source of webhooks sends to."""
    return f"{origin}/webhooks/{source.name}"


def snippets(origin: str, key: str = PLACEHOLDER) -> tuple[Snippet, ...]:
    """Lines to paste, with this server's address and this write key in them."""
    return (
        Snippet(
            "browser",
            "Web page (Segment)",
            "npm install @segment/analytics-next",
            'import { AnalyticsBrowser } from "@segment/analytics-next";\n'
            f'const analytics = AnalyticsBrowser.load({{ writeKey: "{key}", cdnURL: "{origin}" }});\n'
            'analytics.track("Product Viewed", { product_id: "P-1" });',
        ),
        Snippet(
            "python",
            "Python (Segment)",
            "pip install segment-analytics-python",
            "from segment.analytics import Client\n\n"
            f'analytics = Client("{key}", host="{origin}", gzip=True)\n'
            'analytics.track("user-1", "Product Viewed", {"product_id": "P-1"})',
        ),
        Snippet(
            "node",
            "Node (Segment)",
            "npm install @segment/analytics-node",
            'import { Analytics } from "@segment/analytics-node";\n'
            f'const analytics = new Analytics({{ writeKey: "{key}", host: "{origin}" }});\n'
            'analytics.track({ userId: "user-1", event: "Product Viewed", properties: { product_id: "P-1" } });',
        ),
        Snippet(
            "rudder-python",
            "Python (RudderStack)",
            "pip install rudder-sdk-python",
            "from rudderstack.analytics.client import Client\n\n"
            f'analytics = Client("{key}", host="{origin}")\n'
            'analytics.track("user-1", "Product Viewed", {"product_id": "P-1"})',
        ),
        Snippet(
            "rudder-node",
            "Node (RudderStack)",
            "npm install @rudderstack/rudder-sdk-node",
            'import RudderAnalytics from "@rudderstack/rudder-sdk-node";\n'
            f'const analytics = new RudderAnalytics("{key}", {{ dataPlaneUrl: "{origin}" }});\n'
            'analytics.track({ userId: "user-1", event: "Product Viewed", properties: { product_id: "P-1" } });',
        ),
        Snippet(
            "curl",
            "Command line",
            "curl",
            f"curl {origin}/v1/track -u {key}: -H 'content-type: application/json' \\\n"
            """  -d '{"userId": "user-1", "event": "Product Viewed", "properties": {"product_id": "P-1"}}'""",
        ),
    )


__all__ = ["KINDS", "PLACEHOLDER", "KindWords", "Snippet", "address_of", "snippets"]
