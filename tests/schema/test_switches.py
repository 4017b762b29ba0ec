"""Plans are kept by the variables that directives name, and by nothing a client can make up."""

from graphql import parse

from schema.planning import switches_of


def test_only_variables_of_directives_tell_plans_apart():
    document = parse(
        "query Q($a: Boolean!, $b: Boolean!, $id: ID!) { profile(id: $id) { givenName @skip(if: $a) ...F } }"
        " fragment F on Profile { email @include(if: $b) ... @skip(if: true) { city } }"
    )
    assert switches_of(document) == ("a", "b")


def test_variables_of_arguments_are_no_switches():
    assert switches_of(parse("query Q($id: ID!, $x: Boolean) { profile(id: $id) { givenName } }")) == ()
