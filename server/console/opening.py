"""What would open the access log to somebody to whom it is closed."""

from collections.abc import Iterable
from dataclasses import dataclass

from policies import PolicySet, Scope


@dataclass(frozen=True, slots=True)
class Key:
    """A role and a purpose that together open the whole log; `sees_all` when every field of it."""

    role: str
    purpose: str
    sees_all: bool


def keys_to_the_log(policies: PolicySet) -> tuple[Key, ...]:
    """Every role and purpose that open it under this policy, the ones that show everything first."""
    found = []
    for role in policies.roles:
        for purpose in policies.purposes:
            grant = policies.decide((role,), purpose)
            paths = [path for path in grant.read if path.startswith("access_entry.")]
            open_to = {path for path in paths if any(a.scope is Scope.ANY for a in grant.read[path].alternatives)}
            if "access_entry.id" in open_to:
                found.append(Key(role, purpose, sees_all=len(open_to) == len(paths)))
    return tuple(sorted(found, key=lambda key: not key.sees_all))


def own_keys(policies: PolicySet, roles: Iterable[str], purposes: Iterable[str]) -> tuple[Key, ...]:
    """Those that somebody with these roles and purposes already holds: stating the purpose is enough."""
    held, may_state = set(roles), set(purposes)
    return tuple(key for key in keys_to_the_log(policies) if key.role in held and key.purpose in may_state)


__all__ = ["Key", "keys_to_the_log", "own_keys"]
