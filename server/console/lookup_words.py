"""One customer in plain words: every value in clear, masked or withheld, why, and what would open it. Text only.

Pure but for the policy: what was decided comes from `extensions.privacy` of the answer, never from a second decision, so
the page says what GraphQL did.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from customers.profiles.provenance import OriginKind
from policies import Field, Grant, LawfulBasis, PolicySet, Reason, Scope, Verdict
from server.console.pages import day_time
from server.console.people_words import origin_words
from server.console.vocabulary import VERDICTS
from server.console.words import field_name, listed, purpose_label, purpose_of, role_label, rule_sentence

_LONGEST: Final = 2_000
_MOMENTS: Final = frozenset({"datetime"})
# Programs and the person themselves: nobody whom a colleague could ask.
_NO_COLLEAGUES: Final = frozenset({"client_app", "collector", "data_enricher", "customer"})
_PARTS: Final[Sequence[tuple[str, frozenset[str]]]] = (
    ("Who it is", frozenset({"given_name", "family_name", "birth_date", "language", "national_id", "kind"})),
    ("How to reach them", frozenset({"email", "phone", "street", "postal_code", "city", "country", "region"})),
    (
        "Account, purchases and activity",
        frozenset(
            {
                "loyalty_tier",
                "acquisition_channel",
                "order_count",
                "total_spent",
                "currency",
                "first_order_at",
                "last_order_at",
                "ticket_count",
                "event_count",
                "first_event_at",
                "last_event_at",
            }
        ),
    ),
    ("Notes and what nobody classified", frozenset({"notes", "traits"})),
    ("Privacy choices", frozenset({"consents"})),
    ("The record", frozenset({"id", "identifiers", "created_at", "updated_at", "version"})),
)
_BY_THE_PERSON: Final = (Reason.CONSENT.value, Reason.OBJECTION.value, Reason.RESTRICTED.value)
_SURVIVING: Final = "Only purposes that the law lets go on despite that may use it."


@dataclass(frozen=True, slots=True)
class Why:
    """Why somebody sees what they see.

    Attributes:
        sentence: What decided.
        rule: The rule, where one did.
        opens: What would show more, as a sentence; empty where nothing would, or all is shown.
    """

    sentence: str
    rule: int | None = None
    opens: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """Fields that came to the same: one that is shown, or several that are withheld for one reason.

    Attributes:
        labels: What people call them.
        state: clear, masked or withheld.
        values: What is shown, a line each; empty where nothing is known.
        mask: What a mask left, in words.
        why: What decided.
        origin: Where the value came from, where that was kept and may be seen.
    """

    labels: tuple[str, ...]
    state: str
    values: tuple[str, ...]
    mask: str | None
    why: Why
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Fields that belong together."""

    title: str
    rows: tuple[Shown, ...]


