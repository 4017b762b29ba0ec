"""How often Python looks for objects that hold each other: seldom, as nothing that a request or a batch leaves does."""

import gc
from typing import Final

_YOUNG: Final = 50_000
"""So many containers more before any are looked at; by default 700, which a batch of events has many times over."""


def settle() -> None:
    """To be called once everything is wired: what is alive now lives as long as the process, and is not walked again."""
    gc.collect()
    gc.freeze()
    _, middle, old = gc.get_threshold()
    gc.set_threshold(_YOUNG, middle, old)
