"""Explanations and matrices say what decisions are, and where that stands."""

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

import policies
from policies import (
    Action,
    UnknownFieldError,
    UnknownPurposeError,
    UnknownRoleError,
    Verdict,
    explain,
    matrix,
    matrix_html,
    matrix_table,
)
from policies.loading import build
from policies.matrix_page import _STYLE


def test_an_explanation_names_the_rule_and_its_line(shipped, packaged):
    explained = explain(shipped, "marketer", "email_marketing", "profile.birth_date")
    (rule,) = explained.rules
    assert not explained
    assert packaged["rules.csv"].decode().split("\n")[rule.line - 1] == rule.text
    assert str(rule) == f"rules.csv:{rule.line}: p, *, marketing, user.demographic.date_of_birth, *, any, deny"
    assert explained.sentence == (
        f"For email_marketing, marketer does not see profile.birth_date: rule {rule.number}, rules.csv line "
        f"{rule.line}: deny * * on user.demographic.date_of_birth for marketing."
    )


def test_an_explanation_of_the_default_deny_says_so(shipped):
    explained = explain(shipped, "executive", "business_reporting", "profile.email")
    assert explained.rules == ()
    assert explained.sentence == (
        "For business_reporting, executive does not see profile.email: no rule allows it on user.contact.email."
    )


def test_an_explanation_of_several_alternatives_names_a_rule_for_each(shipped):
    explained = explain(shipped, "sales_rep", "sales", "profile.phone")
    assert explained
    assert [rule.action for rule in explained.rules] == ["read", "read_masked"]
    assert "in clear for customers of their own regions" in explained.sentence
    assert "else masked (last four) for all others" in explained.sentence


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action.FILTER, "may not filter by profile.email"),
        (Action.WRITE, "may not change profile.email"),
        (Action.EXPORT, "may not export profile.email"),
        (Action.ERASE, "may not erase customers: no rule allows it on user."),
        (Action.READ_MASKED, "sees profile.email masked (domain only) for every customer"),
    ],
)
def test_every_action_can_be_explained(shipped, action, words):
    assert words in explain(shipped, "marketer", "marketing", "profile.email", action).sentence


def test_an_allowed_action_is_explained_with_its_rule(shipped):
    assert "may erase customers, for every customer (rule" in (
        explain(shipped, "privacy_officer", "privacy_request", "", Action.ERASE).sentence
    )


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (("marketeer", "marketing", "profile.email"), UnknownRoleError),
        (("marketer", "markteing", "profile.email"), UnknownPurposeError),
        (("marketer", "marketing", "profile.mail"), UnknownFieldError),
    ],
)
def test_a_question_about_something_unknown_is_answered_with_what_is_known(shipped, question, error):
    with pytest.raises(error) as refused:
        explain(shipped, *question)
    assert not any(name in str(refused.value) for name in ("marketeer", "markteing", "profile.mail,"))
    assert refused.value.known


def test_every_explanation_agrees_with_the_decision(shipped):
    for role in shipped.roles:
        for purpose in shipped.purposes:
            read = shipped.decide((role,), purpose).read
            for path in shipped.catalogue.fields:
                explained = explain(shipped, role, purpose, path)
                assert bool(explained) == bool(read[path])
                assert all(
                    f"rule {rule.number}, rules.csv line {rule.line}" in explained.sentence
                    for rule in explained.rules
                )


def test_every_cell_of_a_matrix_agrees_with_the_decision(shipped):
    for purpose in shipped.purposes:
        shown = matrix(shipped, purpose, shipped.roles)
        assert [role.name for role in shown.roles] == list(shipped.roles)
        for row in shown.rows:
            for cell in row.cells:
                grant = shipped.decide((cell.role,), purpose)
                read = grant.read[row.field.path]
                expected = read.alternatives[0].verdict if read else Verdict.WITHHELD
                assert cell.verdict is expected
                assert ("filter" in cell.may) == bool(grant.filter[row.field.path])
                assert (cell.rule is None) == (cell.line is None)


