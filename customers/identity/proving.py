"""Which addresses and numbers are somebody's, and which only a sender whom nobody need believe has said to be. Pure.

Whoever has a browser can send with a page's key, and so can name somebody's address before that person is known, beside a
user id of their own. What comes later by the address alone would then be theirs. So what only such senders have said is
marked (`Identifier.proven`), and a believed sender who names it takes it from there. docs/decisions/0007 says why.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

from customers.identity.model import Identifier, IdentifierType

REACHABLE: Final = (IdentifierType.EMAIL, IdentifierType.PHONE)
"""The kinds by which a person is reached, and proves to be who they are."""


def as_said(identifiers: Iterable[Identifier], *, proven: bool) -> tuple[Identifier, ...]:
    """Identifiers as a sender gives them: its addresses and numbers are marked if it need not be believed."""
    return tuple(
        each if proven or each.type not in REACHABLE else replace(each, proven=False) for each in identifiers
    )


def usurped(named: Iterable[Identifier], held: Collection[Identifier]) -> tuple[Identifier, ...]:
    """What a believed sender names that is not to count as this person's, though they have it.

    Addresses and numbers that only senders have given them whom nobody need believe, where they have an id of some system
    and the sender names nothing else of theirs. A visitor who has left an address is nobody else yet, and keeps it.

    Args:
        named: All that the sender names.
        held: All that the person has.
    """
    known = {each: each for each in held}
    mine = [known[each] for each in named if each in known]
    if any(each.proven for each in mine) or all(each.type is not IdentifierType.EXTERNAL_ID for each in held):
        return ()
    return tuple(mine)


def proved(held: Sequence[Identifier], named: Collection[Identifier]) -> tuple[Identifier, ...]:
    """What a person has, once a believed sender has named some of it as theirs."""
    return tuple(replace(each, proven=True) if not each.proven and each in named else each for each in held)
