"""The messages that every catalogue must have: out of templates, code and the policy's own words. For `scripts/words`.

Policy files of a house that are not the shipped ones have labels of their own; where a catalogue lacks one, it is shown as
it was written there.
"""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from policies import PolicySet, load_policies
from server.portal.languages import LANGUAGES

_HERE: Final = Path(__file__).parent
# Who is erased reads their certificate in the portal's languages.
_ROOTS: Final = (_HERE, _HERE.parent / "certificates")
_KEYWORDS: Final[dict[str, Any]] = {
    "_": None,
    "gettext": None,
    "words": None,
    "ngettext": (1, 2),
}
_OPTIONS: Final = {"newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
_SINCE: Final = datetime(2026, 11, 24, tzinfo=UTC)
_OBJECTS: Final = ("profile", "order", "ticket", "event", "access_entry")


def messages() -> Catalog:
    """Every message, each with where it stands."""
    catalog = Catalog(domain="portal", project="Confide", header_comment="# What the portal says.")
    for path in sorted(each for root in _ROOTS for each in root.rglob("*")):
        method = {".html": "jinja2", ".txt": "jinja2", ".py": "python"}.get(path.suffix)
        if method is None or path.name == Path(__file__).name:
            continue
        place = path.relative_to(_HERE.parent).as_posix()
        for _line, message, _comments, _context in extract_from_file(
            method, path, keywords=_KEYWORDS, options=_OPTIONS
        ):
            catalog.add(message, locations=[(place, 0)])
    for label in sorted(set(_labels(load_policies()))):
        catalog.add(label, locations=[("policies", 0)])
    return catalog


def _labels(policies: PolicySet) -> Iterator[str]:
    for name in _OBJECTS:
        yield from (field.label for field in policies.catalogue.object(name))
    for purpose in policies.purposes.values():
        yield from (purpose.label, purpose.description)
    yield from (role.label for role in policies.roles.values())
    yield from (rule.law for rule in policies.retention)


def updated(code: str, template: Catalog) -> Catalog:
    """A language's catalogue with every message that there is now and no other; new ones are not translated yet."""
    path = path_of(code)
    found = Catalog(locale=code, domain="portal")
    if path.exists():
        with path.open("rb") as file:
            found = read_po(file, locale=code, domain="portal")
    found.update(template, no_fuzzy_matching=True)
    found.obsolete.clear()
    # No dates and no addresses in it: a catalogue changes when its words do.
    found.project, found.version, found.copyright_holder = "Confide", "1", "the authors of Confide"
    found.header_comment = f"# What the portal says, in {LANGUAGES[code]}. Brought up to date by scripts/words."
    found.last_translator = found.language_team = "Confide"
    found.msgid_bugs_address, found.fuzzy = "", False
    found.creation_date = found.revision_date = _SINCE
    return found


def path_of(code: str) -> Path:
    """Where a language's catalogue is."""
    return _HERE / "translations" / code / "LC_MESSAGES" / "portal.po"


def main() -> int:
    """Bring the catalogues up to date; the exit code is how many messages have no translation."""
    parser = argparse.ArgumentParser(description="Bring the portal's message catalogues up to date.")
    parser.add_argument("languages", nargs="*", default=["de", "fr"])
    template, missing = messages(), 0
    for code in parser.parse_args().languages:
        catalog = updated(code, template)
        path_of(code).parent.mkdir(parents=True, exist_ok=True)
        with path_of(code).open("wb") as file:
            write_po(file, catalog, width=118, no_location=True, omit_header=False, sort_output=True)
        bare = [each.id for each in catalog if each.id and not _is_said(each.string)]
        missing += len(bare)
        sys.stdout.write(f"{code}: {len(catalog)} messages, {len(bare)} without a translation\n")
        for each in bare:
            sys.stdout.write(f"  {each!r}\n")
    return min(missing, 1)


def _is_said(string: Any) -> bool:
    return all(string) if isinstance(string, list | tuple) else bool(string)


if __name__ == "__main__":
    sys.exit(main())
