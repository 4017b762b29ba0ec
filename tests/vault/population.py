"""A few customers, each with a sealed document and an identifier, and who of them can be read."""

from vault import Claim, DataKey, Tombstone

IDS = [f"cus_{number:026d}" for number in range(12)]
ERASED = IDS[4]


def email(customer_id):
    return f"canary-{customer_id}@example.com"


async def populate(vault, documents):
    """Customers with a sealed document and an identifier each; gives their data keys' fingerprints."""
    keys = await vault.create_keys(IDS)
    async with vault.reading():
        await vault.blind.claim_many(Claim("email", email(customer_id), customer_id) for customer_id in IDS)
        await documents.insert_many(
            [
                {"_id": each, "sealed": {"contact": key.seal("profiles", each, "contact", 1, {"email": email(each)})}}
                for each, key in keys.items()
            ]
        )
    return {customer_id: key.fingerprint for customer_id, key in keys.items()}


async def readable(vault, documents):
    """Who can be read, by everything that the vault and the documents give."""
    found = set()
    async with vault.reading():
        keys = await vault.keys(IDS)
        for document in await documents.find({}).to_list(None):
            key = keys.get(document["_id"])
            if isinstance(key, DataKey):
                opened = key.open(document["sealed"]["contact"], "profiles", document["_id"], "contact", 1)
                assert opened == {"email": email(document["_id"])}
                found.add(document["_id"])
    return found


async def tombstones(*erasures):
    for erasure in erasures:
        yield Tombstone(erasure.leaf, erasure.fingerprints[0])
