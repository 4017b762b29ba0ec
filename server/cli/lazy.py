"""Commands that are imported when they are run: most of what they need takes a second to import, and `--help` nothing."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is, and what the list of commands says of it.

    Attributes:
        module: The module to import.
        name: What it is called there: a function, or a `typer.Typer` with commands of its own.
        help: The first paragraph of its help.
    """

    module: str
    name: str
    help: str

    def load(self, command: str) -> TyperCommand | TyperGroup:
        """The command itself."""
        found = getattr(import_module(self.module), self.name)
        holder = typer.Typer()
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=command)
        else:
            holder.command(command)(found)
        loaded: Any = typer.main.get_group(holder).commands[command]
        return loaded  # type: ignore[no-any-return]  # one of the two; Typer names a class of its own above them


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name; each is imported when it is asked for."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._places[name].load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands stay")

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._places, *self._loaded]))

    def __len__(self) -> int:
        return len(self._places.keys() | self._loaded.keys())

    def listed(self, name: str) -> TyperCommand:
        """What the list of commands needs of one: its name and help, without importing it."""
        return TyperCommand(name, help=self._places[name].help)
