"""National identity numbers that look right and can belong to nobody.

Where a country keeps numbers that are never issued they are used; elsewhere the check digit is wrong on purpose, so
that every validator refuses the number.
"""

from collections.abc import Callable
from datetime import date

from server.demo.dice import Dice

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CODICE_MONTHS = "ABCDEHLMPRST"
# What a sign counts for at an odd place of a codice fiscale, for 0 to 9 and A to Z (Decree of 23 December 1976).
_CODICE_DIGITS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_CODICE_LETTERS = (*_CODICE_DIGITS, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_CODICE_ODD = dict(zip("0123456789" + _LETTERS, _CODICE_DIGITS + _CODICE_LETTERS, strict=True))


def national_id(country: str, dice: Dice, born: date, *, female: bool) -> str | None:
    """A number in the form of the country, or None where this shop would never have asked for one."""
    maker = _MAKERS.get(country)
    return maker(dice, born, female) if maker else None


def _us(dice: Dice, _born: date, _female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """Social Security numbers never begin with 000 (Social Security Administration)."""
    return f"000-{dice.between(1, 99):02}-{dice.between(1, 9999):04}"


def _ca(dice: Dice, _born: date, _female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """Social Insurance Numbers are Luhn numbers; this one is not."""
    digits = "9" + dice.fill("#######")
    right = -sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(digits)) % 10
    number = digits + str(_other(right, 10, dice))
    return f"{number[:3]} {number[3:6]} {number[6:]}"


def _gb(dice: Dice, _born: date, _female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """National Insurance numbers never begin with QQ (HMRC, NIM39110)."""
    return f"QQ {dice.fill('## ## ##')} {dice.pick('ABCD')}"


def _de(dice: Dice, _born: date, _female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """A tax number (§ 139b AO) with a wrong check digit (ISO 7064 MOD 11,10)."""
    digits = str(dice.between(1, 9)) + dice.fill("#########")
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    number = digits + str(_other((11 - product) % 10, 10, dice))
    return f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"


def _fr(dice: Dice, born: date, female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """A NIR whose key is not 97 less the rest by 97."""
    digits = (
        f"{2 if female else 1}{born:%y%m}{dice.between(1, 95):02}{dice.between(1, 990):03}{dice.between(1, 999):03}"
    )
    key = 1 + _other(96 - int(digits) % 97, 97, dice)
    return f"{digits[0]} {digits[1:3]} {digits[3:5]} {digits[5:7]} {digits[7:10]} {digits[10:]} {key:02}"


def _es(dice: Dice, _born: date, _female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """A DNI with a letter that is not its number by 23."""
    digits = dice.fill("########")
    return digits + _DNI_LETTERS[_other(int(digits) % 23, 23, dice)]


def _it(dice: Dice, born: date, female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """A codice fiscale with the wrong last letter."""
    consonants = "".join(dice.pick("BCDFGLMNPRSTVZ") for _ in range(6))
    body = (
        f"{consonants}{born:%y}{_CODICE_MONTHS[born.month - 1]}{born.day + 40 * female:02}"
        f"{dice.pick('ABCDEFGHIL')}{dice.between(1, 999):03}"
    )
    return body + _LETTERS[_other(sum(map(_codice_value, enumerate(body))) % 26, 26, dice)]


def _codice_value(place: tuple[int, str]) -> int:
    index, sign = place
    if index % 2 == 0:
        return _CODICE_ODD[sign]
    return int(sign) if sign.isdigit() else _LETTERS.index(sign)


def _jp(dice: Dice, _born: date, _female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """An Individual Number whose check digit (Ordinance 85 of 2014, article 5) is wrong."""
    digits = dice.fill("###########")
    total = sum(int(digit) * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits), start=1))  # noqa: PLR2004 - the ordinance's own constants
    rest = total % 11
    right = 0 if rest <= 1 else 11 - rest
    number = digits + str(_other(right, 10, dice))
    return f"{number[:4]} {number[4:8]} {number[8:]}"


def _br(dice: Dice, _born: date, _female: bool) -> str:  # noqa: FBT001 - one signature for all makers
    """A CPF whose first check digit is wrong."""
    digits = dice.fill("#########")
    rest = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) * 10 % 11
    first = _other(rest % 10, 10, dice)
    return f"{digits[:3]}.{digits[3:6]}.{digits[6:]}-{first}{dice.below(10)}"


def _other(right: int, modulus: int, dice: Dice) -> int:
    """Any number below the modulus but the right one."""
    return (right + dice.between(1, modulus - 1)) % modulus


_MAKERS: dict[str, Callable[[Dice, date, bool], str]] = {
    "US": _us,
    "CA": _ca,
    "GB": _gb,
    "DE": _de,
    "FR": _fr,
    "ES": _es,
    "IT": _it,
    "JP": _jp,
    "BR": _br,
}
