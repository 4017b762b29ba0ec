"""What is believed before anything is learnt: how often each level is seen, of one person and of two.

These are round figures of the order that the record linkage literature reports (Winkler 2006; Christen 2012), with the
address book of a company in mind. Learning moves m and u away from them as far as its evidence goes; what is shared
within households is not learnt, as bases rarely hold enough of it that is known to be true.
"""

from collections.abc import Mapping
from typing import Final

from customers.identity.matching.comparisons import LEVELS, Level
from customers.identity.matching.person import Field

__all__ = ["HOUSEHOLD", "ONE_PERSON", "SHARED", "TWO_PEOPLE", "Table"]

Table = Mapping[Field, Mapping[Level, float]]
"""The probability of each level of each field; the levels of a field sum to one."""


def _table(rows: dict[Field, tuple[float, ...]]) -> Table:
    """Every level but the last, in the order of `LEVELS`; what is left goes to the last, which is `DIFFERENT`."""
    return {
        field: dict(zip(LEVELS[field], (*figures, 1 - sum(figures)), strict=True)) for field, figures in rows.items()
    }


ONE_PERSON: Final = _table(
    {
        Field.GIVEN_NAME: (0.87, 0.02, 0.04, 0.003, 0.012, 0.02, 0.015, 0.01),
        Field.FAMILY_NAME: (0.86, 0.02, 0.04, 0.01, 0.02, 0.005),
        Field.BIRTH_DATE: (0.93, 0.008, 0.03, 0.01, 0.008),
        Field.ADDRESS: (0.60, 0.12, 0.02, 0.02, 0.04, 0.02, 0.06),
        Field.PHONE: (0.70, 0.02, 0.03),
        Field.EMAIL: (0.60, 0.03, 0.05),
        Field.NATIONAL_ID: (0.95, 0.035),
    }
)
"""m: of two records of one person."""

TWO_PEOPLE: Final = _table(
    {
        Field.GIVEN_NAME: (0.006, 0.0003, 0.002, 0.002, 0.006, 0.002, 0.002, 0.00001),
        Field.FAMILY_NAME: (0.002, 0.0001, 0.001, 0.004, 0.001, 0.001),
        Field.BIRTH_DATE: (0.00004, 0.00002, 0.001, 0.0002, 0.008),
        Field.ADDRESS: (0.00001, 0.000005, 0.00002, 0.00002, 0.0005, 0.0003, 0.01),
        Field.PHONE: (0.000002, 0.000002, 0.000002),
        Field.EMAIL: (0.000002, 0.000002, 0.0002),
        Field.NATIONAL_ID: (0.0000001, 0.000002),
    }
)
"""u: of two strangers."""

HOUSEHOLD: Final = _table(
    {
        Field.GIVEN_NAME: (0.01, 0.001, 0.006, 0.008, 0.012, 0.004, 0.02, 0.0005),
        Field.FAMILY_NAME: (0.70, 0.01, 0.01, 0.005, 0.05, 0.002),
        Field.BIRTH_DATE: (0.012, 0.0001, 0.002, 0.002, 0.012),
        Field.ADDRESS: (0.40, 0.10, 0.01, 0.01, 0.10, 0.05, 0.10),
        Field.PHONE: (0.40, 0.01, 0.01),
        Field.EMAIL: (0.12, 0.005, 0.01),
        Field.NATIONAL_ID: (0.000001, 0.001),
    }
)
"""u of two people of one household: kin share a family name and a telephone, twins a birth date, and one in a hundred
pairs a given name. What shows that they are one household is itself weighed as between strangers."""

SHARED: Final = {Field.ADDRESS: 1.0, Field.PHONE: 0.4, Field.EMAIL: 0.1}
"""With how many others everyone is taken to share theirs at least, so that it decides nothing alone."""
