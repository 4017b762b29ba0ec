"""What is said of settings that cannot be used: where the fault is and what to do, and never a value."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError

PREFIX = "CONFIDE_"
SECRETS_DIR = "CONFIDE_SECRETS_DIR"


def misspelt(environment: Mapping[str, str], fields: Collection[str]) -> Iterator[str]:
    """Names that are nearly a setting's: ignoring `CONFIDE_MONGO_URL` would start an empty embedded engine."""
    known = {f"{PREFIX}{name}".upper() for name in fields} | {SECRETS_DIR}
    # The variable that `env:NAME` names is the operator's own.
    known.add(environment.get(f"{PREFIX}ROOT_KEY", "").removeprefix("env:").upper())
    for name in environment:
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known:
            continue
        if near := difflib.get_close_matches(upper.removeprefix(PREFIX), _stems(known), n=1, cutoff=0.8):
            yield f"{upper}: is not a setting; did you mean {PREFIX}{near[0]}?"


def _stems(names: set[str]) -> list[str]:
    return sorted(name.removeprefix(PREFIX) for name in names)


def describe(error: ValidationError) -> Iterator[str]:
    """Each value that was refused, by the name it was set under."""
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        place = [str(part) for part in fault["loc"]]
        message: Any = fault["msg"]
        if fault["type"] == "extra_forbidden":
            # The unknown key may itself be a misplaced value.
            place, message = place[:-1], "has a key that is not one of those in docs/access.md"
        if not place:
            yield str(message)
            continue
        yield f"{PREFIX}{place[0].upper()}{''.join(f'[{part}]' for part in place[1:])}: {message}"


def unreadable(error: SourceError) -> str:
    """The name of a setting that is not JSON; the source's own message is not ours to repeat."""
    named = re.search(r'field "([a-z_]+)"', str(error))
    return f"{PREFIX}{named[1].upper() if named else '*'}: is not valid JSON; docs/settings.md shows its form"