def test_a_matrix_shows_by_default_the_roles_that_may_do_something(shipped):
    assert [role.name for role in matrix(shipped, "audit").roles] == ["privacy_officer", "auditor"]
    assert len(matrix(shipped, "tax").roles) == len(shipped.roles)
    with pytest.raises(UnknownRoleError):
        matrix(shipped, "sales", ["sales_rap"])
    with pytest.raises(UnknownPurposeError):
        matrix(shipped, "sails")


def test_the_terminal_matrix_has_a_word_and_an_icon_in_every_cell_without_colour(shipped):
    output = io.StringIO()
    shown = matrix(shipped, "sales", ["sales_rep", "administrator"])
    Console(file=output, width=160, color_system=None).print(matrix_table(shown))
    line = next(line for line in output.getvalue().splitlines() if "profile.phone" in line)
    assert "● clear for own regions, else masked (last four)" in line
    assert "○ withheld" in line
    assert "\x1b" not in output.getvalue()


class Page(HTMLParser):
    """Checks that tags nest and collects what a reader needs."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.scopes, self.attributes, self.headings = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))
        if tag in ("h1", "caption", "title"):
            self.headings.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open:
            self.cells[-1] += data


def test_the_page_is_a_real_table_and_needs_nothing_else(shipped):
    text = matrix_html(matrix(shipped, "customer_service"))
    page = Page(text)
    assert page.open == []
    assert sorted(page.headings) == ["caption", "h1", "title"]
    assert ("html", "lang", "en") in page.attributes
    assert set(page.scopes) == {"col", "row", "rowgroup"}
    words = ("clear", "masked", "withheld")
    assert all(any(word in cell for word in words) and re.search("[●◐○]", cell) for cell in page.cells)
    assert len(page.cells) == len(shipped.catalogue.fields) * len(matrix(shipped, "customer_service").roles)
    assert not re.search(r"https?:|src=|href=|<script|url\(", text)
    assert len(text) < 100_000


def test_names_in_the_page_are_escaped(packaged):
    hostile = packaged["roles.toml"].replace(b'"Auditor"', b'"<script>alert(1)</script>"')
    text = matrix_html(matrix(build({**packaged, "roles.toml": hostile}), "audit"))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_pages_colours_can_be_read_in_light_and_in_dark():
    assert round(contrast("#ffffff", "#767676"), 2) == 4.54  # a published pair, so that the measure is right
    for block in re.findall(r":root \{([^}]*)\}", _STYLE):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for ground in (colours["paper"], colours["ground"]):
            assert contrast(colours["ink"], ground) >= 7
            for meaning in ("clear", "masked", "withheld", "quiet", "accent"):
                assert contrast(colours[meaning], ground) >= 4.5


def test_the_face_of_the_package_is_what_others_build_on():
    assert sorted(policies.__all__) == policies_face()
    assert all(hasattr(policies, name) for name in policies.__all__)


def policies_face():
    return [
        "Action",
        "Alternative",
        "Catalogue",
        "Cell",
        "Effect",
        "Explanation",
        "Fault",
        "Field",
        "FieldGrant",
        "FieldKind",
        "Finding",
        "FindingKind",
        "Grant",
        "HIDDEN",
        "LawfulBasis",
        "Mask",
        "Matrix",
        "MatrixRow",
        "PoliciesError",
        "PolicyInvalidError",
        "PolicySet",
        "Purpose",
        "ROOT_CATEGORY",
        "Reason",
        "RetentionRule",
        "Role",
        "Rule",
        "Scope",
        "Severity",
        "UnknownFieldError",
        "UnknownPurposeError",
        "UnknownRoleError",
        "Verdict",
        "check",
        "check_directory",
        "explain",
        "load_policies",
        "mask_value",
        "matrix",
        "matrix_html",
        "matrix_table",
    ]
