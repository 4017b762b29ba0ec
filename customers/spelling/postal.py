"""Postal codes: what one looks like in a country, and how it is written there. Pure.

After the Universal Postal Union's addressing sheets. A country that is not here is not judged; whether a code exists
is not asked, only whether it could.
"""

import re
from typing import Final
from unicodedata import normalize

_LONGEST: Final = 20
_BETWEEN: Final = re.compile(r"[\s.\-\u2010-\u2015]+")
# "D-28195", "CH 8001": the old way of naming the country in front of its digits.
_COUNTRY_BEFORE: Final = re.compile(r"[A-Z]{1,3}(?=\d)")

# Digits alone, by how many.
_DIGITS: Final = {
    3: "FO IS",
    4: "AT AU BD BE BG CH CY DK GE HU LI LU MK NO NZ PH SI TN ZA",
    5: "BA DE DZ EE EG ES FI FR HR ID IT KR KW LT MA MC ME MX MY PE RS SA SM TH TR UA UY VA",
    6: "BY CN CO EC IN KG KZ NG RO RU SG TJ TM UZ VN",
    7: "CL IL",
    10: "IR",
}
# Where digits or letters are written apart: the code without what stands between, and how it is written.
_SHAPED: Final = {
    "AD": (r"AD(\d{3})", r"AD\1"),
    "BR": (r"(\d{5})(\d{3})", r"\1-\2"),
    "CA": (r"([ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z])(\d[ABCEGHJ-NPRSTV-Z]\d)", r"\1 \2"),
    "CZ": (r"(\d{3})(\d{2})", r"\1 \2"),
    "GB": (r"(GIR|[A-Z]{1,2}\d[A-Z\d]?)(\d[A-Z]{2})", r"\1 \2"),
    "GG": (r"(GY\d{1,2})(\d[A-Z]{2})", r"\1 \2"),
    "GR": (r"(\d{3})(\d{2})", r"\1 \2"),
    "IE": (r"([AC-FHKNPRTV-Y]\d[\dW])([\dAC-FHKNPRTV-Y]{4})", r"\1 \2"),
    "IM": (r"(IM\d{1,2})(\d[A-Z]{2})", r"\1 \2"),
    "JE": (r"(JE\d{1,2})(\d[A-Z]{2})", r"\1 \2"),
    "JP": (r"(\d{3})(\d{4})", r"\1-\2"),
    "LV": (r"(?:LV)?(\d{4})", r"LV-\1"),
    "MD": (r"(?:MD)?(\d{4})", r"MD-\1"),
    "MT": (r"([A-Z]{3})(\d{4})", r"\1 \2"),
    "NL": (r"([1-9]\d{3})([A-Z]{2})", r"\1 \2"),
    "PL": (r"(\d{2})(\d{3})", r"\1-\2"),
    "PT": (r"(\d{4})(\d{3})", r"\1-\2"),
    "SE": (r"(\d{3})(\d{2})", r"\1 \2"),
    "SK": (r"(\d{3})(\d{2})", r"\1 \2"),
    "TW": (r"(\d{3})(\d{2,3})?", r"\1\2"),
    "US": (r"(\d{5})(\d{4})", r"\1-\2"),
}
_FORMATS: Final = {
    **{code: (rf"(\d{{{size}}})", r"\1") for size, codes in _DIGITS.items() for code in codes.split()},
    **_SHAPED,
}
_COMPILED: Final = {code: (re.compile(shape, re.ASCII), form) for code, (shape, form) in _FORMATS.items()}
_DIGITS_ALONE: Final = frozenset(
    code for code, (shape, _) in _FORMATS.items() if "[" not in shape and shape[0] == "("
)
_US_SHORT: Final = re.compile(r"\d{5}", re.ASCII)


def is_judged(country: str) -> bool:
    """Whether it is known here what a postal code of a country looks like."""
    return country in _COMPILED


def as_written(country: str, code: str) -> str | None:
    """A postal code as its country writes it, whatever its case and spaces; None where it cannot be one.

    Raises:
        KeyError: The country is not judged.
    """
    shape, form = _COMPILED[country]
    if len(code) > _LONGEST:
        return None
    compact = _BETWEEN.sub("", normalize("NFKC", code).upper())
    if country == "US" and _US_SHORT.fullmatch(compact):
        return compact
    found = shape.fullmatch(compact)
    if found is None and country in _DIGITS_ALONE:
        found = shape.fullmatch(_COUNTRY_BEFORE.sub("", compact, count=1))
    return None if found is None else found.expand(form)
