"""A second verifier of audit bundles, written from docs/formats/audit-bundle.md; it imports nothing of Confide.

Run: python scripts/verify_audit_bundle.py BUNDLE VERIFIER_KEY [WITNESS_DIRECTORY]
Stops at the first fault. Exit codes: 0 nothing is wrong, 1 something is, 3 wrong usage.
"""

# fmt: off
# ruff: noqa: D103, ANN001, ANN201, PLR2004, SIM905 - kept short enough to be read in one sitting
import base64
import hashlib
import json
import re
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILTER = "actor case client decision field kind outcome policy_version purpose role since subject until".split()
DERIVED = {"jsonl": [], "csv": ["records.csv"], "ocsf": ["records.ocsf.jsonl"]}
COLUMNS = ("entry time kind outcome actor roles client purpose case operation clear masked withheld filters subjects "
           "decisions exceptions erasure policy document trace").split()
ACTIVITY = {"read": (1, "Read"), "search": (4, "Query"), "write": (5, "Write"), "erasure_done": (7, "Delete")}

def need(held, where, what="is not as it must be"):
    if not held:
        raise ValueError(f"{where} {what}")

def sha(data):
    return hashlib.sha256(data).digest()

def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

def b64(text, size):
    data = base64.b64decode(text.encode("ascii"), validate=True)
    need(len(data) == size and base64.b64encode(data).decode() == text, "a base64 text")
    return data

def when(text):
    need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text, re.ASCII), "a time")
    return datetime.fromisoformat(text)

def parse_key(text):
    name, key_id, data = text.split("+", 2)
    public = b64(data, 33)
    need(public[0] == 1 and sha(f"{name}\n".encode() + public)[:4].hex() == key_id, "a verifier key")
    return name, bytes.fromhex(key_id), public[1:]

def signed_text(data, where, keys):
    """The text of a note, if exactly the keys that `keys` gives for it signed it."""
    text, _, lines = data.decode().rpartition("\n\n")
    need(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text + lines) and lines[-1:] == "\n", where, "is not a note")
    text += "\n"
    for line, (name, key_id, public) in zip(lines[:-1].split("\n"), map(parse_key, keys(text)), strict=True):
        dash, signer, value = line.split(" ")
        need((dash, signer, b64(value, 68)[:4]) == ("—", name, key_id), where, "is not signed by whom it must be")
        Ed25519PublicKey.from_public_bytes(public).verify(b64(value, 68)[4:], text.encode())
    return text

def read_rosters(read, manifest, trusted):
    changes, heads, shards, previous, log = [], {}, [], "-", manifest["log"]
    for n in range(1, manifest["key_changes"] + 1):
        where = f"keys/{n:012d}.note"
        lines = signed_text(read(where), where, lambda text: text.split("\n")[3:5]).split("\n")
        need([*lines[:2], *lines[6:]] == ["confide.audit.key/v1", log, ""] and lines[3] != lines[4], where)
        need((not changes or changes[-1][1] == lines[3]) and b64(lines[5], 32) and when(lines[2]), where)
        changes.append(lines[3:6])
    keys = [trusted] if not changes else [changes[0][0], *(change[1] for change in changes)]
    need(trusted in keys and parse_key(trusted)[0] == f"confide.audit/{log}", "the trusted key", "is not this log's")
    for n in range(1, manifest["rosters"] + 1):
        where = f"rosters/{n:012d}.note"
        text = signed_text(read(where), where, lambda _, key=keys[0]: [key])
        lines = text[:-1].split("\n")
        need([*lines[:3], lines[4]] == ["confide.audit.roster/v1", log, str(n), previous] and when(lines[3]), where)
        now = [line.split(" ") for line in lines[5:]]
        for number, (own, shard, size, root, state) in enumerate(now, 1):
            need(re.fullmatch("[0-9a-f]{12}", shard) and str(int(size)) == size and 0 <= int(size) <= 10**12, where)
            need(own == str(number) and state in ("open", "closed") and (size != "0" or b64(root, 32) == sha(b"")), where)
            old = shards[number - 1] if number <= len(shards) else now[number - 1]
            need(old[1] == shard and int(old[2]) <= int(size), where, f"lost shard {number} or records of it")
            need((old[2] != size or old[3] == root) and (old[4] == "open" or old == now[number - 1]), where, "forks")
            heads.setdefault(shard, {})[int(size)] = b64(root, 32)
        need(len(shards) <= len(now) == len({line[1] for line in now}), where, "lost a shard, or has one twice")
        shards, previous = now, base64.b64encode(sha(text.encode())).decode()
        while changes and changes[0][2] == previous:
            changes, keys = changes[1:], keys[1:]
    need(not changes, "a key change", "names no roster of the bundle")
    return heads, [(number, line[1], int(line[2])) for number, line in enumerate(shards, 1)]

