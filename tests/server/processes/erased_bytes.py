"""Looks for what an erased person was in every byte of files and databases; each look is tried out on planted values."""

import asyncio
import base64
import re
import secrets
from pathlib import Path

from tests.schema.canaries import disguises, everything_stored
from tests.server.processes.deployment import Deployment

_EMPTY = re.compile(rb"\0{64,}")


def found_in(data: bytes, values: list[str]) -> list[str]:
    """Which of the values the bytes hold: plain, reversed, UTF-16, hexadecimal, or base64 at any offset."""
    return [value for value in values if any(len(each) > 5 and each in data for each in disguises(value))]


def files_with(directories: list[Path], values: list[str]) -> dict[str, set[str]]:
    """The values that stand in files below these directories, each with the names of the files."""
    found: dict[str, set[str]] = {}
    for path in (each for directory in directories for each in directory.rglob("*")):
        try:
            # Files of a database are made long beforehand; what is written in them is little.
            data = _EMPTY.sub(b"\0", path.read_bytes()) if path.is_file() else b""
        except FileNotFoundError:  # of a database that goes on
            continue
        for value in found_in(data, values):
            found.setdefault(value, set()).add(path.name)
    return found


class Scanner:
    """Scans deployments and, where they are its own, the files of their engine."""

    def __init__(self, *sites: Deployment, engine: Path | None = None) -> None:
        self._sites = sites
        self._engine = engine
        self.looks = 0

    async def faults(self, values: list[str]) -> list[str]:
        """What of these values is anywhere, and which planted value was not found."""
        planted = {f"planted{secrets.token_hex(6)}": form for form in range(len(_forms("")))}
        folder = self._sites[0].directory / "planted"
        folder.mkdir(exist_ok=True)
        for word, form in planted.items():
            (folder / f"{form}").write_bytes(b"before " + _forms(word)[form] + b" after")
        word = f"planted{secrets.token_hex(6)}"
        await self._sites[0].main["planted"].insert_one({"_id": word, "text": f"before {word} after"})
        directories = [each.directory for each in self._sites] + ([] if self._engine is None else [self._engine])
        found = await asyncio.to_thread(files_with, directories, [*values, word])
        found |= await asyncio.to_thread(files_with, [folder], list(planted))
        stored = set[str]()
        for site in self._sites:
            raw = await everything_stored(site.main, site.keys, site.audit)
            stored |= set(await asyncio.to_thread(found_in, raw, [*values, word]))
        self.looks += 1
        await self._sites[0].main["planted"].delete_many({})
        faults = [f"an erased value is in {', '.join(sorted(found[each]))}" for each in values if each in found]
        faults += ["an erased value is in a database" for each in values if each in stored]
        faults += [f"the scan is blind to form {form}" for each, form in planted.items() if each not in found]
        if word not in stored:
            faults.append("the scan is blind to what a database holds")
        if self._engine is not None and word not in found:
            faults.append("the scan is blind to the files of the engine")
        return faults


def _forms(word: str) -> list[bytes]:
    """A planted value in each disguise."""
    raw = word.encode()
    encoded = [base64.b64encode(b"\1" * offset + raw) for offset in range(3)]
    return [raw, raw[::-1], word.encode("utf-16-le"), word.encode("utf-16-be"), raw.hex().encode(), *encoded]
