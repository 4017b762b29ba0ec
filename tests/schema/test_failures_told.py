"""The log learns the cause of a failure of which a caller learns the code; of callers' mistakes it learns nothing."""

import pytest
from pymongo.errors import AutoReconnect

from audit import AuditUnavailableError as LogUnavailableError
from schema.errors import ErrorCode
from schema.service import Asked, GraphQLService
from server.logs import describe
from tests.schema.world import BUILT, DOCUMENTS, OFFICER, SUPPORT, caller

TRACE = "0af7651916cd43dd8448eb211c80319c"
PAGE = "{ profiles { nodes { id orderCount loyaltyTier } } }"


@pytest.fixture
def heard(world, monkeypatch):
    """What the service says of its failures."""
    told = []
    service = GraphQLService(BUILT, DOCUMENTS, world.services, failed=lambda *each: told.append(each))
    monkeypatch.setattr(world, "graphql", service)
    return told


async def asked(world, query, role=OFFICER):
    return await world.graphql.answer(Asked(query, None, None, role[1], None, TRACE), caller(role[0]))


async def test_a_fault_of_ours_is_told_with_its_type_its_place_and_the_trace(world, heard, monkeypatch):
    def broken(*_):
        secret = "jane@example.org"
        raise KeyError(secret)

    monkeypatch.setattr(world.services.gateway, "_reveal", broken)
    await world.one()
    answer = await asked(world, PAGE)
    assert (answer.data, answer.errors[0]["extensions"]["code"]) == (None, "INTERNAL")
    ((code, cause, trace),) = heard
    assert (code, trace) == (ErrorCode.INTERNAL, TRACE)
    described = describe(cause)
    assert described["type"] == "KeyError"
    assert described["at"][-1].endswith(" broken")
    assert any("profiles/service.py:" in each for each in described["at"])
    assert "jane" not in str(described)


async def test_a_value_that_does_not_fit_its_type_is_told_with_its_place_and_without_itself(world, heard):
    """graphql-core quotes the value in its own words, so these reach neither the answer nor the log."""
    customer = await world.one()
    await world.main["profiles"].update_one({"_id": customer}, {"$set": {"loyalty_tier": {"jane": 1}}})
    answer = await asked(world, PAGE)
    assert [each["extensions"]["code"] for each in answer.errors] == ["INTERNAL"]
    ((code, cause, _),) = heard
    assert code is ErrorCode.INTERNAL
    assert describe(cause)["type"].endswith("GraphQLError")
    assert describe(cause)["at"]
    assert "jane" not in str(describe(cause))


async def test_what_does_not_answer_is_told_with_what_it_raised(world, heard, monkeypatch):
    async def gone(*_, **__):
        raise AutoReconnect("10.0.0.3: connection refused")

    async def full(*_):
        raise LogUnavailableError("the log")

    with monkeypatch.context() as patch:
        patch.setattr(world.services.gateway._store, "page", gone)
        await asked(world, PAGE)
    with monkeypatch.context() as patch:
        patch.setattr(world.log, "append", full)
        await asked(world, PAGE)
    assert [(code.value, type(cause)) for code, cause, _ in heard] == [
        ("DATABASE_UNAVAILABLE", AutoReconnect),
        ("AUDIT_UNAVAILABLE", LogUnavailableError),
    ]


async def test_a_callers_own_mistakes_are_not_told(world, heard):
    """Negative control: a log that told of them would be filled by anybody."""
    for query, role in (
        ("{ nothing }", OFFICER),
        ("{ profiles(first: 0) { nodes { id } } }", OFFICER),
        ('{ profiles(after: "x") { nodes { id } } }', OFFICER),
        ("{ accessLog { nodes { id } } }", SUPPORT),
    ):
        assert (await asked(world, query, role)).errors
    assert heard == []
