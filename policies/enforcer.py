"""The Casbin enforcer of a policy. Tables are compiled out of it; requests never call it."""

from collections.abc import Mapping
from typing import Any

import casbin
from casbin.model import Model
from casbin.persist import Adapter
from casbin.persist.adapter import load_policy_line

from policies.errors import Fault
from policies.rules import RuleBook
from policies.source import MODEL, PACKAGED, text_of
from policies.vocabulary import Purpose


class _Lines(Adapter):  # type: ignore[misc] # Casbin ships no types
    """Feeds Casbin the lines of a policy."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        self._lines = lines

    def load_policy(self, model: Any) -> None:
        for line in self._lines:
            load_policy_line(line, model)


def check_model(content: bytes, faults: list[Fault]) -> None:
    """Refuse a model that means anything else than the packaged one; comments and spacing may differ."""
    before = len(faults)
    text = text_of(MODEL, content, faults)
    if len(faults) == before and _meaning(text) != _meaning((PACKAGED / MODEL).read_text("utf-8")):
        faults.append(Fault(MODEL, None, "is another model than the one decisions are compiled for"))


def build_enforcer(
    model: bytes,
    book: RuleBook,
    purposes: Mapping[str, Purpose],
    parents: Mapping[str, str],
) -> casbin.Enforcer:
    """Casbin's own reading of a policy that has passed its checks.

    Args:
        model: the bytes of model.conf.
        book: the rules; their lines go to Casbin as they stand.
        purposes: their parents become `g2` links.
        parents: category → the category it belongs to; these become `g3` links.
    """
    lines = (
        *book.lines,
        *(f"g2, {each.name}, {each.parent}" for each in purposes.values() if each.parent is not None),
        *(f"g3, {category}, {parent}" for category, parent in parents.items()),
    )
    loaded = Model()
    loaded.load_model_from_text(model.decode("utf-8"))
    return casbin.Enforcer(loaded, _Lines(lines))


def _meaning(text: str) -> dict[str, dict[str, str]] | None:
    model = Model()
    try:
        model.load_model_from_text(text)
    except Exception:  # noqa: BLE001 - Casbin's parser raises whatever it trips over; all of it means "not a model"
        return None
    return {section: {key: each.value for key, each in keys.items()} for section, keys in model.items()}
