"""Turns a document into the values one caller may see, by a program compiled once per (fields, grant).

For each customer three things vary: whether their rights allow the purpose, whether they are in the caller's regions
and whether they are the caller. Each combination has its own straight-line program, made when first needed, which
opens only the groups it uses. Nothing here asks the policy about a single field.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from customers.access import Circumstances, Part, in_scope
from customers.caller import Caller
from customers.consent.model import Rights, refusal
from customers.disclosure import Departure, Disclosure
from customers.identity.model import PRIMARY_FIELDS
from customers.profiles.joined import PARTS
from customers.profiles.origins import ASKED_FIELD, ORIGINS, OriginReader, Shown, opened_of
from customers.profiles.provenance import PROVENANCE
from policies import Catalogue, Field, FieldKind, Grant, Mask, Reason, Verdict, mask_value
from vault import DataKey, EnvelopeError

SCHEMA_VERSION = 1

Transform = Callable[[Any, DataKey], Any]

# Kinds of identifiers that are fields of their own; other kinds are shown as the list itself.
_ENTRIES = {kind.value: name for kind, name in PRIMARY_FIELDS.items()}
_AS_IT_IS: tuple[Verdict, Transform | None] = (Verdict.CLEAR, None)


@dataclass(frozen=True, slots=True)
class _Program:
    """What to do for one customer: clear values, then sealed groups; and which fields are left empty, and why."""

    pseudonymous: bool
    clear: tuple[tuple[str, Transform | None], ...]
    groups: tuple[str, ...]
    sealed: tuple[tuple[str, Transform | None], ...]
    empty: dict[str, None]
    exceptions: tuple[Departure, ...]
    origins: Shown | None


class Reader:
    """Reveals documents of one object (`profile`, `order`, `ticket`) for one grant and one set of fields."""

    def __init__(self, catalogue: Catalogue, grant: Grant, object_name: str, names: Iterable[str]) -> None:
        self._id = catalogue.fields[f"{object_name}.id"]
        names = set(names)
        asked = {name for name in names if name == PROVENANCE or name.startswith(ASKED_FIELD)}
        self._origins = OriginReader(catalogue, grant, asked) if asked else None
        names -= asked
        if object_name == "profile" and "identifiers" in names:
            # The list shows e-mail addresses and phone numbers, so it reads those fields too.
            names.update(_ENTRIES.values())
        self._fields = tuple(catalogue.fields[f"{object_name}.{name}"] for name in sorted(names) if name != "id")
        self._object_fields = tuple(field for field in catalogue.object(object_name) if field != self._id)
        self._grant = grant
        self._programs: dict[Circumstances, _Program] = {}
        told = () if self._origins is None else self._origins.fields
        # Whose origin is told and not the value itself: to the record it is read all the same.
        self._only_told = tuple(field for field in told if field not in self._fields)
        self.verdicts: Mapping[str, tuple[Verdict, int | None]] = {
            **({} if self._origins is None else self._origins.verdicts),
            **{field.path: _best(grant, field) for field in (self._id, *self._fields, *self._only_told)},
        }
        # What a fetch must bring for any of this reader's programs.
        self.stored: frozenset[str] = frozenset(
            f"sealed.{field.group}" if field.sealed else field.name
            for field in self._fields
            if grant.read[field.path]
        ) | ({f"sealed.{PROVENANCE}"} if self._origins else frozenset())

    def reveal(
        self,
        document: Mapping[str, Any],
        key: DataKey,
        circumstances: Circumstances,
        collection: str,
        disclosure: Disclosure,
        parts: Sequence[Part] = (),
    ) -> dict[str, Any]:
        """The values of one document under its customer's key, with what was withheld as None.

        `id` is the document's own where that is granted in clear, and otherwise a pseudonym that is the same each
        time and leads nowhere; `document_id` is always the document's own and for the caller's eyes never.

        The customer and any exception made for them are noted in `disclosure`. Where a sealed group is not the one
        that belongs in this place, each of its fields that would be shown is the `vault.EnvelopeError` that says so:
        nobody is to take what was damaged for what was withheld, nor to lose the rest because of it.

        What a sealed field has no value for in the document it takes from `parts`, the profiles that were merged into
        it, in their order; lists and objects are put together. They are subjects of the record too.

        Where origins were asked for, `origins` holds those that are shown, by field.
        """
        program = self._program(circumstances)
        document_id = document["_id"]
        values: dict[str, Any] = {
            "id": key.pseudonym(document_id) if program.pseudonymous else document_id,
            "document_id": document_id,
            **program.empty,
        }
        for name, transform in program.clear:
            value = document.get(name)
            values[name] = transform(value, key) if transform is not None and value is not None else value
        if program.groups:
            opened = self._opened(program, document, key, collection)
            for part in parts:
                opened = _filled(program, opened, self._opened(program, part.document, part.key, collection))
            for name, transform in program.sealed:
                value = opened.get(name)
                if transform is not None and value is not None and not isinstance(value, EnvelopeError):
                    value = transform(value, key)
                values[name] = value
        if program.origins:
            opened_origins = opened_of((Part(key, document), *parts), collection, SCHEMA_VERSION)
            values[ORIGINS] = (
                opened_origins if isinstance(opened_origins, EnvelopeError) else program.origins.of(opened_origins)
            )
        disclosure.add_subject(
            key.audit_reference, program.exceptions, [part.key.audit_reference for part in parts] if parts else ()
        )
        return values

    def _opened(
        self, program: _Program, document: Mapping[str, Any], key: DataKey, collection: str
    ) -> Mapping[str, Any]:
        """What the sealed groups of a document hold; a group that does not open gives its error for each field."""
        envelopes, document_id = document.get("sealed") or {}, document["_id"]
        try:
            return key.open_groups(envelopes, collection, document_id, program.groups, SCHEMA_VERSION)
        except EnvelopeError:
            pass
        values: dict[str, Any] = {}
        for group in program.groups:
            try:
                values |= key.open_groups(envelopes, collection, document_id, (group,), SCHEMA_VERSION)
            except EnvelopeError as error:
                values |= {field.name: error for field in self._fields if field.group == group}
        return values

    def grants(self, name: str) -> bool:
        """Whether the policy grants a field at all."""
        return any(self._grant.read[field.path] for field in self._object_fields if field.name == name)

    def shows(self, name: str, circumstances: Circumstances) -> bool:
        """Whether a field is shown in clear for a customer in these circumstances, if it is asked for."""
        field = next(each for each in self._object_fields if each.name == name)
        return self._verdict(field, circumstances)[0] is Verdict.CLEAR

    def shows_anything(self, circumstances: Circumstances) -> bool:
        """Whether a document's own fields may be read at all for a customer in these circumstances.

        Where none may, that the document exists is not told either: how many tickets somebody has is information.
        """
        return any(self._verdict(field, circumstances)[0] is not Verdict.WITHHELD for field in self._object_fields)

    def departures(self, circumstances: Circumstances) -> tuple[Departure, ...]:
        """Which of the fields come to less than the policy's best for a customer in these circumstances."""
        return self._program(circumstances).exceptions

    def _program(self, circumstances: Circumstances) -> _Program:
        program = self._programs.get(circumstances)
        if program is None:
            program = self._programs[circumstances] = self._compile(circumstances)
        return program

    def _compile(self, circumstances: Circumstances) -> _Program:
        clear: list[tuple[str, Transform | None]] = []
        groups: dict[str, None] = {}
        sealed: list[tuple[str, Transform | None]] = []
        empty: dict[str, None] = {}
        departures: dict[tuple[Verdict, Reason], set[str]] = {}
        identity, reason = self._verdict(self._id, circumstances)
        if reason is not None:
            departures[Verdict.MASKED, reason] = {self._id.path}
        for field in self._fields:
            verdict, reason = self._verdict(field, circumstances)
            if reason is not None:
                departures.setdefault((verdict, reason), set()).add(field.path)
            if verdict is Verdict.WITHHELD:
                empty[field.name] = None
                continue
            transform = transform_of(field, verdict)
            if field.path == "profile.identifiers" and verdict is Verdict.CLEAR:
                transform = self._entries(circumstances)
            if field.group is None:
                clear.append((field.name, transform))
            else:
                groups[field.group] = None
                sealed.append((field.name, transform))
        for field in self._only_told:
            verdict, reason = self._verdict(field, circumstances)
            if reason is not None:
                departures.setdefault((verdict, reason), set()).add(field.path)
        exceptions = [Departure(verdict, reason, frozenset(paths)) for (verdict, reason), paths in departures.items()]
        origins: Shown | None = None
        if self._origins is not None:
            origins, less = self._origins.shown(partial(self._readable, circumstances), circumstances)
            exceptions += less
        return _Program(
            pseudonymous=identity is not Verdict.CLEAR,
            clear=tuple(clear),
            groups=tuple(groups),
            sealed=tuple(sealed),
            empty=empty,
            exceptions=tuple(exceptions),
            origins=origins,
        )

    def _readable(self, circumstances: Circumstances, field: Field) -> bool:
        return self._verdict(field, circumstances)[0] is not Verdict.WITHHELD

    def _entries(self, circumstances: Circumstances) -> Transform:
        """What shows each identifier as the field of its own kind may be shown: clear, masked, or not at all."""
        kinds: dict[str, tuple[Verdict, Transform | None]] = {}
        for field in self._fields:
            if field.name in _ENTRIES:
                verdict, _ = self._verdict(field, circumstances)
                kinds[field.name] = verdict, transform_of(field, verdict)

        def shown(entries: Any, key: DataKey) -> list[dict[str, Any]]:
            found = []
            for entry in entries:
                verdict, transform = kinds.get(entry["type"], _AS_IT_IS)
                if verdict is not Verdict.WITHHELD:
                    value = entry["value"] if transform is None else transform(entry["value"], key)
                    found.append({"type": entry["type"], "value": value})
            return found

        return shown

    def _verdict(self, field: Field, circumstances: Circumstances) -> tuple[Verdict, Reason | None]:
        """What this customer's field comes to, and why where that is not the best the policy allows."""
        granted = self._grant.read[field.path]
        if not granted:
            return Verdict.WITHHELD, None
        if circumstances.reason is not None:
            return Verdict.WITHHELD, circumstances.reason
        best = granted.alternatives[0].verdict
        for alternative in granted.alternatives:
            if in_scope(alternative.scope, circumstances):
                return alternative.verdict, None if alternative.verdict is best else Reason.SCOPE
        return Verdict.WITHHELD, Reason.SCOPE


