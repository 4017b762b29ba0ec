"""Looking a customer up, for the purpose and case that were stated, with why what is not shown is not.

What is shown is what GraphQL answers to the reader's own roles and purpose. A customer's number never stands in an
address (`customer_names`), and their name never in a page's title, which browsers keep.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from strawberry.utils.str_converters import to_camel_case

from policies import Catalogue, Grant, Scope
from schema.errors import ErrorCode
from server.console.customer_names import CustomerNames
from server.console.errors import NotServedError, ReadRefusedError
from server.console.frame import Frame, Handler, Visit
from server.console.keeper import Keeper
from server.console.lookup_words import Explained, Shown, origins_of, tally
from server.console.reading import Told
from server.console.sections import SECTIONS, answers_requests, shows_ledger

_LOOKUP = next(each for each in SECTIONS if each.name == "lookup")
_NUMBER: Final = re.compile(r"cus_[a-z2-7]{26}", re.ASCII)
_PAGE: Final = 10
_FIND: Final = """query ConsoleFind($type: IdentifierType!, $value: String!) {
  profileByIdentifier(type: $type, value: $value) { id }
}
"""
_NESTED: Final[Mapping[str, str]] = {
    "identifiers": " { type value }",
    "consents": " { purpose state at source channel }",
}
_NOT_CLASSIFIED: Final = "classifiedTraits"
_ORIGINS: Final = "provenance { field kind source at licence expiresAt }"


@dataclass(frozen=True, slots=True)
class By:
    """A way to find somebody: what it is called, what GraphQL calls it, and the field that one filters by with it."""

    label: str
    hint: str
    type: str | None
    path: str | None


WAYS: Final[Mapping[str, By]] = {
    "email": By("E-mail address", "An e-mail address in any usual spelling.", "EMAIL", "profile.email"),
    "phone": By(
        "Phone number", "A phone number with its country, such as +49 421 555 0134.", "PHONE", "profile.phone"
    ),
    "external_id": By(
        "Number in another system",
        "Another system's number with its name, such as crm:00166.",
        "EXTERNAL_ID",
        "profile.identifiers",
    ),
    "number": By("Customer number", "A customer number, which begins with cus_.", None, None),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Things that a customer has many of, as a table.

    Attributes:
        name: in the address, and what GraphQL calls them.
        owner: the catalogue's object.
        title: of the page.
        columns: each with what its cells show.
    """

    name: str
    owner: str
    title: str
    columns: Sequence[tuple[str, tuple[str, ...]]]


LISTINGS: Final[Mapping[str, Listing]] = {
    each.name: each
    for each in (
        Listing(
            "orders",
            "order",
            "Orders",
            (
                ("Placed", ("placed_at", "id")),
                ("State", ("status",)),
                ("What", ("items",)),
                ("Sent to", ("shipping_address", "gift_message")),
                ("Paid", ("total", "currency", "units", "payment_last4")),
                ("Unclassified", ("extra",)),
            ),
        ),
        Listing(
            "tickets",
            "ticket",
            "Support requests",
            (
                ("Asked", ("opened_at", "id")),
                ("State", ("status", "closed_at", "channel")),
                ("About", ("topic", "subject")),
                ("What they wrote", ("body",)),
                ("Unclassified", ("extra",)),
            ),
        ),
        Listing(
            "events",
            "event",
            "Activity",
            (
                ("When", ("at", "source")),
                ("What", ("name", "type")),
                ("Details", ("properties",)),
                ("Context", ("context",)),
            ),
        ),
    )
}


