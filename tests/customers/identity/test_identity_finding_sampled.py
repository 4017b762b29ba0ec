"""Learning from a sample of a base: as many are opened as are to be, each recorded, and what is learnt is of the whole."""

import pytest

from benchmarks.identity_households import people as invented
from benchmarks.identity_store import create, writable
from customers.identity.finding.estimating import Estimator, _observations
from customers.identity.finding.opening import Opener
from customers.identity.matching import Field, Level
from tests.customers.identity.finding_people import KEEPER, matching_of, run
from tests.schema.world import utc_now

SAMPLE = 200
RANDOM = 15_000


@pytest.fixture
async def matching(world):
    made = await matching_of(world, fewest=10_000)
    held = writable(world.vault, [written for _, written in invented(12, 90)])
    await create(world.vault, world.writer, world.access(), held)
    await run(world, made, dry=True)
    return made


async def learnt(world, matching, sample, seen=None):
    opener = Opener(world.store, world.vault, world.log, world.access(*KEEPER), world.policies, utc_now)
    told = []

    async def tell(done, total):
        told.append((done, total))

    estimator = Estimator(world.store, world.vault, matching.index, opener, tell, sample, RANDOM)
    found = await estimator.learn()
    assert told[-1][0] == told[-1][1], "it is told to the end"
    return found


async def test_a_sample_of_a_larger_base_teaches_about_the_whole_of_it(world, matching, monkeypatch):
    seen = []

    def watched(people, others, found, total, pairs):
        made = _observations(people, others, found, total, pairs)
        seen.append((len(people), total, made))
        return made

    monkeypatch.setattr("customers.identity.finding.estimating._observations", watched)
    whole, _, records = await learnt(world, matching, 10_000)
    since = len([each for each in await world.records() if each.roles == KEEPER[:1]])
    sampled, report, estimated = await learnt(world, matching, SAMPLE)
    (every, total, _), (few, guessed, observed) = seen
    assert records == every == total > SAMPLE + 100
    assert few <= SAMPLE
    assert estimated == guessed == pytest.approx(total, rel=0.05)
    assert sum(observed.random.values()) > 10_000
    assert observed.pairs == few * (total - few) + few * (few - 1) // 2, "pairs of which one is in the sample"
    assert report.learnt
    for field in (Field.GIVEN_NAME, Field.FAMILY_NAME, Field.BIRTH_DATE):
        assert sampled.m[field][Level.SAME] == pytest.approx(whole.m[field][Level.SAME], abs=0.2)
        assert sampled.u[field][Level.SAME] < 0.2 < sampled.m[field][Level.SAME]
    opened = [each for each in await world.records() if each.roles == KEEPER[:1]][since:]
    subjects = {subject for each in opened for subject in each.subjects}
    assert few < len(subjects) < total, "the sample and its candidates were opened, and not the rest"