def check_roots(leaves, heads, where):
    stack, done = [], 0
    for size in sorted(heads):
        for at in range(done, size):
            node, height = leaves[32 * at : 32 * at + 32], at
            while height & 1:
                node, height = sha(b"\1" + stack.pop() + node), height >> 1
            stack.append(node)
        done, root = size, stack[-1] if stack else sha(b"")
        for node in reversed(stack[:-1]):
            root = sha(b"\1" + node + root)
        need(root == heads[size], where, f"does not lead to the root of size {size}")

def asked_for(f, r):
    pairs = "actor actor,case case,client client,kind kind,outcome outcome,policy_version policy,purpose purpose"
    plain = all(f[mine] in (None, r[its]) for mine, its in map(str.split, pairs.split(",")))
    times = (not f["since"] or r["time"] >= f["since"]) and (not f["until"] or r["time"] < f["until"])
    if not (plain and times and all(f[name] is None or f[name] in r[name + "s"] for name in ("role", "subject"))):
        return False
    if f["decision"] is None and (f["field"] is None or f["field"] in r["filters"]):
        return True
    apart = [e for e in r["exceptions"] if f["subject"] in (None, *(r["subjects"][s] for s in e["subjects"]))]
    over = {path for e in apart for path in e["fields"]} if f["subject"] else ()
    both = [(d, ()) for d in apart] + [(d, over) for d in r["decisions"]]
    return any(f["decision"] in (None, d["decision"]) and f["field"] in (None, p) and p not in skip
               for d, skip in both for p in d["fields"])

def csv_line(values):
    texts = (v if isinstance(v, str) else "" if not v else " ".join(v) if isinstance(v, list) and
             isinstance(v[0], str) else canonical(v).decode() for v in values)
    visible = {**{c: 0x2400 + c for c in range(32)}, 0x7F: 0x2421, 0x85: 0x2424, 0x2028: 0x2424, 0x2029: 0x2424}
    signs = "=+\\-@\uff1d\uff0b\uff0d\uff20"
    safe = (re.sub(f"(?<![A-Za-z0-9_{signs}])[{signs}]", r"'\g<0>", text.translate(visible)) for text in texts)
    cut = (text if len(text) <= 16000 else text[:16000] + "\u2026" for text in safe)
    return (",".join('"' + text.replace('"', '""') + '"' for text in cut) + "\r\n").encode()

def derive(form, log, entry, r):
    if form == "csv":
        paths = {v: [p for d in r["decisions"] if d["decision"] == v for p in d["fields"]] for v in COLUMNS[10:13]}
        return csv_line({"entry": entry, **r, **paths}[name] for name in COLUMNS)
    number, name = ACTIVITY.get(r["kind"], (99, r["kind"].replace("_", " ").title()))
    meta = {"log_name": log, "original_time": r["time"], "product": {"name": "Confide", "vendor_name": "Confide"},
            "uid": entry, "version": "1.3.0", **({} if r["trace"] is None else {"correlation_uid": r["trace"]})}
    return canonical({
        "activity_id": number, "activity_name": name, "class_uid": 6005, "type_uid": 600500 + number,
        "category_name": "Application Activity", "category_uid": 6, "class_name": "Datastore Activity",
        "actor": {"user": {"uid": r["actor"], "groups": [{"name": role} for role in r["roles"]]}}, "metadata": meta,
        "database": {"name": "customers", "type": "NoSQL", "type_id": 6}, "severity_id": 1, "status_detail": r["outcome"],
        "src_endpoint": {"name": r["client"] or "unknown"}, "status_id": 1 if r["outcome"] == "allowed" else 2,
        "time": (when(r["time"]) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1),
        "unmapped": {key: r[key] for key in r.keys() - {"actor", "roles", "time", "trace"}}}) + b"\n"

