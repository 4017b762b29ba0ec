"""The usual spelling of names, addresses, phone numbers and countries. Pure: values in, values out.

`arriving` is what is done on the way in, to whatever comes; `suggestions` are for somebody to decide about.
"""

from customers.spelling.countries import COUNTRIES
from customers.spelling.normalising import (
    CORRECTABLE,
    ORIGINAL,
    Suggestion,
    SuggestionKind,
    arriving,
    country_code,
    suggestions,
)

__all__ = [
    "CORRECTABLE",
    "COUNTRIES",
    "ORIGINAL",
    "Suggestion",
    "SuggestionKind",
    "arriving",
    "country_code",
    "suggestions",
]
