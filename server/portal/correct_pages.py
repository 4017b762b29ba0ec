"""Correcting a value: what a customer says of themselves holds at once; an address holds once it is shown to be theirs."""

import re
from typing import Final

from babel import Locale
from starlette.requests import Request
from starlette.responses import Response

from customers.errors import IdentifierTakenError, InputInvalidError
from customers.identity.model import IdentifierType
from server.portal.errors import NothingHereError, ValueRefusedError
from server.portal.frame import Frame, Visit
from server.portal.held import CORRECTED, PROVED, camel, written
from server.portal.proving import Proving

_READ: Final = """query PortalValue {
  me { id currency email givenName familyName birthDate language street postalCode city country }
}"""
_WRITE: Final = """mutation PortalCorrect($id: ID!, $values: ProfileValues!) {
  updateProfile(input: {id: $id, values: $values}) { profile { id } }
}"""
_TONGUES: Final = (
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "he", "hi", "hr", "hu", "it", "ja", "ko",
    "lt", "lv", "mt", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "tr", "uk", "zh",
)  # fmt: skip
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_LONGEST: Final = 200


class CorrectPages:
    """Handlers.

    Args:
        frame: the frame.
        proving: sends letters to addresses that are to be shown to be theirs; None where no letters are sent.
    """

    def __init__(self, frame: Frame, proving: Proving | None) -> None:
        self._frame = frame
        self._proving = proving

    async def form(self, request: Request) -> Response:
        """What is held, and a place for what is right."""
        visit = await self._frame.visit(request)
        return await self._form(visit, self._name(request))

    async def correct(self, request: Request) -> Response:
        """Write what is right."""
        frame = self._frame
        visit, form = await frame.posted(request)
        name = self._name(request)
        value = form.get("value", "").strip()
        if name in PROVED:
            return await self._prove(visit, name, value)
        if len(value) > _LONGEST or (name == "birth_date" and value and not _DATE.fullmatch(value)):
            return await self._form(visit, name, value, "form")
        try:
            profile = await self._profile(visit)
            await frame.ask(visit, _WRITE, id=profile["id"], values={camel(name): value or None})
        except ValueRefusedError as error:
            return await self._form(visit, name, value, error.why)
        return frame.to(f"/?done={name}")

    async def proof(self, request: Request) -> Response:
        """What a letter's link leads to: a page with a button, for scanners open every link."""
        frame = self._frame
        visit = await frame.visit(request)
        address = self._opened(visit, request)
        return frame.show(visit, "prove.html", address=address, error=None)

    async def proved(self, request: Request) -> Response:
        """The address is theirs: it is written."""
        frame = self._frame
        visit, _ = await frame.posted(request)
        if self._proving is None:
            raise NothingHereError
        address = self._opened(visit, request)
        former = (await self._profile(visit))["email"]
        try:
            await self._proving.write(frame.access(visit, "PortalProve"), visit.session.customer_id, address)
        except IdentifierTakenError:
            return frame.show(visit, "prove.html", 400, address=address, error="taken")
        if former is not None and former != address:
            await self._proving.tell(former, frame.pages.language(request))
        return frame.to("/?done=email")

    async def _prove(self, visit: Visit, name: str, value: str) -> Response:
        frame = self._frame
        if self._proving is None:
            raise NothingHereError
        frame.stepped_up(visit)
        try:
            address = self._proving.normal(IdentifierType.EMAIL, value)
        except InputInvalidError:
            return await self._form(visit, name, value, "form")
        sent = await self._proving.send(visit, address, frame.pages.language(visit.request))
        if sent is not None:
            return await self._form(visit, name, value, sent)
        return frame.show(visit, "prove_sent.html", address=address)

    def _opened(self, visit: Visit, request: Request) -> str:
        if self._proving is None:
            raise NothingHereError
        return self._proving.opened(visit, request.path_params["token"])

    async def _form(self, visit: Visit, name: str, value: str | None = None, error: str | None = None) -> Response:
        frame = self._frame
        if name in PROVED:
            if self._proving is None:
                raise NothingHereError
            frame.stepped_up(visit)
        profile = await self._profile(visit)
        language = frame.pages.language(visit.request)
        field = frame.policies().catalogue.fields[f"profile.{name}"]
        held = profile.get(camel(name))
        return frame.show(
            visit,
            "correct.html",
            200 if error is None else 400,
            name=name,
            label=visit.words(field.label),
            held=None if held is None else written(field, held, profile, language),
            value=(held or "") if value is None else value,
            choices=_choices(name, held, language),
            error=error,
        )

    async def _profile(self, visit: Visit) -> dict[str, str | None]:
        profile = (await self._frame.ask(visit, _READ))["me"]
        if profile is None:
            raise NothingHereError
        return dict(profile)

    @staticmethod
    def _name(request: Request) -> str:
        name = str(request.path_params["field"])
        if name not in CORRECTED and name not in PROVED:
            raise NothingHereError
        return name


def _choices(name: str, held: str | None, language: str) -> list[tuple[str, str]] | None:
    """The values to choose one of, with their names; None where anything may be written."""
    if name == "country":
        known = {code: name for code, name in Locale(language).territories.items() if _COUNTRY.fullmatch(code)}
    elif name == "language":
        known = {code: Locale(code).get_display_name(language) or code for code in _TONGUES}
        if held:
            known.setdefault(held, held)
    else:
        return None
    return [("", ""), *sorted(known.items(), key=lambda each: each[1].casefold())]


__all__ = ["CorrectPages"]
