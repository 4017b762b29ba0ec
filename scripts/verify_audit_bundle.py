"""A second verifier of audit bundles, written from docs/formats/audit-bundle.md; it imports nothing of Confide.

Run: python scripts/verify_audit_bundle.py BUNDLE VERIFIER_KEY [WITNESS_DIRECTORY] [--filtered]
Stops at the first fault. Exit codes: 0 nothing is wrong, 1 something is, 3 wrong usage, 4 filtered without --filtered.
"""

# fmt: off
# ruff: noqa: D103, ANN001, ANN201, E401, E701, E704, I001, PLR2004, SIM905 - kept short enough to be read in one sitting
import base64, hashlib, io, json, re, sys, zipfile
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VERDICT, OUTCOME, SHARD = "clear|masked|withheld", "allowed|refused|failed|not_found", "[0-9a-f]{12}"
KIND = "read|write|search|export|erasure_intent|erasure_done|policy_change|admin"
TIME = "[0-9]{4}(-[0-9]{2}){2}T([01][0-9]|2[0-3])(:[0-9]{2}){2}[.][0-9]{6}Z"
# Shapes of JSON: a type, a pattern of the whole text, {each key: its shape}, [of every item], (a shape, or null)
FILTER = {**dict.fromkeys("actor case client field policy_version purpose role subject".split(), (str,)),
          "decision": (VERDICT,), "kind": (KIND,), "outcome": (OUTCOME,), "since": (TIME,), "until": (TIME,)}
MANIFEST = {"check": str, "created": TIME, "filter": FILTER, "form": "jsonl|csv|ocsf", "key_changes": int, "log": str,
            "rosters": int, "shards": [{"number": int, "records": int, "shard": SHARD, "size": int}],
            "version": "confide.audit.bundle/v1"}
DERIVED = {"jsonl": [], "csv": ["records.csv"], "ocsf": ["records.ocsf.jsonl"]}
COLUMNS = ("entry time kind outcome actor roles client purpose case operation clear masked withheld filters subjects "
           "decisions exceptions erasure policy document trace").split()
ACTIVITY = {"read": (1, "Read"), "search": (4, "Query"), "write": (5, "Write"), "erasure_done": (7, "Delete")}

def need(held, where, what="is not as it must be"):
    if not held: raise ValueError(f"{where} {what}")
def sha(data): return hashlib.sha256(data).digest()
def canonical(value): return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
def fits(value, shape):
    if isinstance(shape, tuple): return value is None or fits(value, *shape)
    if isinstance(shape, list): return type(value) is list and all(fits(each, *shape) for each in value)
    if isinstance(shape, type): return type(value) is shape
    if isinstance(shape, str): return type(value) is str and re.fullmatch(shape, value, re.DOTALL) and (
        shape != TIME or datetime.fromisoformat(value))
    return type(value) is dict and value.keys() == shape.keys() and all(fits(value[key], shape[key]) for key in shape)
def b64(text, size):
    data = base64.b64decode(text.encode("ascii"), validate=True)
    need(len(data) == size and base64.b64encode(data).decode() == text, "a base64 text")
    return data
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
        need((not changes or changes[-1][1] == lines[3]) and b64(lines[5], 32) and fits(lines[2], TIME), where)
        changes.append(lines[3:6])
    keys = [trusted] if not changes else [changes[0][0], *(change[1] for change in changes)]
    need(trusted in keys and {parse_key(key)[0] for key in keys} == {f"confide.audit/{log}"}, "the trusted key")
    for n in range(1, manifest["rosters"] + 1):
        where = f"rosters/{n:012d}.note"
        text = signed_text(read(where), where, lambda _, key=keys[0]: [key])
        lines = text[:-1].split("\n")
        need([*lines[:3], lines[4]] == ["confide.audit.roster/v1", log, str(n), previous], where)
        need(fits(lines[3], TIME), where, "states no time")
        now = [line.split(" ") for line in lines[5:]]
        for number, (line, old) in enumerate(zip(now, [*shards, *now[len(shards):]], strict=True), 1):  # none is lost
            own, shard, size, root, state = line
            need(fits(f"{own} {shard} {size} {state}", f"{number} {SHARD} (0|[1-9][0-9]{{0,11}}) (open|closed)"), where)
            need(old[1] == shard and int(old[2]) <= int(size), where, f"lost shard {number} or records of it")
            need((old[2] != size or old[3] == root) and (old[4] == "open" or old == line), where, "forks")
            heads.setdefault(shard, {})[int(size)] = b64(root, 32)
        need(len(now) == len({line[1] for line in now}), where, "has a shard twice")
        shards, previous, newest = now, base64.b64encode(sha(text.encode())).decode(), lines[3]
        while changes and changes[0][2] == previous:
            changes, keys = changes[1:], keys[1:]
    need(not changes, "a key change", "names no roster of the bundle")
    return heads, [(number, line[1], int(line[2])) for number, line in enumerate(shards, 1)], newest