def circumstances_of(document: Mapping[str, Any], caller: Caller, grant: Grant, now: datetime) -> Circumstances:
    """What of a profile document decides over its customer's fields for this caller and purpose at this moment."""
    return Circumstances(
        reason=refusal(Rights.of_document(document.get("rights") or {}), grant.purpose, now),
        in_region=document.get("region") in caller.regions,
        own=caller.customer_id is not None
        and (document["_id"] == caller.customer_id or caller.customer_id in document.get(PARTS, ())),
    )


def place_of(document: Mapping[str, Any]) -> Hashable:
    """What of a profile document decides over its customer's circumstances, but for who the customer is."""
    rights = document.get("rights") or {}
    until = rights.get("until")
    return (
        document.get("region"),
        rights.get("restricted", True),
        *rights.get("consented", ()),
        "",  # no purpose has this name, so the two lists cannot run together
        *rights.get("objected", ()),
        *(until.items() if until else ()),  # pairs, which no name is
    )


def _filled(program: _Program, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Sealed values, with what is missing taken from another profile of the same person."""
    found: dict[str, Any] = {}
    for name, _ in program.sealed:
        value, other = mine.get(name), theirs.get(name)
        if value is None or (isinstance(other, EnvelopeError) and isinstance(value, list | dict)):
            value = other
        elif isinstance(value, list) and isinstance(other, list):
            value = [*value, *(each for each in other if each not in value)]
        elif isinstance(value, dict) and isinstance(other, dict):
            value = {**other, **value}
        found[name] = value
    return found


def _best(grant: Grant, field: Field) -> tuple[Verdict, int | None]:
    granted = grant.read[field.path]
    if not granted:
        return Verdict.WITHHELD, granted.rule
    return granted.alternatives[0].verdict, granted.alternatives[0].rule


def transform_of(field: Field, verdict: Verdict) -> Transform | None:
    """What turns the stored value into the one that leaves; None where it leaves as it is stored."""
    if verdict is Verdict.CLEAR:
        present = _PRESENT.get(field.kind)
        return None if present is None else lambda value, _key: present(value)
    mask = field.mask or Mask.REDACT
    if field.kind is FieldKind.DECIMAL:
        return lambda value, key: mask_value(mask, _decimal(value), pseudonym=key.pseudonym)
    return lambda value, key: mask_value(mask, value, pseudonym=key.pseudonym)


def _present_datetime(value: datetime | str) -> str:
    return value if isinstance(value, str) else value.isoformat().replace("+00:00", "Z")


def _decimal(value: int) -> Decimal:
    """Minor units (cents) to a decimal with two places."""
    return Decimal(value).scaleb(-2)


def _present_json(value: Any) -> Any:
    """A list of objects may hold moments, as consents do; nothing deeper does."""
    if not isinstance(value, list):
        return value
    return [
        {name: _present_datetime(held) if isinstance(held, datetime) else held for name, held in each.items()}
        if isinstance(each, dict)
        else each
        for each in value
    ]


_PRESENT: Mapping[FieldKind, Callable[[Any], Any]] = {
    FieldKind.DATETIME: _present_datetime,
    FieldKind.JSON: _present_json,
    FieldKind.DECIMAL: lambda value: f"{value // 100}.{value % 100:02d}" if value >= 0 else str(_decimal(value)),
}