class LookupPages:
    """Finding one customer, and looking at them."""

    def __init__(self, frame: Frame, keeper: Keeper | None, names: CustomerNames | None) -> None:
        self._frame = frame
        self._keeper = keeper
        self._names = names

    def _require(self) -> tuple[Keeper, CustomerNames]:
        if self._keeper is None or self._names is None:
            raise NotServedError("It looks no customers up.")
        return self._keeper, self._names

    # ---- finding

    async def form(self, request: Request) -> Response:
        """The form; before that, which case it is for."""
        visit = await self._frame.visit(request)
        keeper, _ = self._require()
        await keeper.admit(visit.who, _LOOKUP, "ConsoleLookup")
        return self._asking(visit)

    def _asking(self, visit: Visit, status: int = 200, **typed: Any) -> Response:
        grant = self._grant(visit)
        return self._frame.show(
            visit,
            "lookup.html",
            status,
            ways={name: way for name, way in WAYS.items() if _may_find(grant, way)},
            closed=[way.label for way in WAYS.values() if not _may_find(grant, way)],
            typed=typed.get("typed", {}),
            errors=typed.get("errors", {}),
        )

    async def find(self, request: Request) -> Response:
        """Go on to the customer who was found."""
        visit, form = await self._frame.posted(request)
        keeper, names = self._require()
        await keeper.admit(visit.who, _LOOKUP, "ConsoleLookup")
        by, value = form.get("by", ""), form.get("value", "")
        typed = {"by": by, "value": value[:256]}
        way = WAYS.get(by)
        if visit.session.case is None:
            return self._asking(visit, 400, typed=typed)
        if way is None or not _may_find(self._grant(visit), way):
            errors = {"by": "Choose one of the ways that your role may search by."}
            return self._asking(visit, 400, typed=typed, errors=errors)
        if not value:
            return self._asking(visit, 400, typed=typed, errors={"value": "Write whom to look up."})
        if way.type is None:
            found: str | None = value.lower()
            if _NUMBER.fullmatch(value.lower()) is None:
                errors = {"value": "A customer number is cus_ and 26 letters and digits."}
                return self._asking(visit, 400, typed=typed, errors=errors)
        else:
            try:
                told, _ = await self._frame.reader.ask(visit.who, _FIND, {"type": way.type, "value": value})
            except ReadRefusedError as error:
                said = _REFUSED.get(error.code)
                if said is None:
                    raise
                return self._asking(visit, 400, typed=typed, errors={"value": said})
            found = (told["profileByIdentifier"] or {}).get("id")
        if not found:
            return self._asking(visit, 404, typed=typed, errors={"value": _NOBODY})
        return self._frame.pages.redirect(f"{self._frame.base}/customers/{names.name(visit.caller.actor, found)}")

    # ---- looking

    async def customer(self, request: Request) -> Response:
        """One customer's profile."""
        visit = await self._frame.visit(request)
        name, customer_id = await self._whose(request, visit)
        told = await self._frame.reader.told(
            visit.who, _profile_document(self._frame.policies().catalogue), {"id": customer_id}
        )
        explained, profile = self._explained(visit, told), told.data["profile"]
        if profile is None:
            return self._nobody(visit, explained, told, name)
        values = _named(profile, [each.name for each in self._frame.policies().catalogue.object("profile")])
        origins = origins_of(profile["provenance"])
        parts = explained.parts(values, origins)
        return self._frame.show(
            visit,
            "customer.html",
            name=name,
            parts=parts,
            traits=[
                (label, str(value)[:500], origins.get(f"traits.{label}"))
                for label, value in (profile[_NOT_CLASSIFIED] or {}).items()
            ],
            tally=tally(parts),
            blocked=explained.blocked,
            rules=explained.rules,
            tabs=tabs_of("profile", self._grant(visit)),
            heading=_heading(explained, values),
            ledger=self._opens(visit, "consents") and shows_ledger(self._grant(visit)),
            asks=answers_requests(self._grant(visit)),
            matrix=self._opens(visit, "matrix"),
            recorded=told.entry,
        )

    def listing(self, name: str) -> Handler:
        """The page of what a customer has many of, ten at a time."""

        async def answer(request: Request) -> Response:
            return await self._listing(request, LISTINGS[name])

        return answer

    async def _listing(self, request: Request, shown: Listing) -> Response:
        visit = await self._frame.visit(request)
        name, customer_id = await self._whose(request, visit)
        catalogue = self._frame.policies().catalogue
        told = await self._frame.reader.told(
            visit.who,
            _listing_document(shown, catalogue),
            {"id": customer_id, "after": request.query_params.get("after") or None},
        )
        explained, profile = self._explained(visit, told), told.data["profile"]
        if profile is None:
            return self._nobody(visit, explained, told, name)
        page = profile[shown.name]
        fields = [each.name for each in catalogue.object(shown.owner)]
        rows = [_named(each, fields) for each in (page or {}).get("nodes", ())]
        gaps = [each for each in explained.rows(shown.owner, fields, {}) if each.state == "withheld"]
        info = (page or {}).get("pageInfo", {})
        return self._frame.show(
            visit,
            "customer_list.html",
            name=name,
            listing=shown,
            columns=_columns(shown, explained, rows),
            count=len(rows),
            gaps=gaps,
            closed=page is None,
            after=request.query_params.get("after"),
            more=info.get("endCursor") if info.get("hasNextPage") else None,
            rules=explained.rules,
            tabs=tabs_of(shown.name, self._grant(visit)),
            recorded=told.entry,
        )

    async def _whose(self, request: Request, visit: Visit) -> tuple[str, str]:
        keeper, names = self._require()
        await keeper.admit(visit.who, _LOOKUP, "ConsoleCustomer")
        name = str(request.path_params["name"])
        return name, names.customer(visit.caller.actor, name)

    def _nobody(self, visit: Visit, explained: Explained, told: Told, name: str) -> Response:
        return self._frame.show(
            visit,
            "customer_none.html",
            404,
            name=name,
            erased="ERASED" in explained.reasons,
            recorded=told.entry,
        )

    def _explained(self, visit: Visit, told: Told) -> Explained:
        return Explained(self._frame.policies(), self._grant(visit), told.privacy, visit.rights.purposes)

    def _grant(self, visit: Visit) -> Grant:
        return self._frame.policies().decide(visit.caller.roles, visit.who.purpose)

    def _opens(self, visit: Visit, section: str) -> bool:
        grant = self._grant(visit)
        return next(each for each in SECTIONS if each.name == section).opens(grant)


