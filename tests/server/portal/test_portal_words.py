"""Every word has a translation, and every translation the places of its message."""

import re

import pytest
from babel.messages.pofile import read_po

from server.portal.extracting import messages, path_of
from server.portal.languages import LANGUAGES, Languages
from server.portal.moments import day, day_time

CODES = sorted(set(LANGUAGES) - {"en"})


def catalogue(code):
    with path_of(code).open("rb") as file:
        return read_po(file, locale=code, domain="portal")


def as_tuple(text):
    return text if isinstance(text, tuple | list) else (text,)


@pytest.mark.parametrize("code", CODES)
def test_every_message_is_translated_and_nothing_else_is(code):
    """Where this fails: scripts/words names what is missing."""
    wanted = {as_tuple(each.id) for each in messages() if each.id}
    found = {as_tuple(each.id): as_tuple(each.string) for each in catalogue(code) if each.id}
    assert wanted - found.keys() == set()
    assert found.keys() - wanted == set()
    assert [each for each, string in found.items() if not all(string)] == []
    assert not any(each.fuzzy for each in catalogue(code) if each.id)
    assert len(wanted) > 300, "the control: messages are found in templates, code and policies"


@pytest.mark.parametrize("code", CODES)
def test_a_translation_has_just_the_places_of_its_message_and_no_markup(code):
    for each in catalogue(code):
        places = [set(re.findall(r"%\((\w+)\)s", text)) for text in as_tuple(each.id)]
        for text in as_tuple(each.string):
            assert set(re.findall(r"%\((\w+)\)s", text)) <= set.union(*places), text
            if each.id:
                assert not re.search(r"[<>]", text), text
        assert set(re.findall(r"%\((\w+)\)s", as_tuple(each.string)[-1])) == places[-1], each.id


def test_a_message_that_a_catalogue_lacks_is_shown_in_english():
    words = Languages()
    assert words.words("de").gettext("Save") == "Speichern"
    assert words.words("de").gettext("Something that nobody translated") == "Something that nobody translated"
    assert words.words("xx").gettext("Save") == "Save"
    assert words.words("fr").ngettext("Your order", "Your %(count)s orders", 2) == "Vos %(count)s commandes"


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("en", "23 December 2026 at 14:05 UTC"),
        ("de", "23. Dezember 2026 um 14:05 Uhr UTC"),
        ("fr", "23 décembre 2026 à 14:05 UTC"),
    ],
)
def test_dates_are_written_out_with_their_time_zone(code, written):
    assert day_time("2026-12-23T15:05:09+01:00", code) == written
    assert day("1950-04-05", code).endswith("1950")
    assert day_time("not a date", code) == "not a date"
    assert day(None, code) == ""
