"""Write `vectors/signed.json` anew: `python -m tests.audit.make_signed_vectors`. Only for a new version of a format."""

import json
from pathlib import Path

from audit import Checkpoint, KeyChange, Note, Roster, RosterEntry, SigningKey
from audit.checkpoint import origin
from audit.tree import EMPTY_ROOT, leaf_hash, subtree_hash

LEAVES = [leaf_hash(f"record {n}".encode()) for n in range(7)]
SHARDS = ("0123456789ab", "ba9876543210")


def main():
    """Write the file."""
    keys = {
        name: SigningKey.from_seed("confide.audit/main", bytes((n,)) * 32) for n, name in enumerate(("old", "new"))
    }

    def line(number, size, *, closed=False):
        return RosterEntry(number, SHARDS[number - 1], size, subtree_hash(LEAVES, 0, size), closed)

    first = Roster("main", 1, "2026-05-14T09:30:00.000000Z", None, (line(1, 3), line(2, 0)))
    second = Roster("main", 2, "2026-05-04T09:30:00.000000Z", first.digest(), (line(1, 7, closed=True), line(2, 1)))
    third = Roster("main", 3, "2026-05-14T09:45:00.000000Z", second.digest(), second.entries)
    change = KeyChange(
        "main", "2026-05-14T09:40:00.000000Z", *(key.verifier for key in keys.values()), second.digest()
    )
    notes = [
        ("checkpoint", Checkpoint(origin("main", SHARDS[0]), 7, second.entries[0].root), ("old",)),
        ("checkpoint", Checkpoint(origin("main", SHARDS[1]), 0, EMPTY_ROOT), ("old",)),
        ("roster", first, ("old",)),
        ("roster", second, ("old",)),
        ("key_change", change, ("old", "new")),
        ("roster", third, ("new",)),
    ]
    vectors = {
        "keys": {
            name: {"name": key.name, "seed": key.seed.hex(), "vkey": str(key.verifier)} for name, key in keys.items()
        },
        "notes": [
            {
                "form": form,
                "text": (text := value.text()),
                "signed_by": list(by),
                "note": Note(text).signed(*(keys[name].sign(text) for name in by)).to_bytes().decode(),
            }
            for form, value, by in notes
        ],
    }
    path = Path(__file__).parent / "vectors" / "signed.json"
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