def check_roots(leaves, heads, where):
    stack = []
    for size in range(len(leaves) // 32 + 1):
        if size in heads:
            root = reduce(lambda right, left: sha(b"\1" + left + right), stack[::-1]) if stack else sha(b"")
            need(root == heads[size], where, f"does not lead to the root of size {size}")
        node, height = leaves[32 * size : 32 * size + 32], size
        while height & 1: node, height = sha(b"\1" + stack.pop() + node), height >> 1
        stack.append(node)
    return leaves
def asked_for(f, r):
    has = {**{name: [r[name]] for name in "actor case client kind outcome purpose".split()},
           "policy_version": [r["policy"]], "role": r["roles"], "subject": r["subjects"]}
    alike = all(f[n] in (None, *has[n]) for n in has) and (f["since"] or "") <= r["time"] < (f["until"] or "x")
    apart = [e for e in r["exceptions"] if f["subject"] in (None, *(r["subjects"][s] for s in e["subjects"]))]
    over = {path for e in apart for path in e["fields"]} if f["subject"] else ()
    both = [(d, ()) for d in apart] + [(d, over) for d in r["decisions"]]
    return alike and ((f["decision"] is None and f["field"] in (None, *r["filters"])) or any(
        f["decision"] in (None, d["decision"]) and f["field"] in (None, p) and p not in skip
        for d, skip in both for p in d["fields"]))
def csv_line(values):
    texts = (v if isinstance(v, str) else "" if not v else " ".join(v) if isinstance(v, list) and
             isinstance(v[0], str) else canonical(v).decode() for v in values)
    visible = {**{c: 0x2400 + c for c in range(32)}, 0x7F: 0x2421, 0x85: 0x2424, 0x2028: 0x2424, 0x2029: 0x2424}
    signs = "=+\\-@\uff1d\uff0b\uff0d\uff20"
    safe = (re.sub(f"(?<![A-Za-z0-9_{signs}])[{signs}]", r"'\g<0>", text.translate(visible)) for text in texts)
    cut = (text if len(text) <= 16000 else text[:16000] + "\u2026" for text in safe)
    return (",".join('"' + text.replace('"', '""') + '"' for text in cut) + "\r\n").encode()
def derive(form, log, entry, r):
    if form != "ocsf":
        paths = {v: [p for d in r["decisions"] if d["decision"] == v for p in d["fields"]] for v in COLUMNS[10:13]}
        return csv_line({"entry": entry, **r, **paths}[name] for name in COLUMNS) if form == "csv" else b""
    number, name = ACTIVITY.get(r["kind"], (99, r["kind"].replace("_", " ").title()))
    return canonical({
        "activity_id": number, "activity_name": name, "class_uid": 6005, "type_uid": 600500 + number, "severity_id": 1,
        "category_name": "Application Activity", "category_uid": 6, "class_name": "Datastore Activity",
        "actor": {"user": {"uid": r["actor"], "groups": [{"name": role} for role in r["roles"]]}},
        "metadata": {"log_name": log, "original_time": r["time"], "uid": entry, "version": "1.3.0", "product": {
            "name": "Confide", "vendor_name": "Confide"}, **({"correlation_uid": r["trace"]} if r["trace"] else {})},
        "database": {"name": "customers", "type": "NoSQL", "type_id": 6}, "status_detail": r["outcome"],
        "src_endpoint": {"name": r["client"] or "unknown"}, "status_id": 1 if r["outcome"] == "allowed" else 2,
        "time": (datetime.fromisoformat(r["time"]) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1),
        "unmapped": {key: r[key] for key in r.keys() - {"actor", "roles", "time", "trace"}}}) + b"\n"
def check_records(bundle, manifest, leaves, shards, full):
    form, found, last = manifest["form"], dict.fromkeys(leaves, 0), (0, -1)
    numbers, heading = {shard: number for number, shard, _ in shards}, b"\xef\xbb\xbf" + csv_line(COLUMNS)
    other = bundle.open(DERIVED[form][0]) if DERIVED[form] else io.BytesIO()
    need(form != "csv" or other.read(len(heading)) == heading, "records.csv")
    with bundle.open("records.jsonl") as lines:
        while line := lines.readline(2**19):
            start = re.match(rb'{"entry":"([0-9a-f]{12})\.(0|[1-9][0-9]{0,11})","record":', line)
            need(start and line.endswith(b"}\n") and len(line) <= 256 * 1024 + 64, f"the line after entry {last}")
            shard, index, data = start[1].decode(), int(start[2]), line[start.end() : -2]
            entry, place = f"{shard}.{index}", (numbers.get(shard, 0), index)
            need(place > last and sha(b"\0" + data) == leaves[shard][32 * index : 32 * index + 32], entry)
            found[shard], last = found[shard] + 1, place
            if not full or form != "jsonl":
                record = json.loads(data)
                need(canonical(record) == data and asked_for(manifest["filter"], record), entry, "was not asked for")
                line = derive(form, manifest["log"], entry, record)
                need(other.read(len(line)) == line, entry, "has another line in the derived form")
    need(not other.read(1), "the derived form", "has more lines")
    need(not full or all(found[shard] == size for _, shard, size in shards), "the records", "are not all there")
    return [{"number": number, "records": found[shard], "shard": shard, "size": size} for number, shard, size in shards]
def check_witness(directory, read, notes):
    files = {f"{file.name[:-18]}s/{file.name[-17:]}": file for file in Path(directory).iterdir()
             if fits(file.name, r"(roster|key)-[0-9]{12}\.note")}
    newer, same = (sum(name[0] == "r" and (name in notes) is there for name in files) for there in (False, True))
    need(same and not newer, f"the witness has {newer} newer rosters and {same} of the bundle:", "cut off, or older")
    for name, file in sorted(files.items()):
        need(name in notes and file.is_file() and file.stat().st_size <= 2**23, name, "is none of the bundle")
        need(file.read_bytes() == read(name), name, "is not what the witness has")
    return f"the witness {directory} has {same} rosters of the bundle and 0 newer rosters"

def verify(path, trusted, witness=None):
    """Whether the bundle is full, and what it holds."""
    bundle = zipfile.ZipFile(path)
    for each in bundle.infolist():  # before any is read
        part, size, packed = each.filename.split("/")[0], each.file_size, each.compress_size
        most = {"manifest.json": 2**23, "rosters": 2**23, "keys": 2**16}.get(part, 2**20 + 250 * packed)
        form = (8, size) if part.startswith("records.") else (0, packed)
        need((each.compress_type, size) == form and size <= most, "a member", "is packed otherwise, or too large")
    read, names, data = bundle.read, bundle.namelist(), bundle.read("manifest.json")
    manifest = json.loads(data)
    need(fits(manifest, MANIFEST) and canonical(manifest) == data, "manifest.json")
    need(manifest["check"] == sha(canonical({**manifest, "check": ""})).hex(), "manifest.json")
    need(0 <= manifest["key_changes"] <= 10**4 and 1 <= manifest["rosters"] <= 10**7, "manifest.json")
    notes = [f"{kind}/{n:012d}.note" for kind, count in (("keys", "key_changes"), ("rosters", "rosters"))
             for n in range(1, min(manifest[count], len(names)) + 1)]
    heads, shards, newest = read_rosters(read, manifest, trusted)
    hashes = {shard: f"hashes/{number}-{shard}.bin" for number, shard, _ in shards}
    need(names == ["manifest.json", *notes, *hashes.values(), "records.jsonl", *DERIVED[manifest["form"]]], "members")
    need(all(bundle.getinfo(hashes[shard]).file_size == 32 * size for _, shard, size in shards), "a list of hashes")
    leaves = {shard: check_roots(read(name), heads[shard], name) for shard, name in hashes.items()}
    asked = ", ".join(f"{name} {value!a}" for name, value in manifest["filter"].items() if value is not None)
    need(manifest["shards"] == check_records(bundle, manifest, leaves, shards, not asked), "manifest.json")
    seen = check_witness(witness, read, {*notes}) if witness else "no witness: whether the end was cut off is not known"
    kind = f"FILTERED ({asked}): that none was left out is not proved" if asked else "FULL"
    return not asked, f"{kind}\n{manifest['rosters']} rosters, signed up to {newest}\n{seen}"

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--filtered"]
    if len(words) not in (2, 3): sys.exit((print(__doc__, file=sys.stderr), 3)[1])
    try:
        full, said = verify(Path(words[0]), *words[1:])
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is not verified
        sys.exit((print(f"NOT VERIFIED: {type(error).__name__}: {error}"), 1)[1])
    expected = full or "--filtered" in sys.argv
    print("verified" if expected else "filtered: say --filtered if that is what you asked for", said, sep="\n")
    sys.exit(0 if expected else 4)
