"""People with more than one record, and the search over them."""

import os

from customers.identity.finding import Matching
from tests.schema.world import utc_now

KEEPER = ("record_keeper", "identity_resolution")
STEWARD = ("data_steward", "identity_resolution")
ANA = {
    "given_name": "Analiese",
    "family_name": "Przybylski",
    "birth_date": "1980-05-17",
    "street": "Hafenweg 12",
    "postal_code": "28195",
    "city": "Bremen",
    "country": "DE",
}


def values(**changes):
    """Ana, or somebody else."""
    return {name: value for name, value in {**ANA, **changes}.items() if value is not None}


async def matching_of(world, *, now=utc_now, **options):
    """The search over a world, with nothing seen yet."""
    for name in ("match_tokens", "match_records", "match_runs", "match_parameters"):
        await world.main[name].delete_many({})
    return await Matching.open(
        world.main,
        world.store,
        world.vault,
        world.log,
        world.reviewer,
        lambda: world.policies,
        tenant="main",
        now=now,
        random=os.urandom,
        **options,
    )


async def run(world, matching, *, merge=False, **options):
    """One run."""
    return await matching.run(world.access(*KEEPER), world.access(*STEWARD) if merge else None, **options)


async def cases(world):
    """The open cases, as they are stored."""
    return (await world.reviewer.cases.page(100))[0]


async def joined(world):
    """Who was merged into whom."""
    found = await world.main["profiles"].find({}).to_list(None)
    return {each["_id"]: each["merged_into"] for each in found if "merged_into" in each}
