"""Random tamperings with a stored log, by somebody who can write to its database; each with what must be named."""

import copy
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from audit import encode_record
from audit.batch import SEARCH_FIELDS, batch_id, build_batch
from audit.checkpoint import KeyChange, Roster, RosterEntry
from audit.end import End, is_end
from audit.note import parse_note
from audit.record import decode_record
from audit.tree import Edge
from tests.audit.bundles import record, signed, signing_key


@dataclass(frozen=True)
class StoredTampering:
    name: str
    changes: dict[tuple[str, Any], dict | None]
    """Documents by collection and `_id`; None for one that is taken away."""
    where: tuple[str, ...]
    """One of these must be named: a batch, a shard, a roster, a key change."""


class StoredTamperer:
    """Tampers with what was signed of one log, as a seeded `random.Random` picks."""

    def __init__(self, pick, stored):
        self.pick = pick
        self.stored = stored
        self.thief = signing_key(99)
        self.newest = stored.rosters[-1]
        self.numbers = {entry.shard: entry.number for entry in self.newest.entries}
        self.sizes = {entry.shard: entry.size for entry in self.newest.entries}
        self.ends = {each["shard"]: each for each in self._parts("batches") if is_end(each)}
        self.all = {
            shard: sorted(
                (each for each in self._parts("batches") if each["shard"] == shard and not is_end(each)),
                key=lambda each: each["first"],
            )
            for shard in self.numbers
        }
        self.batches = {
            shard: [each for each in found if each["first"] < self.sizes[shard]] for shard, found in self.all.items()
        }
        self.signed = [each for found in self.batches.values() for each in found]
        self.kinds = (
            self.flip, self.flip, self.flip, self.number, self.move, self.rename, self.search, self.search,
            self.remove_field, self.drop_record, self.truncate, self.swap_records, self.swap_leaves, self.swap_batches,
            self.delete, self.delete_tail, self.delete_shard, self.behind_an_end, self.plant, self.rewrite_one,
            self.rewrite_to_the_end, self.sign_by_thief, self.sign_by_stolen_key, self.forge_end, self.forge_wrong_end,
            self.delete_end, self.change_end, self.old_backup, self.roster_flip, self.roster_field, self.delete_rosters,
            self.swap_rosters, self.add_roster, self.key_change, self.add_key_change, self.shard_number, self.shard_gone,
        )  # fmt: skip

    def next(self):
        """A tampering that changes something."""
        while True:
            made = self.pick.choice(self.kinds)()
            if made is not None:
                return made

    def _parts(self, part):
        return [each for (of, _), each in self.stored.documents.items() if of == part]

    # ---- batches

    def _batch(self, least=1):
        found = [each for each in self.signed if len(each["records"]) >= least]
        return copy.deepcopy(self.pick.choice(found))

    def _near(self, batch):
        """The batch, and those beside it: some changes are noticed where the next one does not fit."""
        found = self.all[batch["shard"]]
        at = next(at for at, each in enumerate(found) if each["_id"] == batch["_id"])
        return [each["_id"] for each in found[max(0, at - 1) : at + 2]]

    def _made(self, what, *changed, where=(), gone=()):
        changes = {("batches", each["_id"]): each for each in changed} | {("batches", name): None for name in gone}
        same = all(self.stored.documents.get(name) == document for name, document in changes.items())
        return (
            None if same else StoredTampering(what, changes, tuple(where) or tuple(each["_id"] for each in changed))
        )

    def _flipped(self, data):
        changed = bytearray(data)
        changed[self.pick.randrange(len(changed))] ^= 1 << self.pick.randrange(8)
        return bytes(changed)

    def flip(self):
        batch = self._batch()
        field = self.pick.choice(("records", "records", "leaves", "root", "edge"))
        if field in ("records", "edge"):
            at = self.pick.randrange(len(batch[field]))
            batch[field][at] = self._flipped(batch[field][at])
        else:
            batch[field] = self._flipped(batch[field])
        return self._made(f"a bit of {field}", batch)

    def number(self):
        batch = self._batch()
        field = self.pick.choice(("size", "first", "v"))
        batch[field] += self.pick.choice((-1, 1, 7, 2**40))
        where = self._near(batch) if field == "first" else ()
        return self._made("a batch's numbers", batch, where=where)

    def move(self):
        batch = self._batch()
        batch["shard"] = self.pick.choice([*self.numbers, "f" * 12, 5, None])
        return self._made("another shard in a batch", batch)

    def rename(self):
        batch = self._batch()
        name = batch["_id"]
        batch["_id"] = self.pick.choice((batch_id(batch["shard"], 10**11 + self.pick.randrange(999)), "x", 7))
        return self._made("another name for a batch", batch, where=[name], gone=[name])

    def search(self):
        batch = self._batch()
        field = self.pick.choice((*SEARCH_FIELDS, "from", "to", "order"))
        if isinstance(batch[field], str):
            batch[field] = batch[field].replace("2026", self.pick.choice(("2025", "2027")), 1)
        elif batch[field] and self.pick.random() < 0.6:
            batch[field].remove(self.pick.choice(batch[field]))
        else:
            batch[field] = sorted({*batch[field], self.pick.choice(("agent-9", "T-99", "profile.notes", ""))})
        return self._made("what a batch is searched by", batch)

    def remove_field(self):
        batch = self._batch()
        del batch[self.pick.choice([each for each in batch if each not in ("_id", "first", "shard")])]
        return self._made("a field taken away", batch)

    def drop_record(self):
        batch = self._batch(2)
        at = self.pick.randrange(len(batch["records"]))
        del batch["records"][at]
        if self.pick.random() < 0.5:
            batch["leaves"] = batch["leaves"][: 32 * at] + batch["leaves"][32 * at + 32 :]
        return self._made("a record dropped", batch)

    def truncate(self):
        """Some last records dropped, and everything else in the batch made to fit."""
        batch = self._batch(2)
        kept = batch["records"][: self.pick.randrange(1, len(batch["records"]))]
        made = self._build(batch, kept)
        return self._made("a batch cut off", made, where=[batch_id(batch["shard"], made["size"]), *self._near(batch)])

    def swap_records(self):
        batch = self._batch(2)
        one, other = self.pick.sample(range(len(batch["records"])), 2)
        records = batch["records"]
        records[one], records[other] = records[other], records[one]
        return self._made("records swapped", batch)

    def swap_leaves(self):
        """As swapped records, with their leaf hashes."""
        batch = self._batch(2)
        one, other = self.pick.sample(range(len(batch["records"])), 2)
        records, leaves = (
            batch["records"],
            [batch["leaves"][at : at + 32] for at in range(0, len(batch["leaves"]), 32)],
        )
        records[one], records[other] = records[other], records[one]
        leaves[one], leaves[other] = leaves[other], leaves[one]
        return self._made("records swapped with their hashes", {**batch, "leaves": b"".join(leaves)})

    def swap_batches(self):
        one, other = self._batch(), self._batch()
        names = {"_id", "shard", "first"} if self.pick.random() < 0.5 else {"_id"}
        changed = [
            {name: (kept if name in names else given)[name] for name in kept}
            for kept, given in ((one, other), (other, one))
        ]
        return self._made("batches swapped", *changed, where=[*self._near(one), *self._near(other)])

    def delete(self):
        batch = self._batch()
        return self._made("a batch deleted", where=[batch["_id"]], gone=[batch["_id"]])

    def delete_tail(self):
        """A shard's last batches, its end with them or put where they were."""
        batch = self._batch()
        gone = [each["_id"] for each in self.all[batch["shard"]] if each["first"] >= batch["first"]]
        end = self.ends.get(batch["shard"])
        return self._made(
            "a shard's tail deleted", where=[batch["_id"]], gone=[*gone, *([end["_id"]] if end else [])]
        )

    def delete_shard(self):
        """All that there is of a shard."""
        shard = self.pick.choice([each for each in self.numbers if self.batches[each]])
        changes = {
            name: None
            for name, each in self.stored.documents.items()
            if each.get("shard") == shard or name == ("shards", shard)
        }
        if self.pick.random() < 0.3:
            del changes["shards", shard]
        return StoredTampering("a shard deleted", changes, (f"shard {self.numbers[shard]}", batch_id(shard, 0)))

    def behind_an_end(self):
        shard = self.pick.choice(list(self.ends))
        end = self.ends[shard]
        first = end["size"] + self.pick.randrange(1, 4)
        made = self._build(
            {"shard": shard, "first": first}, [self._forged()], edge=Edge(first, (bytes(32),) * first.bit_count())
        )
        return self._made("a batch behind an end", made, where=[end["_id"], made["_id"]])

    def plant(self):
        """A batch that searches would find, of no shard of the log."""
        made = self._build({"shard": "f" * 12, "first": 0}, [self._forged()])
        made["_id"] = self.pick.choice((made["_id"], "x", 7))
        made["shard"] = self.pick.choice((made["shard"], made["shard"], None, 5))
        return self._made("a batch of no shard", made, where=[str(made["_id"])])

    # ---- rewritten history, whole in itself

    def _forged(self, instead=None):
        """Another record, at the time of the one that it takes the place of."""
        forged = record(9000 + self.pick.randrange(999))
        return encode_record(forged if instead is None else replace(forged, time=decode_record(instead).time))

    def _edge(self, batch):
        """The edge before a batch."""
        before = [each for each in self.all.get(batch["shard"], ()) if each["size"] == batch["first"]]
        return Edge(batch["first"], tuple(before[0]["edge"])) if before else Edge()

    def _build(self, batch, records, edge=None):
        entries = [(decode_record(data), data) for data in records]
        return build_batch(batch["shard"], edge or self._edge(batch), entries).document()

    def rewrite_one(self):
        batch = self._batch()
        at = self.pick.randrange(len(batch["records"]))
        batch["records"][at] = self._forged(batch["records"][at])
        made = self._build(batch, batch["records"])
        return self._made("a batch rewritten", made, where=self._near(batch))

    def _rewritten(self):
        """A record replaced, and every hash that follows from it: what is changed, and where it must be noticed."""
        batch = self._batch()
        shard, at = batch["shard"], self.pick.randrange(len(batch["records"]))
        batch["records"][at] = self._forged(batch["records"][at])
        edge, made = self._edge(batch), []
        for each in self.all[shard]:
            if each["first"] >= batch["first"]:
                made.append(
                    self._build(each, batch["records"] if each["_id"] == batch["_id"] else each["records"], edge)
                )
                edge = Edge(made[-1]["size"], tuple(made[-1]["edge"]))
        if shard in self.ends:
            made.append(End(shard, edge, self.ends[shard]["end"]).document())
        sizes = sorted({entry.size for roster in self.stored.rosters if (entry := roster.entry(shard))})
        head = next(size for size in sizes if size > batch["first"] + at)
        sequence = next(
            roster.sequence for roster in self.stored.rosters if (e := roster.entry(shard)) and e.size == head
        )
        holding = next(each["_id"] for each in self.all[shard] if each["first"] < head <= each["size"])
        return made, holding, sequence

    def rewrite_to_the_end(self):
        made, holding, _ = self._rewritten()
        return self._made("rewritten to the end", *made, where=[holding])

    def _resigned(self, made, sequence, keys):
        """The rosters from there on, saying what the rewritten batches say."""
        trees: dict[str, list[bytes]] = {}
        documents = {each["_id"]: each for found in self.all.values() for each in found}
        documents |= {each["_id"]: each for each in made if not is_end(each)}
        for name in sorted(documents):
            trees.setdefault(documents[name]["shard"], []).extend(
                documents[name]["leaves"][at : at + 32] for at in range(0, len(documents[name]["leaves"]), 32)
            )
        changed, previous = [], None
        for old in self.stored.rosters:
            if old.sequence >= sequence:
                entries = tuple(
                    RosterEntry(
                        entry.number,
                        entry.shard,
                        entry.size,
                        Edge().extend(trees.get(entry.shard, [])[: entry.size]).root(),
                        entry.closed,
                    )
                    for entry in old.entries
                )
                roster = Roster(old.log, old.sequence, old.time, previous or old.previous, entries)
                document = dict(self.stored.documents["rosters", roster.sequence])
                key = keys[-1] if roster.sequence > self._rotated() else keys[0]
                document["note"] = signed(roster.text(), key)
                if "key_change" in document:
                    was = KeyChange.parse(parse_note(document["change"]).text)
                    change = KeyChange(was.log, was.time, was.old, was.new, roster.digest())
                    document["change"] = signed(change.text(), *keys)
                changed.append(document)
                previous = roster.digest()
        return {("rosters", each["_id"]): each for each in changed}

    def _rotated(self):
        return next(each["_id"] for each in self._parts("rosters") if "key_change" in each)

    def sign_by_thief(self):
        """Rewritten, with rosters that say so, signed by a key of the same name."""
        made, _, sequence = self._rewritten()
        changes = {("batches", each["_id"]): each for each in made}
        changes |= self._resigned(made, sequence, [self.thief, self.thief])
        where = (f"roster {sequence}", *(("key change 1",) if sequence <= self._rotated() else ()))
        return StoredTampering("rewritten and signed by a thief", changes, where)

    def sign_by_stolen_key(self):
        """The same with the log's own keys: whole in itself, and only the witness can tell."""
        made, _, sequence = self._rewritten()
        changes = {("batches", each["_id"]): each for each in made}
        changes |= self._resigned(made, sequence, self.stored.stolen)
        where = (f"roster {sequence}", *(("key change 1",) if sequence <= self._rotated() else ()))
        return StoredTampering("rewritten and signed by the log's key", changes, where)

    def old_backup(self):
        """The database as it was at an earlier roster."""
        roster = self.pick.choice(self.stored.rosters[:-1])
        sizes = {entry.shard: entry for entry in roster.entries}
        changes = {}
        for (part, name), each in self.stored.documents.items():
            if part == "rosters":
                keep = name <= roster.sequence
            elif part == "shards":
                keep = name in sizes
            else:
                entry = sizes.get(each["shard"])
                keep = entry is not None and (entry.closed if is_end(each) else each["first"] < entry.size)
            if not keep:
                changes[part, name] = None
        return StoredTampering("an old backup", changes, (f"{roster.sequence} rosters",))

    # ---- ends

    def forge_end(self):
        """A shard cut off with an end put where its tail was."""
        batch = self._batch()
        shard = batch["shard"]
        gone = [each["_id"] for each in self.all[shard] if each["first"] >= batch["first"]]
        gone += [self.ends[shard]["_id"]] if shard in self.ends else []
        end = End(shard, self._edge(batch), "2026-05-14T10:00:00.000000Z").document()
        changes = {("batches", name): None for name in gone} | {("batches", end["_id"]): end}
        return StoredTampering("an end in place of the tail", changes, (batch["_id"],))

    def forge_wrong_end(self):
        shard = self.pick.choice([each for each in self.numbers if each not in self.ends])
        size = self.all[shard][-1]["size"] if self.all[shard] else 0
        edge = Edge(size, tuple(bytes([self.pick.randrange(256)]) * 32 for _ in range(size.bit_count())))
        end = End(shard, edge, "2026-05-14T10:00:00.000000Z").document()
        if not size:
            end["root"] = bytes(32)
        return self._made("an end of another tree", end)

    def delete_end(self):
        shard = self.pick.choice(list(self.ends))
        end = self.ends[shard]["_id"]
        return self._made("an end deleted", where=[f"shard {self.numbers[shard]}", end], gone=[end])

    def change_end(self):
        end = copy.deepcopy(self.pick.choice(list(self.ends.values())))
        field = self.pick.choice(("root", "edge", "size", "first", "v", "end"))
        if field == "root":
            end[field] = self._flipped(end[field])
        elif field == "edge":
            end[field][0] = self._flipped(end[field][0])
        else:
            end[field] = "yesterday" if field == "end" else end[field] + 1
        return self._made("an end changed", end, where=[end["_id"], f"shard {self.numbers[end['shard']]}"])

    # ---- rosters

    def _roster(self):
        return copy.deepcopy(self.pick.choice(self._parts("rosters")))

    def _at(self, roster):
        """What names a roster; a key change follows one, and is then named as well as it."""
        return (f"roster {roster['_id']}", *(("key change 1",) if "key_change" in roster else ()))

    def roster_flip(self):
        roster = self._roster()
        roster["note"] = self._flipped(roster["note"])
        return StoredTampering("a bit of a roster", {("rosters", roster["_id"]): roster}, self._at(roster))

    def roster_field(self):
        roster = self._roster()
        field = self.pick.choice(("sequence", "v", "note"))
        value = {"note": self.pick.choice((b"", "text", None, 5))}.get(field, self.pick.choice((0, 99, "x", None)))
        roster[field] = value
        return StoredTampering("a field of a roster", {("rosters", roster["_id"]): roster}, self._at(roster))

    def delete_rosters(self):
        first = self.pick.randrange(1, self.newest.sequence + 1)
        last = self.pick.choice((first, self.newest.sequence))
        changes = {("rosters", number): None for number in range(first, last + 1)}
        where = [f"roster {first}", f"{first - 1} rosters"]
        if first <= self._rotated() <= last:
            where += ["key change 1", "change of the signing key"]
        return StoredTampering("rosters deleted", changes, tuple(where))

    def swap_rosters(self):
        one, other = self._roster(), self._roster()
        if one["_id"] == other["_id"]:
            return None
        one["note"], other["note"] = other["note"], one["note"]
        changes = {("rosters", each["_id"]): each for each in (one, other)}
        return StoredTampering("rosters swapped", changes, (*self._at(one), *self._at(other)))

    def add_roster(self):
        """One more, of nobody's or of a thief's signing, next or far away."""
        number = self.newest.sequence + self.pick.choice((1, 1, 5, 1000))
        text = Roster(self.newest.log, number, self.newest.time, self.newest.digest(), self.newest.entries).text()
        note = self.pick.choice((signed(text, self.thief), b"x", parse_note(signed(text, self.thief)).text.encode()))
        document = {"_id": number, "v": 1, "sequence": number, "note": note}
        return StoredTampering(
            "a roster added",
            {("rosters", number): document},
            (f"roster {self.newest.sequence + 1}", f"roster {number}"),
        )

    def key_change(self):
        roster = copy.deepcopy(self.stored.documents["rosters", self._rotated()])
        what = self.pick.choice(("flip", "flip", "number", "gone", "thief"))
        if what == "flip":
            roster["change"] = self._flipped(roster["change"])
        elif what == "number":
            roster["key_change"] = self.pick.choice((0, 2, "x"))
        elif what == "gone":
            del roster["change"], roster["key_change"]
        else:
            old = KeyChange.parse(parse_note(roster["change"]).text)
            text = KeyChange(old.log, old.time, old.old, self.thief.verifier, old.roster).text()
            roster["change"] = signed(text, self.thief, self.thief)
        # Without the change, the roster behind it is signed by a key that nobody introduced.
        where = (*self._at(roster), f"roster {roster['_id'] + 1}")
        return StoredTampering(f"a key change: {what}", {("rosters", roster["_id"]): roster}, where)

    def add_key_change(self):
        """A change to a key of the thief's, behind any roster."""
        roster = self._roster()
        if "key_change" in roster:
            return None
        of = self.stored.rosters[roster["_id"] - 1]
        text = KeyChange(of.log, of.time, self.stored.stolen[-1].verifier, self.thief.verifier, of.digest()).text()
        roster |= {"key_change": 2, "change": signed(text, self.thief, self.thief)}
        where = ("key change 1", "key change 2", f"roster {roster['_id']}")
        return StoredTampering("a key change added", {("rosters", roster["_id"]): roster}, where)

    # ---- the list of shards

    def shard_number(self):
        one, other = (copy.deepcopy(each) for each in self.pick.sample(self._parts("shards"), 2))
        if self.pick.random() < 0.5:
            one["number"], other["number"] = other["number"], one["number"]
        else:
            one["number"] = self.pick.choice((0, -1, 99, "x", None))
        return StoredTampering(
            "shards numbered otherwise",
            {("shards", each["_id"]): each for each in (one, other)},
            tuple(f"shard {self.numbers[each['_id']]}" for each in (one, other)),
        )

    def shard_gone(self):
        shard = self.pick.choice(list(self.numbers))
        changes = {("shards", shard): None}
        if self.pick.random() < 0.5:
            other = self.pick.choice(("f" * 12, "x", 5))
            changes["shards", other] = {**self.stored.documents["shards", shard], "_id": other}
        return StoredTampering("a shard taken from the list", changes, (f"shard {self.numbers[shard]}",))
