"""The shipped policy with something changed in it."""

from policies.loading import build
from policies.source import read_sources


def sources_with(*swaps, add=(), file="rules.csv"):
    """The shipped files with each (old, new) swapped, which must be there once, and lines added at the end."""
    sources = read_sources()
    text = sources[file].decode()
    for old, new in swaps:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return {**sources, file: "\n".join((text.rstrip(), *add, "")).encode()}


def changed(*swaps, add=(), file="rules.csv"):
    """The policy of those files."""
    return build(sources_with(*swaps, add=add, file=file))


def without(table, file):
    """The shipped policy without a table of a file, and without the rules that name it."""
    sources = read_sources()
    blocks = sources[file].decode().split("\n\n")
    kept = [block for block in blocks if f"[{table}]" not in block.splitlines()]
    assert len(kept) == len(blocks) - 1
    name = table.rpartition(".")[2]
    rules = [line for line in sources["rules.csv"].decode().splitlines() if f" {name}," not in line]
    return build({**sources, file: "\n\n".join(kept).encode(), "rules.csv": "\n".join(rules).encode()})
