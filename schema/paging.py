"""How many items a page may have."""

from schema.errors import InputInvalidError

LARGEST_PAGE = 100


def first_of(first: int) -> int:
    """`first`, if a page may have so many.

    Raises:
        InputInvalidError: It is not between 1 and 100.
    """
    if not 1 <= first <= LARGEST_PAGE:
        raise InputInvalidError("`first` must lie between 1 and 100.", field="first")
    return first
