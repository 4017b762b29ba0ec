"""The countries there are, as imports and events know them."""

from customers.spelling.countries import COUNTRIES

__all__ = ["COUNTRIES"]
