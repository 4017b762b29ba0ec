"""What good data is here, as `quality.toml` says it: which fields are expected of whom, and how long each stays fresh."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import policies
from customers.profiles.origins import origin_names
from policies import Fault, PolicyInvalidError

FILE: Final = "quality.toml"
VERSION: Final = 1
FIELDS: Final = (
    "given_name",
    "family_name",
    "email",
    "phone",
    "street",
    "postal_code",
    "city",
    "country",
    "language",
    "birth_date",
)
"""The profile fields that can be judged. What a state gave, what staff wrote and what nobody classified is not."""
CIRCUMSTANCES: Final = ("kind", "order_count", "updated_at")
"""Profile fields that say what is expected of somebody, and how old a value may be of which nobody knows it."""

_MOST_WEIGHT: Final = 100
_MOST_DAYS: Final = 36_500
_MOST_BYTES: Final = 64 * 1024
_HOURS: Final = 24
_PARTS: Final = ("completeness", "validity", "freshness")


class Expected(StrEnum):
    """Of whom a field is expected."""

    EVERYONE = "everyone"
    CUSTOMER = "customer"
    BUYER = "buyer"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Standard:
    """What is wanted of one field. `fresh_days` is None where a value never grows stale."""

    weight: int
    expected: Expected
    fresh_days: int | None


@dataclass(frozen=True, slots=True)
class Standards:
    """What is wanted of a profile.

    Attributes:
        fields: By name; a field that is not there is not judged.
        parts: What completeness, validity and freshness count in the score, in this order.
        daily_at: The hour (UTC) from which the day's report is made, or None for only when it is asked for.
    """

    fields: Mapping[str, Standard]
    parts: tuple[int, int, int]
    daily_at: int | None

    @property
    def names(self) -> frozenset[str]:
        """The profile fields that judging a profile reads."""
        return frozenset((*self.fields, *CIRCUMSTANCES))

    @property
    def asked(self) -> frozenset[str]:
        """What the gateway is asked for to judge a profile: those, and where what can grow stale came from."""
        return self.names | origin_names(name for name, each in self.fields.items() if each.fresh_days is not None)


def load_standards(directory: Path | None = None) -> Standards:
    """The standards in a policy directory; the packaged ones where it brings none.

    Raises:
        PolicyInvalidError: With every fault of the file.
    """
    path = None if directory is None else directory / FILE
    if path is None or not path.exists():
        path = Path(policies.__file__).with_name(FILE)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PolicyInvalidError([Fault(FILE, None, f"cannot be read: {error.strerror}")]) from error
    return parse_standards(content)


def parse_standards(content: bytes) -> Standards:
    """The standards in these bytes of TOML.

    Raises:
        PolicyInvalidError: With every fault found.
    """
    if len(content) > _MOST_BYTES:
        raise PolicyInvalidError([Fault(FILE, None, f"is larger than {_MOST_BYTES // 1024} KiB")])
    try:
        data = tomllib.loads(content.decode())
    except ValueError:  # not UTF-8, or not TOML
        raise PolicyInvalidError([Fault(FILE, None, "is not valid TOML in UTF-8")]) from None
    reading = _Reading(data)
    found = reading.standards()
    if reading.faults:
        raise PolicyInvalidError(reading.faults)
    return found


class _Reading:
    """One file being read, and what is wrong with it."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.faults: list[Fault] = []

    def standards(self) -> Standards:
        self._known("the file", self._data, {"version", "score", "report", "fields"})
        if self._data.get("version") != VERSION:
            self._fault(f"needs version = {VERSION}")
        score, report, fields = (self._table(name) for name in ("score", "report", "fields"))
        self._known("[score]", score, set(_PARTS))
        self._known("[report]", report, {"daily_at"})
        parts = tuple(self._number("[score]", score, name, _MOST_WEIGHT) or 0 for name in _PARTS)
        if not any(parts):
            self._fault("[score] gives no part any weight")
        return Standards(
            fields=MappingProxyType({name: self._standard(name, fields[name]) for name in fields}),
            parts=(parts[0], parts[1], parts[2]),
            daily_at=self._number("[report]", report, "daily_at", _HOURS - 1),
        )

    def _standard(self, name: str, values: Any) -> Standard:
        where = f"[fields.{name[:40]}]" if name in FIELDS else "a field"
        if name not in FIELDS:
            self._fault(f"has a field that cannot be judged; those that can are {', '.join(FIELDS)}")
        if not isinstance(values, dict):
            self._fault(f"{where} is not a table")
            return Standard(0, Expected.NOBODY, None)
        self._known(where, values, {"weight", "expected_of", "fresh_days"})
        weight = self._number(where, values, "weight", _MOST_WEIGHT)
        if weight is None:
            self._fault(f"{where} needs weight = a whole number from 0 to {_MOST_WEIGHT}")
        try:
            expected = Expected(values.get("expected_of", Expected.NOBODY))
        except ValueError:
            self._fault(f"{where} expected_of must be one of {', '.join(Expected)}")
            expected = Expected.NOBODY
        return Standard(weight or 0, expected, self._number(where, values, "fresh_days", _MOST_DAYS))

    def _table(self, name: str) -> Mapping[str, Any]:
        value = self._data.get(name, {})
        if isinstance(value, dict):
            return value
        self._fault(f"{name} must be a table")
        return {}

    def _number(self, where: str, values: Mapping[str, Any], key: str, most: int) -> int | None:
        value = values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            self._fault(f"{where} {key} must be a whole number from 0 to {most}")
            return None
        return value

    def _known(self, where: str, values: Mapping[str, Any], known: set[str]) -> None:
        if not known.issuperset(values):
            self._fault(f"{where} has an unknown key; known: {', '.join(sorted(known))}")

    def _fault(self, message: str) -> None:
        self.faults.append(Fault(FILE, None, message))
