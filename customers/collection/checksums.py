"""Numbers that carry proof of what they are: check digits of cards, bank accounts and national identity numbers. Pure.

Each function takes a number already stripped of spaces and marks, in capitals and of the right length and shape, and
says whether it can be one. Where the issuer's rules are not public, what is known of them is used.
"""

from collections.abc import Mapping

_VERHOEFF_PRODUCT = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_VERHOEFF_TURN = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# ISO 13616 registry: country → length of its account numbers.
IBAN_LENGTHS: Mapping[str, int] = {
    code: int(length)
    for length, codes in {
        "15": "NO",
        "16": "BE",
        "18": "DK FI FK FO GL NL SD",
        "19": "MK SI",
        "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST",
        "26": "IS TR",
        "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV",
        "29": "BR EG PS QA UA",
        "30": "JO KW MU YE",
        "31": "MT SC",
        "32": "LC",
        "33": "RU",
    }.items()
    for code in codes.split()
}

# First digits and lengths of the cards in use (ISO/IEC 7812; the schemes' public ranges), 13 to 19 digits.
_CARDS: tuple[tuple[int, int, frozenset[int]], ...] = tuple(
    (low, high, frozenset(lengths))
    for low, high, lengths in (
        (4, 4, (13, 16, 19)),  # Visa
        (51, 55, (16,)),  # Mastercard
        (2221, 2720, (16,)),
        (34, 34, (15,)),  # American Express
        (37, 37, (15,)),
        (300, 305, range(14, 20)),  # Diners Club
        (3095, 3095, range(14, 20)),
        (36, 36, range(14, 20)),
        (38, 39, range(16, 20)),
        (6011, 6011, range(16, 20)),  # Discover
        (644, 659, range(16, 20)),
        (3528, 3589, range(16, 20)),  # JCB
        (62, 62, range(16, 20)),  # UnionPay
        (81, 82, (16,)),  # RuPay
        (508, 508, (16,)),
        (60, 60, (16,)),
        (2200, 2204, range(16, 20)),  # Mir
        (5018, 5018, range(13, 20)),  # Maestro
        (5020, 5020, range(13, 20)),
        (5038, 5038, range(13, 20)),
        (5893, 5893, range(13, 20)),
        (6304, 6304, range(13, 20)),
        (6759, 6763, range(13, 20)),
    )
)
_NIE = {"X": "0", "Y": "1", "Z": "2"}
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CF_MONTHS = "ABCDEHLMPRST"
_CF_DIGITS = {letter: str(digit) for digit, letter in enumerate("LMNPQRSTUV")}
_CF_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CF_EVEN = dict(zip(_CF_ALPHABET, (*range(10), *range(26)), strict=True))
_CF_ODD_DIGITS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_CF_ODD_LETTERS = (*_CF_ODD_DIGITS, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_CF_ODD = dict(zip(_CF_ALPHABET, (*_CF_ODD_DIGITS, *_CF_ODD_LETTERS), strict=True))
_CF_WHERE_DIGITS_ARE = frozenset({6, 7, 9, 10, 12, 13, 14})
_NINO_NEVER = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
# Printed in a million wallets and in an advertisement (Social Security Administration).
_SSN_NEVER = frozenset({"078051120", "219099999", "123456789", "987654321"})


def luhn(digits: str) -> bool:
    """The check of ISO/IEC 7812-1, annex B."""
    values = [int(digit) for digit in digits]
    return (sum(values[-1::-2]) + sum(_DOUBLED[value] for value in values[-2::-2])) % 10 == 0


def verhoeff(digits: str) -> bool:
    """The check of J. Verhoeff, Error Detecting Decimal Codes (1969)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _VERHOEFF_PRODUCT[check][_VERHOEFF_TURN[place % 8][int(digit)]]
    return check == 0


def card(digits: str) -> bool:
    """A payment card: in a range that is issued, of a length it has, with its check digit."""
    if not any(len(digits) in lengths and _begins(digits, low, high) for low, high, lengths in _CARDS):
        return False
    # Numbers of goods have these lengths too; a card of 13 or 14 digits is rare, a bar code is everywhere.
    return luhn(digits) and not (len(digits) in (13, 14) and gtin(digits))


def _begins(digits: str, low: int, high: int) -> bool:
    return low <= int(digits[: len(str(low))]) <= high


def gtin(digits: str) -> bool:
    """The number under a bar code (GS1 General Specifications, 7.9)."""
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10 == 0


def iban(text: str) -> bool:
    """An International Bank Account Number (ISO 13616) of its country's length."""
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    try:
        return int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97 == 1
    except ValueError:
        return False


def us_ssn(digits: str) -> bool:
    """A Social Security Number; it has no check digit, only numbers that were never issued."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    never = area in ("000", "666") or area >= "900" or group == "00" or serial == "0000"
    return not never and digits not in _SSN_NEVER


def uk_nino(text: str) -> bool:
    """A National Insurance number (HMRC, NIM39110); no check digit, only letters that are not used."""
    prefix = text[:2]
    return not (set(prefix) & set("DFIQUV") or prefix[1] == "O" or prefix in _NINO_NEVER or text[8] not in "ABCD")


def de_tax_id(digits: str) -> bool:
    """A Steuer-Identifikationsnummer (§ 139b AO): one of ten digits stands twice or thrice; ISO 7064, mod 11,10."""
    first = digits[:10]
    counts = sorted((first.count(digit) for digit in set(first)), reverse=True)
    if digits[0] == "0" or counts[0] not in (2, 3) or counts[1] != 1:
        return False
    if counts[0] == 3 and any(digit * 3 in first for digit in set(first)):  # noqa: PLR2004 - thrice, but never in a row
        return False
    check = 5
    for digit in digits:
        check = ((check or 10) * 2 % 11 + int(digit)) % 10
    return check == 1


def fr_nir(text: str) -> bool:
    """A numéro d'inscription au répertoire with its key (97 less the rest of 97); Corsica has letters."""
    number = text[:13]
    month = int(number[3:5])
    if number[0] not in "123478" or not (1 <= month <= 12 or 20 <= month <= 42):  # noqa: PLR2004
        return False
    number = number.replace("2A", "19", 1) if number[5:7] == "2A" else number
    number = number.replace("2B", "18", 1) if number[5:7] == "2B" else number
    return number.isdigit() and number[5:7] != "00" and 97 - int(number) % 97 == int(text[13:])


def es_dni(text: str) -> bool:
    """A Spanish DNI (eight digits and a letter) or NIE (X, Y or Z in the place of the first)."""
    digits = _NIE.get(text[0], text[0]) + text[1:8]
    return _DNI_LETTERS[int(digits) % 23] == text[8]


def it_codice_fiscale(text: str) -> bool:
    """An Italian codice fiscale; letters stand for digits where two people would share one (DM 23 December 1976)."""
    plain = [_CF_DIGITS.get(each, each) if place in _CF_WHERE_DIGITS_ARE else each for place, each in enumerate(text)]
    day = "".join(plain[9:11])
    if not all(plain[place].isdigit() for place in _CF_WHERE_DIGITS_ARE) or text[8] not in _CF_MONTHS:
        return False
    if not (1 <= int(day) <= 31 or 41 <= int(day) <= 71):  # noqa: PLR2004 - forty is added for women
        return False
    total = sum(_CF_ODD[each] for each in text[0:15:2]) + sum(_CF_EVEN[each] for each in text[1:15:2])
    return chr(ord("A") + total % 26) == text[15]


def nl_bsn(digits: str) -> bool:
    """A burgerservicenummer (the eleven test, its last weight negative)."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    return total % 11 == 0 and digits != "000000000"


def pl_pesel(digits: str) -> bool:
    """A PESEL of somebody born from 1900 to 2099: the century is in the month."""
    month, day = int(digits[2:4]), int(digits[4:6])
    if not (1 <= month <= 12 or 21 <= month <= 32) or not 1 <= day <= 31:  # noqa: PLR2004
        return False
    return (
        sum(int(digit) * weight for digit, weight in zip(digits, (1, 3, 7, 9) * 2 + (1, 3, 1), strict=True)) % 10 == 0
    )


def se_personal_number(digits: str) -> bool:
    """A Swedish personnummer or samordningsnummer of ten digits, or of twelve with the century."""
    if len(digits) == 12 and digits[:2] not in ("18", "19", "20"):  # noqa: PLR2004
        return False
    ten = digits[-10:]
    month, day = int(ten[2:4]), int(ten[4:6])
    return 1 <= month <= 12 and (1 <= day <= 31 or 61 <= day <= 91) and luhn(ten)  # noqa: PLR2004


def br_cpf(digits: str) -> bool:
    """A Cadastro de Pessoas Físicas, with its two check digits; never eleven times the same."""
    if digits == digits[0] * 11:
        return False
    return all(
        sum(int(digit) * (length + 1 - place) for place, digit in enumerate(digits[:length])) * 10 % 11 % 10
        == int(digits[length])
        for length in (9, 10)
    )


def in_aadhaar(digits: str) -> bool:
    """An Aadhaar: begins with 2 to 9, Verhoeff's check, and never reads the same both ways."""
    return digits[0] in "23456789" and verhoeff(digits) and digits != digits[::-1]
