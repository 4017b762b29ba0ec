"""The file that defines an enrichment: what it may say, and that the policies have the last word."""

import os
from datetime import UTC, datetime

import pytest

from customers.consent.model import Rights
from customers.enrichment import DefinitionInvalidError, ProviderUnusableError, make_provider
from customers.enrichment.model import KeyField, KeyPart, Skip, key_value, refused
from customers.outgoing import Allowed
from policies import load_policies
from tests.customers.enrichment.enriching import REGION, defined

POLICIES = load_policies()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HTTP = REGION.replace('"csv_table"', '"http_lookup"').replace(
    '[csv_table]\n    path = "table.csv"', '[http_lookup]\n    url = "https://geo.example/v1"\n    secret = "env:GEO"'
)


def faults(tmp_path, text):
    with pytest.raises(DefinitionInvalidError) as caught:
        defined(tmp_path, text, policies=POLICIES)
    return "\n".join(caught.value.problems)


def test_a_file_says_all_that_a_value_will_say_of_itself(tmp_path):
    found = defined(tmp_path, policies=POLICIES)
    assert (found.source, found.licence, found.expires_after.days) == ("Postal directory 2026", "ODbL 1.0", 180)
    assert [part.to for part in found.key] == ["country", "code"]
    assert [(each.target, each.category) for each in found.writes] == [
        *(("region", None), ("traits.setting", "user.location.coarse"))
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 1", "version = 2", "version = 1"),
        ('licence = "ODbL 1.0"', "", "licence"),
        ('source = "Postal directory 2026"', "", "source"),
        ('"P180D"', '"180 days"', "expires_after"),
        ('basis = "legitimate_interests"', 'basis = "consent"', "legitimate_interests"),
        ('"data_enrichment"', '"made_up"', "purpose"),
        ('"data_enrichment"', '"data_quality"', "basis"),
        ('country = "country"', 'street = "street"', "[key]"),
        ('country = "country"', 'external_id = { to = "n", system = "crm" }', "read profile.identifiers"),
        ('region = "area"', 'email = "area"', "[writes]"),
        ('region = "area"', 'loyalty_tier = "area"', "write loyalty_tier"),
        ('"user.location.coarse"', '"user.financial"', "write traits.setting"),
        ('"user.location.coarse"', '"made.up"', "write traits.setting"),
        ('path = "table.csv"', 'url = "https://x.example"', "does not know url"),
        ('provider = "csv_table"', 'provider = "elsewhere"', "provider"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, old, new, says):
    assert old in REGION
    assert says in faults(tmp_path, REGION.replace(old, new))


def test_every_fault_is_said_at_once_and_no_value_of_the_file(tmp_path):
    told = faults(tmp_path, REGION.replace('"P180D"', '"canary"').replace('"ODbL 1.0"', '""'))
    assert "expires_after" in told
    assert "licence" in told
    assert "canary" not in told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://geo.example/v1", "ftp://geo.example"),
        ("https://geo.example/v1", "https://me:word@geo.example"),
        ("https://geo.example/v1", "https://2130706433/"),
        ("env:GEO", "the-key-itself"),
    ],
)
def test_a_service_has_an_address_that_can_be_asked_and_no_key_in_the_file(tmp_path, old, new):
    defined(tmp_path, HTTP, policies=POLICIES)
    assert "[http_lookup]" in faults(tmp_path, HTTP.replace(old, new))


def test_a_service_without_tls_is_asked_only_where_it_is_named(tmp_path):
    plain = defined(tmp_path, HTTP.replace("https://geo", "http://geo"), policies=POLICIES)
    with pytest.raises(ProviderUnusableError):
        make_provider(plain, Allowed(), random=os.urandom)
    assert make_provider(plain, Allowed(["http://geo.example"]), random=os.urandom).recipient == "geo.example"


def test_a_domain_is_read_from_an_address_and_from_its_mask():
    part = KeyPart(KeyField.EMAIL_DOMAIN, "domain")
    for address in ("ada@Example.org", "a•••@example.org"):
        assert key_value(part, {"email": address}) == "example.org"
    for nothing in (None, "•••", ""):
        assert key_value(part, {"email": nothing}) == ""


def test_an_external_id_is_that_of_its_system_alone():
    part = KeyPart(KeyField.EXTERNAL_ID, "number", "crm")
    entries = [{"type": "email", "value": "crm:1"}, {"type": "external_id", "value": "erp:2"}]
    assert key_value(part, {"identifiers": entries}) == ""
    assert key_value(part, {"identifiers": [*entries, {"type": "external_id", "value": "crm:3"}]}) == "3"


def test_whoever_said_no_in_any_way_is_left_out_whatever_the_purpose_rests_on():
    for purpose in POLICIES.purposes.values():
        assert refused(Rights(restricted=True), purpose, NOW) is Skip.RESTRICTED
        for above in purpose.lineage:
            assert refused(Rights(objected=frozenset({above})), purpose, NOW) is Skip.OBJECTED
    assert refused(Rights(), POLICIES.purposes["consented_enrichment"], NOW) is Skip.NO_CONSENT
    assert refused(Rights(), POLICIES.purposes["data_enrichment"], NOW) is None
