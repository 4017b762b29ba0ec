"""From policy files to a policy: everything checked, every fault listed, nothing half-loaded."""

from collections.abc import Mapping
from pathlib import Path

from policies.catalogue import parse_catalogue
from policies.decisions import PolicySet
from policies.enforcer import build_enforcer, check_model
from policies.errors import Fault, PolicyInvalidError
from policies.purposes import parse_purposes, parse_roles
from policies.retention import parse_retention
from policies.rules import Names, parse_rules
from policies.source import CATALOGUE, FILES, MODEL, PURPOSES, RETENTION, ROLES, RULES, Toml, digest, read_sources
from policies.tables import Tables


class _AnyName(frozenset[str]):
    """Knows every name: stands in for a file that could not be read, so that its one fault is not drowned."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        """Yes."""
        return True


_ANY_NAME = _AnyName()


def load_policies(directory: Path | None = None) -> PolicySet:
    """The policy in a directory; files it does not have are the packaged ones. None: the packaged policy.

    To reload, call it again: a policy is a value, and one that cannot be loaded leaves the one in hand as it is.

    Raises:
        PolicyInvalidError: with every fault found, each with its file and line.
    """
    return build(read_sources(directory))


def build(sources: Mapping[str, bytes]) -> PolicySet:
    """The policy in these files (name → content).

    Raises:
        PolicyInvalidError: with every fault found, each with its file and line.
    """
    faults: list[Fault] = []
    catalogue = parse_catalogue(Toml(CATALOGUE, sources[CATALOGUE], faults), digest(sources, (CATALOGUE,)))
    purposes = parse_purposes(Toml(PURPOSES, sources[PURPOSES], faults))
    roles = parse_roles(Toml(ROLES, sources[ROLES], faults))
    retention = parse_retention(Toml(RETENTION, sources[RETENTION], faults), catalogue)
    check_model(sources[MODEL], faults)
    names = Names(roles or _ANY_NAME, purposes or _ANY_NAME, catalogue.categories or _ANY_NAME)
    book = parse_rules(sources[RULES], names, faults)
    if faults:
        raise PolicyInvalidError(faults)
    enforcer = build_enforcer(sources[MODEL], book, purposes, catalogue.parents)
    if [tuple(values) for values in enforcer.get_policy()] != [rule.values for rule in book.rules]:
        raise PolicyInvalidError([Fault(RULES, None, "is read differently by Casbin")])
    return PolicySet(
        version=digest(sources, FILES),
        catalogue=catalogue,
        purposes=purposes,
        roles=roles,
        inherits=book.inherits,
        rules=book.rules,
        retention=retention,
        tables=Tables(enforcer, roles=roles, purposes=purposes, categories=catalogue.categories),
    )
