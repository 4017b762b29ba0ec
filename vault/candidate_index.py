"""The candidate index: which customers share a combination of facts, for those who can compute its tokens.

A blind index holds an identifier to one customer; here many may share a combination (names and a birth year, a birth date
and a place). Were its token written once for each of them, whoever holds a copy of the database would see how many share
one, who shares one with whom, and by how often tokens occur which are common names. So each customer in a block has a
*slot* of it, and a token of its own:

    key   = HKDF-SHA256(key of the epoch, "confide/1/match-token", tenant, epoch)
    token = HMAC-SHA256(key, slot (2 bytes), UTF-8 of the combination), cut to 16 bytes

No two rows have the same token, and without the key no two tokens tell that they are of one block: a copy tells how many
combinations a customer has, and nothing else. The token is the row's `_id`, so two writers never get one slot. A block
has `MOST` slots and one more, which says that there are too many for any to be worth comparing.

A slot that is given up is empty until the next one takes it. Slots are looked up in growing steps, as long as a step finds
anybody; who stands behind a whole step of empty slots is found again once one is taken, or the index is made anew.

What one who can write here could do: hide a pair, or have strangers compared, and found apart. The page of the format is
docs/formats/match-tokens.md.
"""

import hmac
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from vault.envelope import hkdf
from vault.known_blocks import KnownBlocks
from vault.ring_file import RingContents
from vault.slot import encode_parts

__all__ = ["MOST", "CandidateIndex", "CandidateTokens", "forget_candidates"]

MOST: Final = 100
"""A combination that more customers share than this gives no candidates: it says too little, and pairs grow squarely."""
TOKEN_SIZE: Final = 16
_LABEL: Final = "confide/1/match-token"
"""Of the same kind as `vault.envelope.Label`, and like those never to be renamed or given again."""
_STEPS: Final = ((0, 3), (3, 11), (11, 35), (35, MOST + 1))
# Some engines take time by the square of what a query finds. Of slots few are taken, so more of them can be asked for.
_AT_ONCE: Final = 100
_SLOTS_AT_ONCE: Final = 300
_CUSTOMERS_AT_ONCE: Final = 8
_ATTEMPTS: Final = 8
_LOST_RACES: Final = frozenset({11_000, 112})
"""A duplicate key; a conflict of two writers."""

Block = Mapping[int, str]
"""Customers by slot."""


class Holder(Protocol):
    """Who holds the index keys: a vault."""

    @property
    def contents(self) -> RingContents:
        """The key ring's contents that this process uses; raises `LeaseLostError` where it holds none."""
        ...


class CandidateTokens:
    """Makes the tokens of one tenant in one epoch. Pure."""

    __slots__ = ("_key", "epoch")

    def __init__(self, epoch: int, epoch_key: bytes, *, tenant: str) -> None:
        self.epoch = epoch
        self._key = hkdf(epoch_key, encode_parts(_LABEL, tenant, epoch))

    def token(self, text: str, slot: int) -> bytes:
        """The 16 bytes of a slot of a combination."""
        message = slot.to_bytes(2, "big") + text.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256")[:TOKEN_SIZE]

    def __repr__(self) -> str:
        return f"<CandidateTokens of epoch {self.epoch}>"