class Explained:
    """What an answer did with each field of one customer, and why.

    Args:
        policies: The policy in force.
        grant: What the reader was granted.
        privacy: `extensions.privacy` of the answer.
        purposes: The purposes that the reader may state.
    """

    def __init__(
        self, policies: PolicySet, grant: Grant, privacy: Mapping[str, Any], purposes: Iterable[str]
    ) -> None:
        self._policies = policies
        self._grant = grant
        self._may_state = frozenset(purposes)
        self._withheld = _by_field(privacy.get("withheld", ()))
        self._masked = _by_field(privacy.get("masked", ()))
        self._why: dict[str, tuple[str, Why]] = {}

    @property
    def reasons(self) -> frozenset[str]:
        """Why anything was withheld."""
        return frozenset(str(each.get("reason")) for each in self._withheld.values())

    @property
    def blocked(self) -> str | None:
        """What the person said that keeps this purpose from using their data, if anything."""
        return next((each for each in _BY_THE_PERSON if each in self.reasons), None)

    @property
    def rules(self) -> list[tuple[int, str]]:
        """Every rule that decided something so far, with what it says."""
        numbers = {why.rule for _, why in self._why.values() if why.rule is not None}
        return [(each, rule_sentence(self._policies.rules[each - 1], self._policies)) for each in sorted(numbers)]

    def field(self, path: str) -> tuple[str, Why]:
        """How a field was shown (clear, masked or withheld), and why."""
        found = self._why.get(path)
        if found is None:
            found = self._why[path] = self._explain(path)
        return found

    def _explain(self, path: str) -> tuple[str, Why]:
        granted = self._grant.read[path]
        if (cause := self._withheld.get(path)) is not None:
            return "withheld", self._withholding(path, str(cause.get("reason")), cause.get("rule"))
        if (cause := self._masked.get(path)) is not None:
            ways = [each for each in granted.alternatives if each.verdict is Verdict.MASKED]
            rule = cause.get("rule") or (ways[0].rule if ways else None)
            if cause.get("reason") in _BY_THE_PERSON:
                return "masked", self._withholding(path, str(cause["reason"]), None)
            if cause.get("reason") == Reason.SCOPE.value:
                sentence = "This customer is not of your regions, so you see a mask."
                return "masked", Why(sentence, rule, "A colleague of their region sees it in clear.")
            return "masked", Why("You see a mask of it.", rule, self.opening(path, Verdict.CLEAR))
        clear = [each.rule for each in granted.alternatives if each.verdict is Verdict.CLEAR]
        return "clear", Why("", clear[0] if clear else None)

    def _withholding(self, path: str, reason: str, rule: int | None) -> Why:
        purpose = self._grant.purpose
        if reason == Reason.CONSENT.value:
            return Why(f"They have not agreed to {_low(purpose.label)}.", None, "It opens when they do.")
        if reason == Reason.OBJECTION.value:
            return Why(f"They objected to {_low(purpose.label)}.", None, "It opens when they take that back.")
        if reason == Reason.RESTRICTED.value:
            return Why("The use of their data is restricted (GDPR Art. 18).", None, _SURVIVING)
        if reason == Reason.SCOPE.value:
            return Why("This customer is not of your regions.", None, "A colleague of their region may see it.")
        if reason == Reason.ERASED.value:
            return Why("They were erased and the key is destroyed, so nobody can read it.")
        who = listed([role_label(self._policies, each) for each in self._grant.roles]) or "nobody"
        label = self._policies.catalogue.fields[path].label
        if rule is None:
            text = f"No rule lets {_a(who)} see it for {purpose_label(self._policies, purpose.name)}."
        else:
            text = f"{label} may not be used by {_a(who)} for {purpose_label(self._policies, purpose.name)}."
        return Why(text, rule, self.opening(path, Verdict.MASKED))

    def opening(self, path: str, least: Verdict) -> str:
        """Who sees a field, at least so well, and for what: the reader under another purpose, or whom they could ask."""
        policies, wanted = self._policies, {Verdict.CLEAR, least}
        own, others = list[str](), list[str]()
        for name, purpose in policies.purposes.items():
            if purpose.basis is LawfulBasis.VITAL_INTERESTS:
                continue  # what is broken in an emergency is no way to work
            if name in self._may_state and self._first(self._grant.roles, name, path, wanted):
                own.append(purpose.label)
            others += [
                f"{_a(role_label(policies, role))} for {_low(purpose.label)}"
                for role in policies.roles
                if role not in _NO_COLLEAGUES
                and role not in self._grant.roles
                and self._first((role,), name, path, wanted)
            ]
        if own:
            return f"Opens for you if you are here for {_low(_either(own))}."
        if others:
            more = len(others) - 2
            named = f"{', '.join(others[:2])} and {more} more" if more > 0 else _either(others)
            return f"{_capital(named)} may see it."
        return "Nobody else may see it, but the person."

    def _first(self, roles: Sequence[str], purpose: str, path: str, wanted: set[Verdict]) -> bool:
        """Whether these roles see it for a purpose, and not for the wider one already, of which it was said."""
        parent = self._policies.purposes[purpose].parent
        return self._sees(roles, purpose, path, wanted) and not (
            parent is not None and self._sees(roles, parent, path, wanted)
        )

    def _sees(self, roles: Sequence[str], purpose: str, path: str, wanted: set[Verdict]) -> bool:
        ways = self._policies.decide(roles, purpose).read[path].alternatives
        return any(each.verdict in wanted and each.scope is not Scope.OWN for each in ways)

    def row(self, path: str, value: Any) -> Shown:
        """One field as it is shown."""
        state, why = self.field(path)
        known = self._policies.catalogue.fields[path]
        lines = () if state == "withheld" else tuple(_lines(known, value, self._policies))
        mask = field_name(self._policies, path, "masked").mask if state == "masked" and lines else None
        return Shown((known.label,), state, lines, mask, why)

    def rows(
        self, owner: str, names: Iterable[str], values: Mapping[str, Any], origins: Mapping[str, str] | None = None
    ) -> tuple[Shown, ...]:
        """Fields of one object: those that are shown, then those that are withheld, together where the reason is one."""
        shown, gaps = list[Shown](), dict[tuple[str, str], list[Shown]]()
        for name in names:
            each = self.row(f"{owner}.{name}", values.get(name))
            if each.state == "withheld":
                told = self._without_label(each)
                gaps.setdefault((told.sentence, told.opens), []).append(each)
            else:
                shown.append(replace(each, origin=(origins or {}).get(name)))
        for same in gaps.values():
            labels = tuple(label for each in same for label in each.labels)
            why = same[0].why if len(same) == 1 else self._without_label(same[0])
            shown.append(Shown(labels, "withheld", (), None, why))
        return tuple(shown)

    @staticmethod
    def _without_label(each: Shown) -> Why:
        label, why = each.labels[0], each.why
        if why.sentence.startswith(f"{label} may not"):
            return Why(f"They{why.sentence.removeprefix(label)}", why.rule, why.opens)
        return Why(why.sentence.replace("see it", "see them"), why.rule, why.opens)

    def parts(self, values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> list[Part]:
        """A profile, in parts; what the catalogue has that no part knows stands with the record."""
        known = [field.name for field in self._policies.catalogue.object("profile")]
        placed = frozenset(name for _, names in _PARTS for name in names)
        found = []
        for title, names in _PARTS:
            rest = [each for each in known if each not in placed] if title == "The record" else []
            mine = [each for each in known if each in names]
            if rows := self.rows("profile", [*mine, *rest], values, origins or {}):
                found.append(Part(title, rows))
        return found


def origins_of(found: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Where values came from, in words, by the catalogue's names; of traits by `traits.<name>`."""
    told = {}
    for each in found or ():
        until = f", to be used until {day_time(each['expiresAt'])[:10]}" if each["expiresAt"] else ""
        licence = f", {each['licence']}" if each["licence"] else ""
        words = origin_words(OriginKind[each["kind"]], each["source"])
        told[each["field"]] = _cut(f"{words}, {day_time(each['at'])[:10]}{until}{licence}")
    return told


def tally(parts: Iterable[Part]) -> str:
    """`21 fields in clear, 3 masked, 7 withheld`."""
    rows = [row for part in parts for row in part.rows]
    counts = {state: sum(len(row.labels) for row in rows if row.state == state) for state in VERDICTS}
    return listed([f"{count} {VERDICTS[state][1].lower()}" for state, count in counts.items() if count])


def _by_field(groups: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The group that each field is in; what is about the customer counts more than what is about everybody."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in groups:
        for path in each["fields"]:
            if path not in found or "customers" in each:
                found[path] = each
    return found


def _lines(field: Field, value: Any, policies: PolicySet) -> list[str]:
    """A value as lines of text."""
    if value is None or value in ("", [], {}):
        return []
    if isinstance(value, str | int | float):
        return [_cut(day_time(value) if field.kind in _MOMENTS and isinstance(value, str) else str(value))]
    if isinstance(value, Mapping):
        return [_cut(f"{name}: {_flat(held)}") for name, held in value.items()]
    return [_cut(_entry(each, policies)) for each in value]


def _entry(value: Any, policies: PolicySet) -> str:
    """One of several: an identifier, a decision, an item, a note."""
    if not isinstance(value, Mapping):
        return str(value)
    if "purpose" in value:
        purpose = purpose_of(value["purpose"], policies)
        channel = f" by {value['channel']}" if value.get("channel") else ""
        state = str(value.get("state") or "").replace("_", " ")
        return f"{purpose}{channel}: {state} {day_time(value.get('at'))[:10]}, {value.get('source') or ''}"
    if {"quantity", "title"} <= value.keys():
        price = f", {value['price']} each" if value.get("price") else ""
        return f"{value['quantity']} × {value['title']} ({value.get('sku') or 'no number'}{price})"  # noqa: RUF001 - times
    if "type" in value:
        return str(value["value"]) if value["type"] == "masked" else f"{value['type']}: {value['value']}"
    return ", ".join(f"{name}: {_flat(held)}" for name, held in value.items() if held is not None)


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _low(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _either(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _a(noun: str) -> str:
    return noun if noun == "nobody" else f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


__all__ = ["Explained", "Part", "Shown", "Why", "origins_of", "tally"]
