"""Identifiers have one spelling: what people write differently meets, and what is different stays different."""

import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vault.errors import InvalidIdentifierError, UnknownIndexError
from vault.normalise import (
    Index,
    normalise,
    normalise_anonymous_id,
    normalise_email,
    normalise_external_id,
    normalise_phone,
)

TEXT = st.text(max_size=40)
LOCALS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from("aZ.+_-ßﬀ\uff21éΣς"),
    min_size=1,
    max_size=12,
)
DOMAINS = st.sampled_from(["example.com", "BÜCHER.de", "xn--bcher-kva.de", "例え.テスト", "例え。jp", "a-b.co.uk"])
DIGITS = st.text("0123456789 ()-./٣５", max_size=18)
REGIONS = st.sampled_from([None, "DE", "GB", "US", "IT", "AR", "MX", "BR", "RU", "CI"])


def wide(text: str) -> str:
    """As an East Asian keyboard may give it."""
    return "".join("\u3000" if each == " " else chr(ord(each) + 0xFEE0) for each in text)


def refused(normaliser, *arguments) -> bool:
    """Whether it is refused with the one text, which quotes nothing, and no cause that could quote it hangs on."""
    with pytest.raises(InvalidIdentifierError) as caught:
        normaliser(*arguments)
    return (
        str(caught.value) == InvalidIdentifierError.text
        and caught.value.__context__ is None
        and caught.value.args == (InvalidIdentifierError.text,)
    )


@pytest.mark.parametrize(
    ("spelling", "normal"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace@Example.COM\t\n", "ada.lovelace@example.com"),
        ("ada+news@example.com", "ada+news@example.com"),
        ("o'hara=x/y?@example.com", "o'hara=x/y?@example.com"),
        ("ada@bücher.de", "ada@xn--bcher-kva.de"),
        ("ADA@BÜCHER.DE", "ada@xn--bcher-kva.de"),
        ("ada@bu\u0308cher.de", "ada@xn--bcher-kva.de"),
        ("ada@XN--BCHER-KVA.de", "ada@xn--bcher-kva.de"),
        ("taro@例え。jp", "taro@xn--r8jz45g.jp"),
        (wide("taro@example.jp"), "taro@example.jp"),
        ("jose\u0301@example.es", "josé@example.es"),
        ("JOSÉ@example.es", "josé@example.es"),
        ("ΟΔΟΣ@example.gr", "οδοσ@example.gr"),
        ("οδος@example.gr", "οδοσ@example.gr"),
        ("STRAẞE@straße.de", "straße@xn--strae-oqa.de"),
        ("用户@example.cn", "用户@example.cn"),
        ("ada@r3---sn.example.com", "ada@r3---sn.example.com"),
    ],
)
def test_spellings_of_an_address_meet(spelling, normal):
    assert normalise_email(spelling) == normal
    assert normalise("email", spelling) == normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada+news@example.com", "ada@example.com"),
        ("a.da@example.com", "ada@example.com"),
        ("strauß@example.de", "strauss@example.de"),
        ("ada@straße.de", "ada@strasse.de"),
        ("josé@example.es", "jose@example.es"),
        ("i\u0307@example.com", "i@example.com"),
        ("\u0430d\u0430@example.com", "ada@example.com"),
    ],
)
def test_different_mailboxes_stay_different(one, other):
    assert normalise_email(one) != normalise_email(other)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@.com",
        "ada@example..com",
        "ada@example.com.",
        "ada@-example.com",
        "ada@example-.com",
        "ada@exam_ple.com",
        "ada@1.2.3.4",
        "ada@[192.0.2.1]",
        "ada@i❤.ws",
        "ada@\u00ad.com",
        "a@b@example.com",
        "a\uff20b@example.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        '"a da"@example.com',
        "a da@example.com",
        "ada(comment)@example.com",
        "Ada <ada@example.com>",
        "ada,b@example.com",
        "ada@example.com,b@example.com",
        "a\0da@example.com",
        "ada\r\nBcc: x@example.com",
        "a\ud800da@example.com",
        "a\u200bda@example.com",
        "a\u202eda@example.com",
        "a\u00a0da@example.com",
        "a\ue000@example.com",
        "a" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "ada@" + "b" * 64 + ".com",
        "ada@" + "b." * 126 + "com",
        "a" * 100_000 + "@example.com",
    ],
)
def test_an_address_that_cannot_be_is_refused(address):
    assert refused(normalise_email, address)


@pytest.mark.parametrize(
    "look_alike", ["ﬁona", "fion\u212aa", "²ada", "\U0001d41ada", "\u017fam", "ⓐda", "℀", "ada\u1fef", "ªda", "1¼"]
)
def test_a_look_alike_that_would_fold_to_plain_ascii_is_refused(look_alike):
    assert unicodedata.normalize("NFKC", look_alike) != look_alike
    assert refused(normalise_email, f"{look_alike}@example.com")


def test_no_character_outside_ascii_and_its_full_width_forms_ever_becomes_ascii():
    """All of Unicode, in the middle of a mailbox's name."""
    folded = []
    for code in range(0x80, 0x110000):
        if 0xFF01 <= code <= 0xFF5E or unicodedata.category(chr(code))[0] == "C":
            continue
        try:
            address = normalise_email(f"x{chr(code)}y@example.com")
        except InvalidIdentifierError:
            continue
        if address.isascii():
            folded.append(hex(code))
    assert folded == []


@given(TEXT | st.builds("{}@{}".format, LOCALS, DOMAINS))
@settings(max_examples=300)
def test_normalising_an_address_again_changes_nothing(text):
    try:
        normal = normalise_email(text)
    except InvalidIdentifierError:
        return
    assert normalise_email(normal) == normal
    assert normalise_email(f" {normal}\n") == normal
    assert normalise_email(normal.upper().replace("SS", "ss")) == normal or not normal.isascii()
    assert normal.count("@") == 1
    assert normal.partition("@")[2].isascii()


