"""Makes GraphQL objects out of values that the gateway has already revealed, without a constructor's cost."""

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def made(kind: type[T], values: Mapping[str, Any]) -> T:
    """An object of `kind` whose attributes are `values`; fields that were not asked for are not there."""
    new = object.__new__(kind)
    new.__dict__.update(values)
    return new
