"""What a caller may see of values that are no fields of the catalogue: each is decided by its data category.

Made once for each grant, as `Reader` is for fields. Nothing here asks the policy about a single value.
"""

from collections.abc import Collection, Mapping
from typing import Any

from customers.access import Circumstances, in_scope
from customers.disclosure import Departure
from customers.profiles.provenance import UNCLASSIFIED
from policies import ROOT_CATEGORY, Action, Catalogue, FieldGrant, Grant, Mask, Reason, Verdict, mask_value
from vault import DataKey


def path_of(part: str, category: str) -> str:
    """How records and explanations name values of a category, such as `event.properties:user.contact.email`."""
    return f"{part}:{category}"


class Decided:
    """What a grant comes to for values of each category, in one customer's circumstances."""

    def __init__(self, grants: Mapping[str, FieldGrant], circumstances: Circumstances) -> None:
        self.verdicts: dict[str, Verdict] = {}
        departures: dict[tuple[Verdict, Reason], set[str]] = {}
        for category, granted in grants.items():
            verdict, reason = _verdict(granted, circumstances)
            self.verdicts[category] = verdict
            if reason is not None:
                departures.setdefault((verdict, reason), set()).add(category)
        self._departures = departures

    def departures(self, part: str, told: Collection[str]) -> tuple[Departure, ...]:
        """What comes to less than the policy's best here, of the paths that are told."""
        found = (
            (verdict, reason, frozenset(told).intersection(path_of(part, each) for each in categories))
            for (verdict, reason), categories in self._departures.items()
        )
        return tuple(Departure(verdict, reason, paths) for verdict, reason, paths in found if paths)

    def of(self, category: str) -> Verdict:
        """The verdict on a category; one that there is no more is nobody's."""
        return self.verdicts.get(category, Verdict.WITHHELD)


class CategoryReader:
    """Reveals values by their data categories, for one grant."""

    def __init__(self, catalogue: Catalogue, grant: Grant) -> None:
        self._grants = {
            name: grant.of_category(name, Action.READ)
            for name in catalogue.categories
            if name == ROOT_CATEGORY or name.startswith(f"{ROOT_CATEGORY}.")
        }
        self._decided: dict[Circumstances, Decided] = {}

    def verdicts(self, part: str) -> dict[str, tuple[Verdict, int | None]]:
        """The best that categories come to, under the paths that records have for them.

        A category stands for all below it that come to the same. All are told, whichever values there are: what is told
        must not tell what was withheld. A context is unclassified as a whole.
        """
        categories = (UNCLASSIFIED,) if part == "event.context" else tuple(filter(self._differs, self._grants))
        return {
            path_of(part, category): (granted.alternatives[0].verdict, granted.alternatives[0].rule)
            if (granted := self._grants[category])
            else (Verdict.WITHHELD, granted.rule)
            for category in categories
        }

    def _differs(self, category: str) -> bool:
        """Whether a category comes to something else than the one above it."""
        above = self._grants.get(category.rpartition(".")[0])
        mine = self._grants[category]
        return above is None or (above.alternatives, above.rule) != (mine.alternatives, mine.rule)

    def decided(self, circumstances: Circumstances) -> Decided:
        """What holds for customers in these circumstances."""
        found = self._decided.get(circumstances)
        if found is None:
            found = self._decided[circumstances] = Decided(self._grants, circumstances)
        return found


def _verdict(granted: FieldGrant, circumstances: Circumstances) -> tuple[Verdict, Reason | None]:
    """What a category comes to for one customer, and why where that is not the best the policy allows."""
    if not granted:
        return Verdict.WITHHELD, None
    if circumstances.reason is not None:
        return Verdict.WITHHELD, circumstances.reason
    best = granted.alternatives[0].verdict
    for alternative in granted.alternatives:
        if in_scope(alternative.scope, circumstances):
            return alternative.verdict, None if alternative.verdict is best else Reason.SCOPE
    return Verdict.WITHHELD, Reason.SCOPE


def shown_as(verdict: Verdict, held: Mapping[str, Any], key: DataKey) -> dict[str, Any]:
    """Values as a verdict lets them be seen; what is withheld is left out, names and all."""
    if verdict is Verdict.WITHHELD:
        return {}
    if verdict is Verdict.CLEAR:
        return dict(held)
    return {name: mask_value(Mask.REDACT, value, pseudonym=key.pseudonym) for name, value in held.items()}
