"""Every page after sign-in, in every language: what it shows, and that it is sent as it should be."""

import re

import pytest

from server.portal.languages import LANGUAGES

PAGES = (
    "/", "/orders", "/tickets", "/events", "/correct/given_name", "/correct/birth_date", "/correct/country",
    "/correct/language", "/correct/email", "/looked", "/looked?own=1", "/choices", "/requests", "/requests/new",
    "/download", "/delete", "/delete/confirm", "/sessions", "/nowhere",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_there_in_every_language_small_and_without_scripts(place, ada, language):
    visitor = place.visitor(ada, **{"accept-language": f"{language}-CH,en;q=0.1"})
    for path in PAGES:
        await visitor.get(path)
        page = visitor.page
        assert page.status_code == (404 if path == "/nowhere" else 200), (path, visitor.text)
        assert f'<html lang="{language}">' in page.text, path
        assert len(page.content) < 40_000, path
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"<script|\son\w+=|style=|https?://", page.text), path
        assert page.headers["cache-control"] == "no-store"
        assert len(re.findall("<h1", page.text)) == 1, path
