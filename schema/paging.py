"""How many items a page may have."""

from schema.errors import PageSizeError

LARGEST_PAGE = 100


def first_of(first: int) -> int:
    """`first`, if a page may have so many.

    Raises:
        PageSizeError: It is not between 1 and 100.
    """
    if not 1 <= first <= LARGEST_PAGE:
        raise PageSizeError(LARGEST_PAGE)
    return first
