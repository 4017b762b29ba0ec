import pytest
from graphql import parse

from schema.documents import Document, Documents
from schema.errors import ConfideGraphQLError, DocumentRefusedError, ErrorCode, FilterNotAllowedError
from schema.executor import execute
from schema.limits import Limits
from schema.publishing import published
from tests.schema.fuzzing import Source
from tests.schema.things import DOCUMENTS, SCHEMA, Query


class TestWhatIsRefusedBeforeRunning:
    async def refused(self, text, variables=None, operation_name=None):
        with pytest.raises(DocumentRefusedError) as caught:
            await execute(SCHEMA, DOCUMENTS.prepare(text), variables=variables, operation_name=operation_name)
        return caught.value.errors

    async def test_an_operation_that_is_not_there(self):
        for name in ("Secret", None):
            (error,) = await self.refused("query A { thing { id } } query B { thing { id } }", operation_name=name)
            assert error.extensions["code"] == "INPUT_INVALID"
            assert "Secret" not in error.message

    @pytest.mark.parametrize(
        ("declared", "value", "said"),
        [
            ("Int", "secret", "Variable '$v' has invalid value."),
            ("Int", 2**40, "Variable '$v' has invalid value."),
            ("Int!", None, "Variable '$v' has invalid value: Expected value of non-null type 'Int!' not to be None."),
            (
                "Int!",
                ...,
                "Variable '$v' has invalid value: Expected a value of non-null type 'Int!' to be provided.",
            ),
            ("Int = 3", {"secret": ["secret"]}, "Variable '$v' has invalid value."),
        ],
    )
    async def test_a_variable_that_does_not_fit_is_named_and_its_value_is_not(self, declared, value, said):
        text = f"query ($v: {declared}) {{ thing {{ seen(times: $v) }} }}" if "!" in declared or "=" in declared else (
            f"query ($v: {declared}) {{ thing {{ seen(times: $v) }} }}".replace("seen(times: $v)", "seen2: seen(times: 1)")
        )  # fmt: skip
        document = Document("", text, parse(text), None)
        with pytest.raises(DocumentRefusedError) as caught:
            await execute(SCHEMA, document, variables={} if value is ... else {"v": value})
        assert [error.message for error in caught.value.errors] == [said]


class TestDocuments:
    def test_the_second_time_a_document_is_the_same_and_keeps_what_was_attached(self):
        documents = Documents(SCHEMA, Limits())
        first = documents.prepare("{ thing { id } }")
        first.attach("plan", 1)
        assert documents.prepare("{ thing { id } }") is first
        assert documents.find(first.sha256) is first
        assert first.slots == {"plan": 1}
        assert documents.find("nonsense") is documents.find("00" * 32) is None

    def test_what_is_kept_is_bounded_and_the_least_used_goes_first(self):
        texts = [f"{{ thing {{ id x{i:04}: text }} }}" for i in range(50)]
        documents = Documents(SCHEMA, Limits(), budget=10 * len(texts[0]))
        for text in texts[:10]:
            documents.prepare(text)
        kept = documents.prepare(texts[0])
        for text in texts[10:15]:
            documents.prepare(text)
        assert len(documents) == 10
        assert documents.prepare(texts[0]) is kept
        assert documents.find(kept.sha256)
        small = Documents(SCHEMA, Limits(), budget=5)
        small.prepare(texts[0])
        assert len(small) == 0

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{ thing { seen(times: "secret") } }', "Expected a value of type 'Int!'."),
            ("{ thing { seen(times: secret) } }", "Expected a value of type 'Int!'."),
            ("{ thing { seen(times: [{secret: 1}]) } }", "Expected a value of type 'Int!'."),
            ('query ($v: Int = "secret") { thing { seen(times: $v) } }', "Expected a value of type 'Int'."),
            ("{ thing { seen(times: null) } }", "Expected value of non-null type 'Int!' not to be None."),
            ("{ thing { absent } }", "Cannot query field 'absent' on type 'Thing'."),
        ],
    )
    def test_a_document_that_does_not_fit_is_refused_without_its_literals(self, text, said):
        with pytest.raises(DocumentRefusedError) as caught:
            Documents(SCHEMA, Limits(), suggestions=False).prepare(text)
        assert caught.value.errors[0].message == said
        assert all("secret" not in error.message for error in caught.value.errors)

    def test_limits_syntax_and_unicode_are_refused_alike(self):
        for text in ("{", "{ thing " + "{ child " * 99 + "{ id }" + "}" * 100, "{ a" + "\ud800" + " }"):
            with pytest.raises(DocumentRefusedError) as caught:
                DOCUMENTS.prepare(text)
            assert len(caught.value.errors) == 1

    def test_introspection_can_be_closed(self):
        with pytest.raises(DocumentRefusedError):
            Documents(SCHEMA, Limits(), introspection=False).prepare("{ __schema { types { name } } }")
        Documents(SCHEMA, Limits(), introspection=False).prepare("{ __typename }")


class TestWhatAnAnswerShowsOfAnError:
    async def shown(self, text, variables=None, source=None):
        source = source or Query(thing=Source({"must": "m", "number": "alice@example.org"}), firm=None, things=[])
        result = await execute(
            SCHEMA, DOCUMENTS.prepare(text), variables=variables, root=source, context={"calls": []}
        )
        return [published(error) for error in result.errors]

    async def test_a_stored_value_that_does_not_fit_its_type_is_not_quoted(self):
        (error,) = await self.shown("{ thing { number } }")
        assert error == {
            "message": "Something went wrong on the server.",
            "locations": [{"line": 1, "column": 11}],
            "path": ["thing", "number"],
            "extensions": {"code": "INTERNAL"},
        }

    async def test_an_argument_that_turns_out_null_is_the_clients_error(self):
        (error,) = await self.shown("query ($n: Int = 2) { thing { seen(times: $n) } }", {"n": None})
        assert error["extensions"] == {"code": "INPUT_INVALID"}

    async def test_an_error_of_ours_keeps_its_words_code_and_details(self):
        class Refusing:
            @property
            def must(self):
                raise FilterNotAllowedError(["profile.phone", "profile.email"])

        (error, *_) = await self.shown("{ thing { must } }", source=Query(thing=Refusing(), firm=None, things=[]))
        assert error["message"] == "The caller may not filter by these fields."
        assert error["extensions"] == {"code": "FILTER_NOT_ALLOWED", "fields": ["profile.email", "profile.phone"]}

    def test_every_code_has_exactly_one_class_and_a_sentence(self):
        def leaves(kind):
            return [leaf for below in kind.__subclasses__() for leaf in leaves(below)] or [kind]

        found = [kind for kind in leaves(ConfideGraphQLError) if kind.__module__ == "schema.errors"]
        assert sorted(kind.code for kind in found) == sorted(ErrorCode)
        assert all(kind.default_message.endswith(".") for kind in found)
