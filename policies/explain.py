"""Why somebody sees a field, or does not: the decision and the rules that decided, in one sentence."""

from dataclasses import dataclass

from policies.decisions import FieldGrant, PolicySet
from policies.errors import UnknownFieldError, UnknownPurposeError, UnknownRoleError
from policies.rules import Rule
from policies.vocabulary import ROOT_CATEGORY, Action, Effect, Scope, Verdict
from policies.wording import SCOPE_WORDS, mask_words

_VERBS = {
    Action.FILTER: "filter by",
    Action.WRITE: "change",
    Action.EXPORT: "export",
    Action.ERASE: "erase",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and why.

    Attributes:
        role, purpose, field, action: what was asked. For erasure `field` is the root category `user`.
        grant: the decision, as requests get it.
        rules: the rules that decided, in the order in which they count; empty for the default deny.
        sentence: all of it in one sentence, for people.
    """

    role: str
    purpose: str
    field: str
    action: Action
    grant: FieldGrant
    rules: tuple[Rule, ...]
    sentence: str

    def __bool__(self) -> bool:
        """Whether anything is granted."""
        return bool(self.grant)


def explain(
    policy_set: PolicySet,
    role: str,
    purpose: str,
    field: str,
    action: Action = Action.READ,
) -> Explanation:
    """Why `role` may or may not do `action` with `field` for `purpose`.

    Args:
        policy_set: the policy.
        role: one of its roles.
        purpose: one of its purposes.
        field: a path of its catalogue, such as `profile.email`; ignored for erasure, which is of a whole person.
        action: READ and READ_MASKED both explain how the field is shown.

    Raises:
        UnknownRoleError, UnknownPurposeError, UnknownFieldError: the policy has no such name; the error lists them.
    """
    if role not in policy_set.roles:
        raise UnknownRoleError(policy_set.roles)
    if purpose not in policy_set.purposes:
        raise UnknownPurposeError(policy_set.purposes)
    if action is not Action.ERASE and field not in policy_set.catalogue.fields:
        raise UnknownFieldError(policy_set.catalogue.fields)
    decided = policy_set.decide((role,), purpose)
    grant = {
        Action.READ: decided.read,
        Action.READ_MASKED: decided.read,
        Action.FILTER: decided.filter,
        Action.WRITE: decided.write,
        Action.EXPORT: decided.export,
        Action.ERASE: {field: decided.erase},
    }[action][field]
    numbers = (*(each.rule for each in grant.alternatives), grant.rule)
    rules = tuple(policy_set.rules[number - 1] for number in dict.fromkeys(numbers) if number is not None)
    sentence = f"For {purpose}, {role} {_decision(policy_set, grant, action, rules)}."
    return Explanation(role, purpose, grant.path, action, grant, rules, sentence)


def _decision(policy_set: PolicySet, grant: FieldGrant, action: Action, rules: tuple[Rule, ...]) -> str:
    erasing = action is Action.ERASE
    what = "customers" if erasing else grant.path
    verb = _VERBS.get(action)
    if not grant:
        category = ROOT_CATEGORY if erasing else policy_set.catalogue.fields[grant.path].category
        why = f"{_citation(rules[0])}" if rules else f"no rule allows it on {category}"
        return f"may not {verb} {what}: {why}" if verb else f"does not see {what}: {why}"
    parts: list[str] = []
    for each in grant.alternatives:
        how = "" if verb else _how(policy_set, grant.path, each.verdict) + " "
        scope = "for all others" if parts and each.scope is Scope.ANY else SCOPE_WORDS[each.scope]
        parts.append(f"{how}{scope} ({_citation(policy_set.rules[each.rule - 1])})")
    start = f"may {verb} {what}," if verb else f"sees {what}"
    return f"{start} {', else '.join(parts)}"


def _how(policy_set: PolicySet, path: str, verdict: Verdict) -> str:
    if verdict is Verdict.CLEAR:
        return "in clear"
    return f"masked ({mask_words(policy_set.catalogue.fields[path])})"


def _citation(rule: Rule) -> str:
    """The rule with its place: `rule 12, rules.csv line 40, deny read on user.contact for sales`."""
    verb = "deny" if rule.effect is Effect.DENY else "allow"
    return (
        f"rule {rule.number}, rules.csv line {rule.line}: {verb} {rule.role} {rule.action} "
        f"on {rule.category} for {rule.purpose}"
    )
