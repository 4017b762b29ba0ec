"""The words of the pages that need no signing in, in each language."""

# ruff: noqa: RUF001 - French is written with that apostrophe

from dataclasses import dataclass
from typing import Final

from customers.consent.model import Channel


@dataclass(frozen=True, slots=True)
class Words:
    """One language's words; `{what}` is what is unsubscribed from, as markup that is safe.

    Attributes:
        title: Of the page that asks.
        asking: Why they hear from us.
        button: Unsubscribes.
        done: The title afterwards.
        result: What holds now.
        later: The title where it could not be written down, and
        try_again: what to do then.
        bad: The title where a link is none of ours, and
        bad_help: what to do then.
        channels: By which way.
    """

    title: str
    asking: str
    button: str
    done: str
    result: str
    later: str
    try_again: str
    bad: str
    bad_help: str
    channels: dict[Channel, str]


WORDS: Final = {
    "en": Words(
        title="Unsubscribe",
        asking="We use your data for {what} because you agreed to it or have not objected.",
        button="Stop this",
        done="You are unsubscribed",
        result="We no longer use your data for {what}. It holds from now on.",
        later="Not done yet",
        try_again="We could not write this down just now. Please try again in a few minutes: until then nothing has "
        "changed.",
        bad="This link does not work",
        bad_help="It may have been cut off on its way. Open it from the letter again, or answer the letter.",
        channels={
            Channel.EMAIL: "by e-mail",
            Channel.SMS: "by text message",
            Channel.PHONE: "by telephone",
            Channel.POST: "by post",
            Channel.PUSH: "as notifications",
        },
    ),
    "de": Words(
        title="Abmelden",
        asking="Wir verwenden Ihre Daten für {what}, weil Sie zugestimmt oder nicht widersprochen haben.",
        button="Damit aufhören",
        done="Sie sind abgemeldet",
        result="Wir verwenden Ihre Daten nicht mehr für {what}. Das gilt ab jetzt.",
        later="Noch nicht erledigt",
        try_again="Das konnten wir gerade nicht festhalten. Bitte versuchen Sie es in einigen Minuten noch einmal: bis "
        "dahin hat sich nichts geändert.",
        bad="Dieser Link funktioniert nicht",
        bad_help="Vielleicht wurde er unterwegs abgeschnitten. Öffnen Sie ihn noch einmal aus dem Schreiben, oder "
        "antworten Sie darauf.",
        channels={
            Channel.EMAIL: "per E-Mail",
            Channel.SMS: "per SMS",
            Channel.PHONE: "am Telefon",
            Channel.POST: "per Post",
            Channel.PUSH: "als Mitteilungen",
        },
    ),
    "fr": Words(
        title="Se désabonner",
        asking="Nous utilisons vos données pour {what} parce que vous l’avez accepté ou ne vous y êtes pas opposé.",
        button="Arrêter",
        done="Vous êtes désabonné",
        result="Nous n’utilisons plus vos données pour {what}. Cela vaut dès maintenant.",
        later="Pas encore fait",
        try_again="Nous n’avons pas pu l’enregistrer pour le moment. Réessayez dans quelques minutes : d’ici là, rien n’a "
        "changé.",
        bad="Ce lien ne fonctionne pas",
        bad_help="Il a peut-être été coupé en chemin. Ouvrez-le de nouveau depuis le message, ou répondez au message.",
        channels={
            Channel.EMAIL: "par e-mail",
            Channel.SMS: "par SMS",
            Channel.PHONE: "par téléphone",
            Channel.POST: "par courrier",
            Channel.PUSH: "par notification",
        },
    ),
}