_NOBODY: Final = "Nobody is found by this, or nobody whom you may find for this purpose. Check the spelling."
_REFUSED: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INPUT_INVALID: "This is not what such a value looks like. Check the spelling.",
    ErrorCode.FILTER_NOT_ALLOWED: "For the purpose you stated, your role may not search by this.",
}


def _may_find(grant: Grant, way: By) -> bool:
    return way.path is None or any(each.scope is not Scope.OWN for each in grant.filter[way.path].alternatives)


def _profile_document(catalogue: Catalogue) -> str:
    fields = [f"{to_camel_case(each.name)}{_NESTED.get(each.name, '')}" for each in catalogue.object("profile")]
    return f"query ConsoleCustomer($id: ID!) {{ profile(id: $id) {{ {' '.join(fields)} {_NOT_CLASSIFIED} {_ORIGINS} }} }}"


def _listing_document(listing: Listing, catalogue: Catalogue) -> str:
    fields = " ".join(to_camel_case(each.name) for each in catalogue.object(listing.owner))
    operation = f"Console{listing.name.title()}"
    return (
        f"query {operation}($id: ID!, $after: String) {{ profile(id: $id) {{ "
        f"{listing.name}(first: {_PAGE}, after: $after) "
        f"{{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
    )


def _named(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Values by the catalogue's names."""
    return {name: values.get(to_camel_case(name)) for name in names}


def _columns(
    listing: Listing, explained: Explained, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[list[tuple[str, Shown]]]]]:
    """The columns that have anything in them, each with its cells."""
    found = []
    for title, names in listing.columns:
        seen = [name for name in names if explained.field(f"{listing.owner}.{name}")[0] != "withheld"]
        cells = [
            _joined([(name, explained.row(f"{listing.owner}.{name}", row[name])) for name in seen]) for row in rows
        ]
        if any(cells):
            found.append((title, cells))
    return found


def _joined(fields: Sequence[tuple[str, Shown]]) -> list[tuple[str, Shown]]:
    """The fields of one cell that have a value; an amount together with its currency."""
    shown = {name: each for name, each in fields if each.values}
    amount, currency = shown.get("total"), shown.get("currency")
    if amount is not None and currency is not None and amount.state == currency.state == "clear":
        del shown["currency"]
        shown["total"] = replace(amount, values=(f"{amount.values[0]} {currency.values[0]}",))
    return list(shown.items())


def tabs_of(here: str, grant: Grant) -> list[tuple[str, str, bool]]:
    """The parts of a customer that this grant opens: label, path and whether it is this one."""
    listed = [(each.title, f"/{each.name}", each.name == here) for each in LISTINGS.values()]
    if answers_requests(grant):
        listed.append(("Privacy requests", "/requests", here == "requests"))
    return [("Profile", "", here == "profile"), *listed]


def _heading(explained: Explained, values: Mapping[str, Any]) -> str | None:
    """Their name, where it may be seen in clear."""
    names = ("given_name", "family_name")
    seen = [str(values[name]) for name in names if values[name] and explained.field(f"profile.{name}")[0] == "clear"]
    return " ".join(seen) or None


__all__ = ["LISTINGS", "WAYS", "By", "Listing", "LookupPages", "tabs_of"]