def check_records(bundle, manifest, leaves, shards):
    form, query, found, last = manifest["form"], manifest["filter"], dict.fromkeys(leaves, 0), (0, -1)
    full, numbers = query == dict.fromkeys(FILTER), {shard: number for number, shard, _ in shards}
    other = bundle.open(DERIVED[form][0]) if DERIVED[form] else None
    heading = b"\xef\xbb\xbf" + csv_line(COLUMNS)
    need(form != "csv" or other.read(len(heading)) == heading, "records.csv")
    with bundle.open("records.jsonl") as lines:
        while line := lines.readline(2**19):
            start = re.match(rb'{"entry":"([0-9a-f]{12})\.(0|[1-9][0-9]{0,11})","record":', line)
            need(start and line.endswith(b"}\n"), f"the line after entry {last}")
            shard, index, data = start[1].decode(), int(start[2]), line[start.end() : -2]
            entry, place = f"{shard}.{index}", (numbers.get(shard, 0), index)
            need(place > last and sha(b"\0" + data) == leaves[shard][32 * index : 32 * index + 32], entry)
            found[shard], last = found[shard] + 1, place
            if not full or other:
                record = json.loads(data)
                need(canonical(record) == data and (full or asked_for(query, record)), entry, "was not asked for")
                line = derive(form, manifest["log"], entry, record) if other else b""
                need(not other or other.read(len(line)) == line, entry, "has another line in the derived form")
    need(not other or not other.read(1), "the derived form", "has more lines")
    need(not full or all(found[shard] == size for _, shard, size in shards), "the records", "are not all there")
    return found

def verify(path, trusted, witness=None):
    bundle = zipfile.ZipFile(path)
    read, names, manifest = bundle.read, bundle.namelist(), json.loads(bundle.read("manifest.json"))
    notes = [f"{kind}/{n:012d}.note" for kind, count in (("keys", "key_changes"), ("rosters", "rosters"))
             for n in range(1, min(manifest[count], len(names)) + 1)]
    heads, shards = read_rosters(read, manifest, trusted)
    hashes = {shard: f"hashes/{number}-{shard}.bin" for number, shard, _ in shards}
    members = ["manifest.json", *notes, *hashes.values(), "records.jsonl", *DERIVED[manifest["form"]]]
    need(names == members, "the list of members")
    need(all(bundle.getinfo(hashes[shard]).file_size == 32 * size for _, shard, size in shards), "a list of hashes")
    leaves = {shard: read(name) for shard, name in hashes.items()}
    for shard, name in hashes.items():
        check_roots(leaves[shard], heads[shard], name)
    found = check_records(bundle, manifest, leaves, shards)
    right = {"check": "", "filter": {n: manifest["filter"][n] for n in FILTER}, "version": "confide.audit.bundle/v1",
             **{name: manifest[name] for name in ("created", "form", "key_changes", "log", "rosters")},
             "shards": [{"number": n, "records": found[s], "shard": s, "size": size} for n, s, size in shards]}
    right["check"] = hashlib.sha256(canonical(right)).hexdigest()
    need(canonical(right) == read("manifest.json") and when(manifest["created"]), "manifest.json")
    copies = [*Path(witness).glob("*-" + "[0-9]" * 12 + ".note")] if witness else []
    for copy in copies:
        name = copy.name.replace("roster-", "rosters/").replace("key-", "keys/")
        need(name in bundle.NameToInfo and read(name) == copy.read_bytes(), name, "is not what the witness has")
    need(not witness or any(copy.name.startswith("roster") for copy in copies), "the witness", "has no roster")

if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit((print(__doc__, file=sys.stderr), 3)[1])
    try:
        verify(Path(sys.argv[1]), *sys.argv[2:])
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is not verified
        sys.exit((print(f"NOT VERIFIED: {type(error).__name__}: {error}"), 1)[1])
    print("verified")
