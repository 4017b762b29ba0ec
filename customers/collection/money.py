"""Amounts of money out of files: exact, or refused. Pure."""

import re
from decimal import Decimal
from typing import Final

from customers.collection.cells import CellError, decimal
from customers.collection.model import Fault, Raw

_CODE: Final = re.compile(r"[A-Z]{3}", re.ASCII)
# ISO 4217: currencies without a smaller unit. Those with three decimals are kept with two, and refused beyond them.
_WHOLE: Final = frozenset(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    )
)
_KEPT: Final = 2
_MOST_DIGITS: Final = 60
LARGEST: Final = Decimal(10) ** 12


def is_currency(code: str) -> bool:
    """Whether this could be a currency's code."""
    return _CODE.fullmatch(code) is not None


def minor_units(cell: Raw, currency: str | None) -> int:
    """An amount in hundredths, to the digit, of whatever currency.

    Args:
        cell: What stands in the file.
        currency: Its code; None where that cannot be read, so that only the amount is looked at.

    Raises:
        CellError: It is no amount, is below zero, too large, or has decimals that could only be kept rounded.
    """
    try:
        amount = decimal(cell)
    except CellError:
        raise CellError(Fault.INVALID_AMOUNT) from None
    if amount < 0:
        raise CellError(Fault.NEGATIVE_AMOUNT)
    if amount >= LARGEST:
        raise CellError(Fault.INVALID_AMOUNT)
    decimals = 0 if currency in _WHOLE else _KEPT
    _, digits, exponent = amount.as_tuple()
    shift = int(exponent) + decimals
    if len(digits) > _MOST_DIGITS:
        raise CellError(Fault.TOO_MANY_DECIMALS)
    number = int("".join(map(str, digits)))  # not by arithmetic of decimals, which rounds
    power: int = 10 ** abs(shift)
    whole, rest = (number * power, 0) if shift >= 0 else divmod(number, power)
    if rest:
        raise CellError(Fault.TOO_MANY_DECIMALS)
    return whole if decimals else 100 * whole