@given(LOCALS, DOMAINS)
def test_composed_and_decomposed_addresses_meet(local, domain):
    try:
        normal = normalise_email(f"{local}@{domain}")
    except InvalidIdentifierError:
        assume(False)
    for form in ("NFC", "NFD"):
        assert normalise_email(unicodedata.normalize(form, f"{local}@{domain}")) == normal


@pytest.mark.parametrize(
    ("spelling", "region", "normal"),
    [
        ("+44 20 7946 0018", None, "+442079460018"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("(020) 7946-0018", "GB", "+442079460018"),
        ("0044 20 7946 0018", "GB", "+442079460018"),
        ("+44 (0)20 7946 0018", None, "+442079460018"),
        ("tel:+44-20-7946-0018", None, "+442079460018"),
        ("0170/1234567", "DE", "+491701234567"),
        (wide("0170 1234567"), "DE", "+491701234567"),
        ("٠١٧٠١٢٣٤٥٦٧", "DE", "+491701234567"),
        ("+39 06 698 12345", None, "+390669812345"),
        ("+1 650 253 0000 ext. 12", None, "+16502530000;ext=12"),
        ("(650) 253-0000 x12", "US", "+16502530000;ext=12"),
        ("+16502530000;ext=12", None, "+16502530000;ext=12"),
        (" +1 650 253 0000 ", "DE", "+16502530000"),
    ],
)
def test_spellings_of_a_number_meet(spelling, region, normal):
    assert normalise_phone(spelling, region) == normal
    assert normalise(Index.PHONE, spelling, region=region) == normal


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("", None),
        ("+", None),
        ("020 7946 0018", None),
        ("020 7946 0018", "ZZ"),
        ("020 7946 0018", ""),
        ("0018", "GB"),
        ("911", "US"),
        ("253-0000", "US"),
        ("+999 123456789", None),
        ("+44 20 7946 0018 1234567", None),
        ("+442079460018, +442079460019", None),
        ("+442079460018/+442079460019", None),
        ("++442079460018", None),
        ("Ada +442079460018", None),
        ("1-800-FLOWERS", "US"),
        ("+44\x0020 7946 0018", None),
        ("+4420\u200b79460018", None),
        ("1" * 300, "US"),
        ("1" * 100_000, "US"),
        (" " * 400 + "-" * 400, "US"),
    ],
)
def test_a_number_that_cannot_be_is_refused(number, region):
    assert refused(normalise_phone, number, region)


def test_an_extension_is_kept_because_it_is_another_person():
    assert normalise_phone("+1 650 253 0000 x1") != normalise_phone("+1 650 253 0000 x2")


@given(
    st.builds("{}{}{}".format, st.sampled_from(["", "+", "tel:+"]), DIGITS, st.sampled_from(["", " x12"])), REGIONS
)
@settings(max_examples=300)
def test_normalising_a_number_again_changes_nothing(text, region):
    try:
        normal = normalise_phone(text, region)
    except InvalidIdentifierError:
        return
    for again in (None, "DE", "US", region):
        assert normalise_phone(normal, again) == normal


@pytest.mark.parametrize(
    ("spelling", "normal"),
    [
        ("crm:12345", "crm:12345"),
        (" crm : 12345 \n", "crm:12345"),
        ("CRM:AbC", "CRM:AbC"),
        ("crm:a:b:c", "crm:a:b:c"),
        ("loyalty.card:AB 12", "loyalty.card:AB 12"),
        ("crm:e\u0301", "crm:é"),
        ("crm:ﬁ", "crm:ﬁ"),
    ],
)
def test_spellings_of_an_external_id_meet(spelling, normal):
    assert normalise_external_id(spelling) == normal
    assert normalise("external_id", spelling) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "crm",
        "crm:",
        ":1",
        "c rm:1",
        "crm\0:1",
        "crm:1\0",
        "crm:1\u20282",
        "crm:a\u200bb",
        "crm:\ud800",
        "\u217drm:1",
        "a" * 65 + ":1",
        "crm:" + "1" * 253,
        "crm:" + "1" * 100_000,
    ],
)
def test_an_external_id_that_cannot_be_is_refused(text):
    assert refused(normalise_external_id, text)


@given(TEXT | st.builds("crm:{}".format, TEXT))
def test_normalising_an_external_id_again_changes_nothing(text):
    try:
        normal = normalise_external_id(text)
    except InvalidIdentifierError:
        return
    assert normalise_external_id(normal) == normal


@given(TEXT, st.sampled_from(list(Index)), REGIONS)
def test_any_text_is_normalised_or_refused_with_the_typed_error(text, index, region):
    try:
        normal = normalise(index, text, region=region)
    except InvalidIdentifierError as error:
        assert text not in str(error) or text in InvalidIdentifierError.text  # noqa: PT017 - either outcome is right
    else:
        assert normal


def test_an_index_that_does_not_exist_is_refused():
    with pytest.raises(UnknownIndexError) as caught:
        normalise("passport", "x")
    assert "passport" not in str(caught.value)


def test_an_anonymous_id_is_opaque_and_only_trimmed():
    for value in ("Zk9-_aB", "e\u0301", "é", "a b", "2d3A:17", "x" * 256):
        assert normalise(Index.ANONYMOUS_ID, f" {value}\t") == value
    for value in ("", "  ", "a\u200bb", "a\x00b", "x" * 257):
        assert refused(normalise_anonymous_id, value), value
    assert normalise_external_id("user:e\u0301") == "user:é"  # negative control: those of people are one spelling
