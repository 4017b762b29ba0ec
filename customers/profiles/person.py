"""Which profiles are one person: by the id of any of them, those that were merged with it."""

from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.store import CustomerStore

_WANTED = {MERGED_INTO: 1, PARTS: 1}


async def ids_of_person(store: CustomerStore, customer_id: str) -> tuple[str, ...]:
    """The ids of every profile of a person, the one that others were merged into first; this id alone where it is all.

    Two queries at most. Whether any of them is being erased is told by its key alone.
    """
    found = next(iter(await store.find([customer_id], _WANTED)), None)
    survivor = customer_id
    if found is not None and MERGED_INTO in found:
        survivor = str(found[MERGED_INTO])
        found = next(iter(await store.find([survivor], _WANTED)), None)
    parts = () if found is None else found.get(PARTS, ())
    return tuple(dict.fromkeys((survivor, *parts, customer_id)))


__all__ = ["ids_of_person"]
