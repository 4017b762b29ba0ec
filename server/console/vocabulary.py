"""The icon and the words of what an entry can be. Always both: a colour alone says nothing."""

from collections.abc import Mapping
from typing import Final

VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "clear": ("●", "In clear"),
    "masked": ("◐", "Masked"),
    "withheld": ("○", "Withheld"),
}
OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "allowed": ("✓", "Allowed"),
    "refused": ("✕", "Refused"),
    "failed": ("!", "Failed"),
    "not_found": ("∅", "Found nobody"),
}
KINDS: Final[Mapping[str, str]] = {
    "read": "Read",
    "write": "Write",
    "search": "Log search",
    "export": "Export",
    "erasure_intent": "Erasure begun",
    "erasure_done": "Erasure finished",
    "policy_change": "Policy change",
    "admin": "Administration",
}

__all__ = ["KINDS", "OUTCOMES", "VERDICTS"]
