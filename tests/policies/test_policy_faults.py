"""A directory of policy files is loaded whole or not at all, and every fault in it is told with its place."""

import pytest

from policies import Fault, PoliciesError, PolicyInvalidError, UnknownPurposeError, load_policies
from policies.loading import build
from policies.source import FILES, MAX_BYTES

RULE = "p, marketer, marketing, user.name, read, any, allow"


def faults_of(load):
    with pytest.raises(PolicyInvalidError) as refused:
        load()
    return [str(fault) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("p, marketeer, marketing, user.name, read, any, allow", "unknown role 'marketeer'"),
        ("p, marketer, marketting, user.name, read, any, allow", "unknown purpose 'marketting'"),
        ("p, marketer, marketing, user.nam, read, any, allow", "unknown category 'user.nam'"),
        ("p, marketer, marketing, user.name, reed, any, allow", "unknown action 'reed'"),
        ("p, marketer, marketing, user.name, read, all, allow", "unknown scope 'all'"),
        ("p, marketer, marketing, user.name, read, any, permit", "unknown effect 'permit'"),
        ("p, marketer, marketing, user.name, read, any", "has 5 columns"),
        ("p, marketer, marketing, user.name, read, any, allow, why", "has 7 columns"),
        ("p, marketer, marketing, user.name, read, any, allow # why", "unknown effect 'allow # why'"),
        ("p, *, marketing, user.name, read, any, allow", "allows every role"),
        ("p, marketer, *, user.name, read, any, allow", "allows every purpose"),
        ("p, marketer, marketing, user.name, *, any, allow", "allows every action"),
        ("p, marketer, marketing, user.name, read, region, deny", "denies for some customers only"),
        ("q, marketer, marketing, user.name, read, any, allow", "begins with neither p"),
        ("g, marketer, marketeer", "unknown role 'marketeer'"),
        ("g, marketer", "has 1 columns after g"),
        ("g2, marketing, sales", "begins with neither p"),
        ("p, marketer(, marketing, user.name, read, any, allow", "unknown role 'marketer('"),
        ('p, "marketer", marketing, user.name, read, any, allow', "unknown role '\"marketer\"'"),
        ("p, \x1b[31mred, marketing, user.name, read, any, allow", "unknown role '\\x1b[31mred'"),
    ],
)
def test_a_broken_rule_is_told_with_its_line(with_rules, line, says):
    (fault,) = faults_of(lambda: with_rules("# a comment", RULE, "", line, RULE))
    assert fault.startswith("rules.csv:4: ")
    assert says in fault
    assert with_rules(RULE)  # the control: without that line it loads


def test_every_fault_in_every_file_is_listed_at_once(packaged):
    sources = {
        **packaged,
        "rules.csv": b"p, nobody, marketing, user.name, read, any, allow\nx\n",
        "purposes.toml": packaged["purposes.toml"].replace(b'basis = "consent"', b'basis = "because"', 1),
        "catalogue.toml": packaged["catalogue.toml"].replace(b'mask = "domain_only"', b'mask = "year_only"'),
        "roles.toml": packaged["roles.toml"].replace(b'label = "Marketer"', b'title = "Marketer"'),
        "model.conf": packaged["model.conf"].replace(b"&& !some(where (p.eft == deny))", b""),
        "retention.toml": packaged["retention.toml"].replace(b'period = "P10Y"', b'period = "ten years"'),
    }
    faults = faults_of(lambda: build(sources))
    assert {fault.split(":")[0] for fault in faults} == set(FILES)
    assert len(faults) == 8
    assert any(fault.startswith("purposes.toml:") and "[marketing] needs basis" in fault for fault in faults)
    assert any(
        "[profile.email] the mask year_only cannot be put on a value of kind text" in fault for fault in faults
    )


def test_a_role_cannot_inherit_itself_nor_too_deeply(with_rules, packaged):
    (fault, *_) = faults_of(lambda: with_rules(RULE, "g, marketer, auditor", "g, auditor, marketer"))
    assert "inherits itself" in fault
    roles = "".join(f'[r{number}]\nlabel = "x"\ndescription = "x"\n' for number in range(12)).encode()

    def chain(length):
        links = "\n".join(f"g, r{number}, r{number + 1}" for number in range(length))
        return build({**packaged, "roles.toml": roles, "rules.csv": links.encode()})

    deepest = chain(9)
    assert len(deepest.tables.roles["r0"]) == 10
    (fault,) = faults_of(lambda: chain(10))
    assert "more than 9 levels" in fault


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('parent = "customer_service"', 'parent = "nowhere"', "[order_support] has the unknown parent 'nowhere'"),
        ('parent = "customer_service"', 'parent = "order_support"', "[order_support] is part of itself"),
        ('parent = "customer_service"', 'parent = "customer_service"\nbasis = "consent"', "another lawful basis"),
        ('parent = "customer_service"', "parent = []", "unknown parent"),
        ('label = "Marketing"', 'label = ""', "[marketing] needs label"),
        ("[marketing]", "[Marketing]", "'Marketing' is not a table with a lower-case name"),
        ("survives_restriction = true", 'survives_restriction = "yes"', "must be true or false"),
    ],
)
def test_a_broken_purpose_is_told_with_its_line(packaged, old, new, says):
    broken = packaged["purposes.toml"].replace(old.encode(), new.encode(), 1)
    assert broken != packaged["purposes.toml"]
    faults = faults_of(lambda: build({**packaged, "purposes.toml": broken}))
    found = next(fault for fault in faults if says in fault)
    line = int(found.split(":")[1])
    assert 0 < line <= broken.count(b"\n") + 1


