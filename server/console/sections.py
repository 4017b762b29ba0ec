"""The parts of the console, and which of them a role and a purpose open. Pure: the policy says it, nothing else."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from policies import Action, Grant, LawfulBasis, PolicySet, Scope, Verdict

_KEEPING: Final = "data_management"
_RESOLVING: Final = "identity_resolution"
OPERATIONS: Final = "system.operations"
_EMERGENCY: Final = "emergency_access"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the console.

    Attributes:
        name: what templates call it.
        label: as the navigation has it.
        phrase: as it stands in a sentence.
        path: below the console's own path.
        opens: whether a grant lets its holder look at it.
        plural: whether its phrase is.
        group: what the navigation has it under.
    """

    name: str
    label: str
    phrase: str
    path: str
    opens: Callable[[Grant], bool]
    plural: bool = True
    group: str = "Data"


@dataclass(frozen=True, slots=True)
class Way:
    """A role and a purpose that together open a section; `sees_all` when nothing of the access log is hidden by them."""

    role: str
    purpose: str
    sees_all: bool = True


def reads_operations(grant: Grant) -> bool:
    """Whether somebody who keeps data may see how it comes in: sources, tracking plans, what was not as they say."""
    return _KEEPING in grant.purpose.lineage and bool(grant.of_category(OPERATIONS, Action.READ))


def changes_operations(grant: Grant) -> bool:
    """Whether they may change it: make sources, give them other keys, disable them."""
    return _KEEPING in grant.purpose.lineage and bool(grant.of_category(OPERATIONS, Action.WRITE))


def opens_log(grant: Grant) -> bool:
    """Whether entries of everybody may be read."""
    return any(each.scope is Scope.ANY for each in grant.read["access_entry.id"].alternatives)


def _exports_log(grant: Grant) -> bool:
    paths = [path for path in grant.export if path.startswith("access_entry.")]
    return opens_log(grant) and all(grant.export[path] for path in paths)


def _joins(grant: Grant) -> bool:
    """As `customers.identity.merging.check`."""
    return _RESOLVING in grant.purpose.lineage and bool(grant.write["profile.identifiers"])


def _reports(grant: Grant) -> bool:
    """As `customers.quality.check_reports`."""
    return _KEEPING in grant.purpose.lineage and bool(grant.read["profile.updated_at"])


def _corrects(grant: Grant) -> bool:
    paths = ("profile.given_name", "profile.family_name", "profile.street", "profile.postal_code", "profile.city")
    if _KEEPING not in grant.purpose.lineage or not grant.write["profile.traits"]:
        return False  # the value before is kept among the traits
    return any(
        grant.write[path] and any(each.verdict is Verdict.CLEAR for each in grant.read[path].alternatives)
        for path in (*paths, "profile.country")
    )


def _everybodys(grant: Grant, path: str) -> bool:
    """Whether a field is read in clear of everybody."""
    return any(each.verdict is Verdict.CLEAR and each.scope is Scope.ANY for each in grant.read[path].alternatives)


def looks_up(grant: Grant) -> bool:
    """Whether somebody may open one customer by their number and see more of them than that."""
    if not _everybodys(grant, "profile.id"):
        return False
    seen = (
        path
        for path, granted in grant.read.items()
        if path.startswith("profile.") and any(each.scope is not Scope.OWN for each in granted.alternatives)
    )
    return any(path not in _OF_NOBODY for path in seen)


def answers_requests(grant: Grant) -> bool:
    """Whether somebody answers for everybody's privacy; as `customers.rights.requests.standing.require_officer`."""
    writes = any(each.scope is Scope.ANY for each in grant.write["profile.consents"].alternatives)
    return writes and _everybodys(grant, "profile.consents") and grant.purpose.basis is LawfulBasis.LEGAL_OBLIGATION


def counts_consent(grant: Grant) -> bool:
    """Whether how many customers agreed to what may be told; as `customers.consent.counting`."""
    path = "profile.consents"
    counted = (*grant.read[path].alternatives, *grant.filter[path].alternatives)
    return any(each.scope is Scope.ANY for each in counted)


def shows_ledger(grant: Grant) -> bool:
    """Whether one customer's whole ledger of consent may be looked at."""
    granted = grant.export["profile.consents"]
    return bool(grant.read["profile.consents"]) and any(each.scope is not Scope.OWN for each in granted.alternatives)


def oversees(grant: Grant) -> bool:
    """Whether the policy and the record of processing are theirs to look at: privacy, audit, and who runs the platform."""
    return answers_requests(grant) or opens_log(grant) or changes_operations(grant)


def mends_jobs(grant: Grant) -> bool:
    """Whether work that was given up on may be looked at and tried again."""
    return changes_operations(grant) or answers_requests(grant)