class CandidateIndex:
    """The collection `match_tokens`; writes go inside `Vault.reading`, in which the customer's key was found active."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        holder: Holder,
        *,
        tenant: str,
        check_reading: Callable[[], None],
    ) -> None:
        """Nothing is read yet.

        Args:
            database: The main database.
            holder: The index keys.
            tenant: Bound into every token.
            check_reading: Returns when this process is inside a `reading` block, raises otherwise.
        """
        self._rows = database["match_tokens"]
        self._holder = holder
        self._tenant = tenant
        self._check_reading = check_reading
        self._made: CandidateTokens | None = None

    async def prepare(self) -> None:
        """Create the index that is missing. There is none of epochs, which would make each row a third dearer to write."""
        await self._rows.create_index("customer_id")

    @property
    def epoch(self) -> int:
        """The newest epoch of the index keys: the one that rows are written and looked up in.

        Raises:
            LeaseLostError: This process holds no keys.
        """
        return max(self._holder.contents.index_keys)

    async def replace(
        self, texts: Mapping[str, Collection[str]], *, new: Collection[str] = (), known: KnownBlocks | None = None
    ) -> int:
        """Have these customers be found by these combinations in the newest epoch, and by no others.

        Gives how many combinations were passed over because too many share them.

        Args:
            texts: The combinations of each customer.
            new: Those of them who have no rows yet, so that nobody looks for any.
            known: What the run has seen, and what it learns of the index here. After an error it is not to be used.

        Raises:
            FleetError: It is not inside a `reading` block.
            LeaseLostError: This process holds no keys.
        """
        self._check_reading()
        held = await self._tokens_of([each for each in texts if each not in new])
        wanted = dict.fromkeys(text for each in texts.values() for text in each)
        kept: set[bytes] = set()
        left = {(customer, text) for customer, each in texts.items() for text in each}
        known = KnownBlocks() if known is None else known
        blocks: dict[str, dict[int, str]] = {}
        refused: set[bytes] = set()
        over = 0
        for _ in range(_ATTEMPTS):
            blocks = await self._blocks(wanted, known)
            rows: list[dict[str, Any]] = []
            over = 0
            for customer, text in sorted(left):
                block, tokens = blocks[text], self._tokens()
                mine = next((slot for slot, each in block.items() if each == customer), None)
                if mine is None:
                    mine = next((slot for slot in range(MOST + 1) if slot not in block), None)
                    if mine is None:
                        over += 1
                        continue
                    block[mine] = customer
                    rows.append({"_id": tokens.token(text, mine), "customer_id": customer, "epoch": tokens.epoch})
                kept.add(tokens.token(text, mine))
            refused = await self._insert(rows)
            kept -= refused
            if not refused:
                break
            known.forget(self._tokens().token(text, 0) for text in wanted)
        self._remember(texts, blocks, known, whole=not refused)
        await self._remove([each for each in held if each not in kept])
        # Blocks are of the newest epoch, so what goes of an older one is in none of those that are known.
        gone = {customer for token, (customer, epoch) in held.items() if token not in kept and epoch == self.epoch}
        if gone:
            known.forget_customers(gone)
        return over

    async def blocks(self, texts: Iterable[str], *, known: KnownBlocks | None = None) -> dict[str, frozenset[str]]:
        """Who shares each combination; of one that more than `MOST` share, nobody.

        Args:
            texts: The combinations.
            known: What the run has seen, which is not looked up again; what is looked up is added.

        Raises:
            LeaseLostError: This process holds no keys.
        """
        found = await self._blocks(dict.fromkeys(texts), KnownBlocks() if known is None else known)
        return {
            text: frozenset(block.values()) if len(block) <= MOST else frozenset() for text, block in found.items()
        }

    @property
    def oldest(self) -> int:
        """The oldest epoch whose key there is.

        Raises:
            LeaseLostError: This process holds no keys.
        """
        return min(self._holder.contents.index_keys)

    async def drop_old(self) -> None:
        """Remove the rows of epochs whose keys are gone: nobody can look anything up in them any more.

        Walks all rows, so not to be done without need.
        """
        await self._rows.delete_many({"epoch": {"$lt": self.oldest}})

    async def clear(self) -> None:
        """Remove every row, for the index to be made anew."""
        await self._rows.delete_many({})

    def _tokens(self) -> CandidateTokens:
        keys = self._holder.contents.index_keys
        newest = max(keys)
        if self._made is None or self._made.epoch != newest:
            self._made = CandidateTokens(newest, keys[newest], tenant=self._tenant)
        return self._made

    def _remember(
        self, texts: Mapping[str, Collection[str]], blocks: Mapping[str, Block], known: KnownBlocks, *, whole: bool
    ) -> None:
        """Note what was written: the blocks as they are now, and in which of them these customers are."""
        tokens = self._tokens()
        firsts = {text: tokens.token(text, 0) for text in blocks}
        known.forget(firsts.values())
        for text, block in blocks.items() if whole else ():  # else others were faster each time
            known.put(firsts[text], block)
        for customer, each in texts.items():
            known.put_customer(customer, [firsts[text] for text in each])

    async def _blocks(self, texts: Iterable[str], known: KnownBlocks) -> dict[str, dict[int, str]]:
        """Who has which slot of each combination: a step of slots at a time, as long as somebody has one of it."""
        tokens = self._tokens()
        firsts = {text: tokens.token(text, 0) for text in texts}
        seen = {text: known.get(first) for text, first in firsts.items()}
        found: dict[str, dict[int, str]] = {text: block or {} for text, block in seen.items()}
        missing = [text for text, block in seen.items() if block is None]
        going = missing
        for first, end in _STEPS:
            if not going:
                break
            asked = {tokens.token(text, slot): (text, slot) for text in going for slot in range(first, end)}
            holders = await self._holders(list(asked))
            for token, holder in holders.items():
                text, slot = asked[token]
                found[text][slot] = holder
            going = list(dict.fromkeys(asked[token][0] for token in holders))
        for text in missing:
            known.put(firsts[text], found[text])
        return found

    async def _holders(self, tokens: Sequence[bytes]) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        for start in range(0, len(tokens), _SLOTS_AT_ONCE):
            chunk = list(tokens[start : start + _SLOTS_AT_ONCE])
            for row in await self._rows.find({"_id": {"$in": chunk}}, {"customer_id": 1}).to_list(None):
                found[bytes(row["_id"])] = row["customer_id"]
        return found

    async def _tokens_of(self, customer_ids: Sequence[str]) -> dict[bytes, tuple[str, int]]:
        """The rows of these customers: of each token whose it is and its epoch."""
        found: dict[bytes, tuple[str, int]] = {}
        for start in range(0, len(customer_ids), _CUSTOMERS_AT_ONCE):
            mine = {"customer_id": {"$in": list(customer_ids[start : start + _CUSTOMERS_AT_ONCE])}}
            rows = await self._rows.find(mine, {"customer_id": 1, "epoch": 1}).to_list(None)
            found |= {bytes(row["_id"]): (row["customer_id"], int(row["epoch"])) for row in rows}
        return found

    async def _insert(self, rows: Sequence[dict[str, Any]]) -> set[bytes]:
        """Insert rows; give the tokens of those that another writer was faster with."""
        refused: set[bytes] = set()
        for start in range(0, len(rows), _AT_ONCE):
            chunk = list(rows[start : start + _AT_ONCE])
            try:
                await self._rows.insert_many(chunk, ordered=False)
            except BulkWriteError as error:
                faults = error.details["writeErrors"]
                if any(fault["code"] not in _LOST_RACES for fault in faults):
                    raise
                refused |= {chunk[fault["index"]]["_id"] for fault in faults}
        return refused

    async def _remove(self, tokens: Sequence[bytes]) -> None:
        for start in range(0, len(tokens), _AT_ONCE):
            await self._rows.delete_many({"_id": {"$in": list(tokens[start : start + _AT_ONCE])}})


async def forget_candidates(database: AsyncDatabase[dict[str, Any]], customer_ids: Sequence[str]) -> None:
    """Remove every row of these customers, in every epoch; needs no keys."""
    for start in range(0, len(customer_ids), _AT_ONCE):
        mine = {"$in": list(customer_ids[start : start + _AT_ONCE])}
        await database["match_tokens"].delete_many({"customer_id": mine})
