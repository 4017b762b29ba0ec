"""Trusted documents: what is added is found by its hash, what is removed is not, and nothing under another's hash."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from server.cli.documents import _read
from server.errors import TrustedDocumentError
from server.trusted_documents import TrustedDocument, TrustedDocuments

ONE = "query One($id: ID!) { profile(id: $id) { email } }"
TWO = "query Two { me { id } }"


@pytest.fixture
async def kept(databases):
    times = iter(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(99))
    return TrustedDocuments(databases.main, now=lambda: next(times))


async def test_what_is_added_is_found_by_its_hash_once_it_was_loaded_and_until_it_is_removed(kept):
    one, two = TrustedDocument.of("One", ONE), TrustedDocument.of("Two", TWO)
    assert one.digest == sha256(ONE.encode()).hexdigest()
    assert (await kept.add([one]), await kept.add([one, two])) == (1, 1)
    assert kept.text(one.digest) is None
    await kept.load()
    assert (kept.text(one.digest), kept.text(two.digest), kept.text("0" * 64)) == (ONE, TWO, None)
    assert [each.name for each in await kept.all()] == ["One", "Two"]
    assert (await kept.remove(one.digest), await kept.remove(one.digest)) == (True, False)
    await kept.load()
    assert (kept.text(one.digest), len(kept)) == (None, 1)


async def test_a_text_that_somebody_put_under_anothers_hash_is_not_loaded(kept, databases):
    one = TrustedDocument.of("One", ONE)
    await kept.add([one, TrustedDocument.of("Two", TWO)])
    await databases.main["trusted_documents"].update_one({"_id": one.digest}, {"$set": {"text": "{ __typename }"}})
    await kept.load()
    assert (kept.text(one.digest), len(kept)) == (None, 1)


def read(directory, name, text):
    path = directory / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return list(_read(path))


def test_documents_come_from_graphql_files_and_from_the_manifests_that_builds_write(tmp_path):
    one = TrustedDocument.of("One", ONE)
    assert read(tmp_path, "one.graphql", f"\n{ONE}\n") == [one]
    assert read(tmp_path, "unnamed.gql", "{ me { id } }")[0].name == "unnamed.gql"
    assert read(tmp_path, "relay.json", {one.digest: ONE}) == [one]
    operations = [{"id": one.digest, "body": ONE, "name": "One", "type": "query"}]
    apollo = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}
    assert read(tmp_path, "apollo.json", apollo) == [one]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("one.graphql", "query {", "Syntax Error"),
        ("list.json", [ONE], "no manifest"),
        ("broken.json", "{", "no manifest"),
        ("odd.json", {"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}, "no manifest"),
        ("odd.json", {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [5]}, "no manifest"),
        ("wrong.json", {"0" * 64: ONE}, "not the SHA-256"),
    ],
)
def test_what_is_no_document_or_manifest_is_refused_with_what_it_should_be(tmp_path, name, text, said):
    with pytest.raises(TrustedDocumentError, match=said):
        read(tmp_path, name, text)