def reviews_glass(grant: Grant) -> bool:
    """Whether what others did with break-glass access is theirs to review; as `customers.oversight.break_glass`."""
    return "audit" in grant.purpose.lineage and opens_log(grant)


def _glass(grant: Grant) -> bool:
    """Whether somebody may declare an emergency, or reviews those of others."""
    declares = grant.purpose.name == _EMERGENCY and bool(grant.of_category(OPERATIONS, Action.READ))
    return declares or reviews_glass(grant)


_OF_NOBODY: Final = frozenset(
    f"profile.{name}" for name in ("id", "created_at", "updated_at", "version", "kind", "identifiers")
)
SECTIONS: Final = (
    Section("requests", "Privacy requests", "privacy requests", "/requests", answers_requests, group="Customers"),
    Section("lookup", "Look up", "customer look-up", "/customers", looks_up, plural=False, group="Customers"),
    Section("consents", "Consent", "counts of consent", "/consents", counts_consent, group="Customers"),
    Section("people", "People to review", "people to review", "/people", _joins),
    Section("merges", "Merges", "merges", "/merges", _joins),
    Section("quality", "Data quality", "data quality", "/quality", _reports, plural=False),
    Section("corrections", "Corrections", "corrections", "/corrections", _corrects),
    Section("sources", "Sources", "sources", "/sources", reads_operations),
    Section("plans", "Tracking plans", "tracking plans", "/plans", reads_operations),
    Section("violations", "Violations", "violations", "/violations", reads_operations),
    Section("log", "Access log", "the access log", "/audit", opens_log, plural=False, group="Oversight"),
    Section(
        "export", "Export", "export of the access log", "/audit/export", _exports_log, plural=False, group="Oversight"
    ),
    Section("matrix", "Who sees what", "the policy matrix", "/matrix", oversees, plural=False, group="Oversight"),
    Section(
        "processing",
        "Record of processing",
        "the record of processing",
        "/processing",
        oversees,
        plural=False,
        group="Oversight",
    ),
    Section(
        "break_glass",
        "Break-glass access",
        "break-glass access",
        "/break-glass",
        _glass,
        plural=False,
        group="Oversight",
    ),
    Section("failed", "Failed jobs", "failed jobs", "/failed", mends_jobs, group="Oversight"),
)
LOG: Final = next(each for each in SECTIONS if each.name == "log")
GLASS: Final = next(each for each in SECTIONS if each.name == "break_glass")


def section_at(path: str) -> Section:
    """The section that a path below the console's own belongs to; the access log where it is none's."""
    found = [each for each in SECTIONS if path == each.path or path.startswith(f"{each.path}/")]
    named = max(found, key=lambda each: len(each.path), default=LOG)
    return LOG if named.name == "export" else named


def ways(policies: PolicySet, section: Section) -> tuple[Way, ...]:
    """Every role and purpose that open a section under this policy, those that show everything first."""
    found = []
    for role in policies.roles:
        for purpose in policies.purposes:
            grant = policies.decide((role,), purpose)
            if section.opens(grant):
                found.append(Way(role, purpose, _sees_all(grant) if section.name in ("log", "export") else True))
    return tuple(sorted(found, key=lambda way: not way.sees_all))


def own_ways(policies: PolicySet, section: Section, roles: Iterable[str], purposes: Iterable[str]) -> tuple[Way, ...]:
    """Those that somebody with these roles and purposes already has: stating the purpose is enough."""
    held, may_state = set(roles), set(purposes)
    return tuple(way for way in ways(policies, section) if way.role in held and way.purpose in may_state)


def reachable(policies: PolicySet, roles: Iterable[str], purposes: Iterable[str]) -> dict[str, tuple[Section, ...]]:
    """The sections that these roles open, by each of the purposes that may be stated."""
    held = tuple(roles)
    grants = {purpose: policies.decide(held, purpose) for purpose in purposes if purpose in policies.purposes}
    return {
        purpose: tuple(section for section in SECTIONS if section.opens(grant)) for purpose, grant in grants.items()
    }


def _sees_all(grant: Grant) -> bool:
    paths = [path for path in grant.read if path.startswith("access_entry.")]
    return all(any(each.scope is Scope.ANY for each in grant.read[path].alternatives) for path in paths)


__all__ = [
    "GLASS",
    "LOG",
    "OPERATIONS",
    "SECTIONS",
    "Section",
    "Way",
    "answers_requests",
    "changes_operations",
    "counts_consent",
    "looks_up",
    "mends_jobs",
    "opens_log",
    "oversees",
    "own_ways",
    "reachable",
    "reads_operations",
    "reviews_glass",
    "section_at",
    "shows_ledger",
    "ways",
]
