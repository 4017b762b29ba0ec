"""The embedded engine keeps what it acknowledged."""

from server.database import close, connect, database
from server.engine import EmbeddedEngine


async def test_acknowledged_write_survives_a_kill_of_the_engine(tmp_path):
    engine = await EmbeddedEngine.start(tmp_path / "data")
    client = connect(engine.uri)
    await database(client, "confide").things.insert_one({"_id": 1, "value": "kept"})
    await engine.kill()
    await close(client)

    engine = await EmbeddedEngine.start(tmp_path / "data")
    client = connect(engine.uri)
    try:
        assert await database(client, "confide").things.find_one({"_id": 1}) == {"_id": 1, "value": "kept"}
    finally:
        await close(client)
        await engine.stop()


async def test_each_test_gets_empty_databases(databases):
    assert await databases.main.list_collection_names() == []