def test_a_child_purpose_has_its_parents_basis_and_survival(shipped):
    for purpose in shipped.purposes.values():
        root = shipped.purposes[purpose.lineage[-1]]
        assert purpose.lineage[0] == purpose.name
        assert purpose.basis is root.basis
    assert shipped.purposes["privacy_request"].survives_restriction
    assert not shipped.purposes["email_marketing"].survives_restriction


@pytest.mark.parametrize("name", ["catalogue.toml", "purposes.toml", "roles.toml", "retention.toml"])
def test_a_file_that_is_not_toml_is_one_fault_and_not_a_hundred(packaged, name):
    (fault,) = faults_of(lambda: build({**packaged, name: b'\n\n[broken\nlabel = "x"'}))
    assert fault.startswith(f"{name}:3: is not valid TOML")


@pytest.mark.parametrize("name", FILES)
def test_bytes_that_are_not_text_are_a_fault_with_a_line(packaged, name):
    faults = faults_of(lambda: build({**packaged, name: b"# fine\n\xff\xfe\n"}))
    assert faults == [f"{name}:2: is not UTF-8 text"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[matchers]\nm = 1", b"[request_definition]\nr = role\n"])
def test_another_model_is_refused(packaged, content):
    assert "is another model" in faults_of(lambda: build({**packaged, "model.conf": content}))[0]


def test_a_model_that_differs_in_comments_alone_is_the_same_model(packaged):
    commented = packaged["model.conf"].replace(b"[matchers]", b"# said again\n\n[matchers]")
    assert build({**packaged, "model.conf": commented})


def test_a_directory_overrides_the_packaged_files_it_brings(tmp_path, shipped):
    (tmp_path / "rules.csv").write_text(RULE)
    (tmp_path / "README.md").write_text("not a policy file, and none of our business")
    own = load_policies(tmp_path)
    assert own.catalogue.version == shipped.catalogue.version
    assert own.version != shipped.version
    assert len(own.rules) == 1
    assert load_policies().version == shipped.version


def test_a_misspelt_policy_file_is_a_fault_and_not_ignored(tmp_path):
    (tmp_path / "rule.csv").write_text(RULE)
    (fault,) = faults_of(lambda: load_policies(tmp_path))
    assert fault.startswith("rule.csv: is not a policy file")


def test_a_directory_that_is_not_there_is_a_fault(tmp_path):
    (fault,) = faults_of(lambda: load_policies(tmp_path / "nowhere"))
    assert fault == "policy directory: cannot be read: No such file or directory"


def test_a_policy_file_that_cannot_be_read_is_a_fault(tmp_path):
    (tmp_path / "rules.csv").mkdir()
    (tmp_path / "catalogue.toml").write_bytes(b"#" * (MAX_BYTES + 1))
    faults = faults_of(lambda: load_policies(tmp_path))
    assert faults == ["catalogue.toml: is larger than 4 MiB", "rules.csv: cannot be read: Is a directory"]


def test_a_failed_reload_leaves_the_policy_in_hand_as_it_is(tmp_path):
    (tmp_path / "rules.csv").write_text(RULE)
    in_hand = load_policies(tmp_path)
    before = in_hand.decide(("marketer",), "marketing")
    (tmp_path / "rules.csv").write_text(RULE.replace("marketer", "marketeer"))
    faults_of(lambda: load_policies(tmp_path))
    assert in_hand.decide(("marketer",), "marketing") is before
    assert in_hand.decide(("marketer",), "email_marketing").read["profile.given_name"]
    (tmp_path / "rules.csv").write_text(RULE.replace("user.name", "user.contact"))
    reloaded = load_policies(tmp_path)
    assert not reloaded.decide(("marketer",), "marketing").read["profile.given_name"]
    assert in_hand.version != reloaded.version


def test_errors_form_the_tree_that_is_drawn():
    for error in (PolicyInvalidError([Fault("rules.csv", 1, "x")]), UnknownPurposeError(["a"])):
        assert isinstance(error, PoliciesError)
    assert str(PolicyInvalidError([Fault("rules.csv", 1, "x")])).startswith("The policy has 1 fault; nothing was")
