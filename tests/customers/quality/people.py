"""Customers whose data is good, and ways to spoil it."""

from dataclasses import replace

from customers.quality import PURPOSE, ROLE
from customers.spelling import CORRECTABLE

KEEPER = (ROLE, PURPOSE)
_LETTERS = "abcdefghij"


def letters(number):
    """A word that stands for a number."""
    return "".join(_LETTERS[int(each)] for each in str(number))


def good(number, **values):
    """The values of a customer of whom nothing is wrong, unlike any other."""
    return {
        "region": "emea",
        "country": "DE",
        "given_name": f"G{letters(number)}",
        "family_name": f"F{letters(number)}sen",
        "email": f"{letters(number)}@post{number}.example",
        "phone": f"+4915112{number:06d}",
        "street": f"{letters(number)}weg {number}",
        "postal_code": f"2{number:04d}",
        "city": f"Dorf{letters(number)}",
        "birth_date": f"19{50 + number % 49}-0{1 + number % 9}-{10 + number % 18}",
        "language": "de",
        **values,
    }


def stored(world, values, **given):
    """A draft of values as they are, as those from before anything was brought into its usual spelling."""
    draft = world.draft(values, **given)
    as_given = {name: values[name].strip() for name in CORRECTABLE if values.get(name) is not None}
    return replace(draft, values={**draft.values, **as_given}, originals={})


async def people(world, count, start=1, **values):
    """So many customers of good data, but for these values."""
    return await world.create(*[stored(world, good(start + number, **values)) for number in range(count)])


async def report(world, *, again=True, access=None, **kwargs):
    """The day's report, made now."""
    return await world.services.quality.run(access or world.access(*KEEPER), again=again, **kwargs)
