"""Entries in plain words: who did what with whose data, why, and under which rule. Text only, never markup."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies import ROOT_CATEGORY, Action, Effect, Mask, PolicySet, Rule, Scope
from server.console.reading import Entry
from server.console.vocabulary import VERDICTS

REASONS: Final[Mapping[str, str]] = {
    "POLICY": "The policy does not allow it.",
    "CONSENT": "No consent to this purpose.",
    "OBJECTION": "An objection to this purpose.",
    "RESTRICTED": "The processing of their data was restricted.",
    "SCOPE": "Outside the reader's own regions.",
    "ERASED": "The key is destroyed, so nobody can read it any more.",
}
_MASKS: Final[Mapping[Mask, str]] = {
    Mask.REDACT: "all hidden",
    Mask.FIRST_CHARACTER: "first letter only",
    Mask.LAST_FOUR: "last four characters only",
    Mask.DOMAIN_ONLY: "domain only",
    Mask.YEAR_ONLY: "year only",
    Mask.GENERALISE: "a range instead of the value",
    Mask.PSEUDONYM: "a pseudonym instead of the value",
}
_DONE: Final[Mapping[str, str]] = {
    "write": "changed",
    "search": "searched",
    "export": "exported",
    "erasure_intent": "began to erase",
    "erasure_done": "finished erasing",
    "policy_change": "changed",
    "admin": "administered",
}
_TRIED: Final[Mapping[str, str]] = {
    "read": "asked for",
    "write": "tried to change",
    "search": "tried to search",
    "export": "tried to export",
    "erasure_intent": "tried to erase",
    "erasure_done": "tried to finish erasing",
    "policy_change": "tried to change",
    "admin": "tried to administer",
}
_ENDED: Final[Mapping[str, str]] = {
    "refused": "and was refused",
    "failed": "and the request failed",
    "not_found": "and found nobody",
}
# What the console shows that is no field of the catalogue.
_PARTS: Final[Mapping[str, str]] = {"system.operations": "How the platform works"}
_RULE_VERBS: Final[Mapping[str, str]] = {
    Action.READ: "read",
    Action.READ_MASKED: "see a mask of",
    Action.FILTER: "filter by",
    Action.WRITE: "change",
    Action.EXPORT: "export",
    Action.ERASE: "erase",
    "*": "do anything with",
}


@dataclass(frozen=True, slots=True)
class FieldName:
    """A field: its path, what people call it, and what a mask leaves of it, where it has one."""

    path: str
    label: str
    mask: str | None


@dataclass(frozen=True, slots=True)
class RuleText:
    """The rule that decided: a sentence, and the line of the policy where it is the policy in force."""

    sentence: str
    line: str | None


@dataclass(frozen=True, slots=True)
class DecisionGroup:
    """Fields with one decision, and for how many of the customers; None stands for all of them."""

    decision: str
    icon: str
    word: str
    fields: tuple[FieldName, ...]
    why: RuleText | None
    reason: str | None
    customers: int | None


def plural(count: int, one: str, many: str | None = None) -> str:
    """The count with its noun: `1 customer`, `13 customers`, `1,024 customers`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def role_label(policies: PolicySet, role: str) -> str:
    """What people call a role; its own name where the policy does not know it (any more)."""
    known = policies.roles.get(role)
    return role if known is None else known.label[:1].lower() + known.label[1:]


def purpose_label(policies: PolicySet, purpose: str) -> str:
    """What people call a purpose."""
    known = policies.purposes.get(purpose)
    return purpose if known is None else known.label[:1].lower() + known.label[1:]


def purpose_of(name: str, policies: PolicySet) -> str:
    """A purpose of the ledger in words; its own name where the policy does not know it any more."""
    if name == "*":
        return "Any use at all"
    known = policies.purposes.get(name)
    return name if known is None else known.label


def tally(entry: Entry) -> Counter[str]:
    """How many fields were decided in which way, for everybody."""
    found: Counter[str] = Counter()
    for each in entry["decisions"] or ():
        if each["subjectCount"] is None:
            found[each["decision"]] += len(each["fields"])
    return found


def customers(entry: Entry) -> int | None:
    """How many customers it was about; None where the reader may not see it."""
    return None if entry["subjects"] is None else len(entry["subjects"])


def sentence(entry: Entry, policies: PolicySet) -> str:
    """The entry in one sentence, such as `ben.marketing, a marketer, read 13 fields of 1 customer for marketing.`."""
    words = [_who(entry, policies), _did(entry)]
    if entry["purpose"] is not None:
        words.append(f"for {purpose_label(policies, entry['purpose'])}")
    if entry["case"] is not None:
        words.append(f"(case {entry['case']})")
    if ended := _ENDED.get(entry["outcome"] or ""):
        words[-1] += ","
        words.append(ended)
    return f"{' '.join(words)}."


def verdict_sentence(entry: Entry) -> str | None:
    """What became of the fields: `13 fields: 9 in clear, 2 masked and 2 withheld.` None where nothing was answered."""
    found = tally(entry)
    if not found or entry["outcome"] != "allowed":
        return None
    told = [f"{found[verdict]} {word.lower()}" for verdict, (_, word) in VERDICTS.items() if found[verdict]]
    if len(found) == 1 and found.total() > 1:
        told = [f"all {told[0].partition(' ')[2]}"]
    apart = any(each["subjectCount"] is not None for each in entry["decisions"])
    return f"{plural(found.total(), 'field')}: {listed(told)}{', but for the exceptions below' if apart else ''}."


def _who(entry: Entry, policies: PolicySet) -> str:
    roles = [role_label(policies, role) for role in entry["roles"] or ()]
    actor = entry["actor"] or "Somebody whose name you may not see"
    if not roles:
        return f"{actor}, without any role," if entry["roles"] is not None else actor
    if len(roles) == 1:
        return f"{actor}, {_article(roles[0])} {roles[0]},"
    return f"{actor}, in the roles {listed(roles)},"


def _did(entry: Entry) -> str:
    kind, outcome = entry["kind"], entry["outcome"]
    if kind is None:
        return "did something you may not see"
    happened = outcome in (None, "allowed")
    verb = (_DONE if happened else _TRIED).get(kind, kind)
    if kind == "search":
        about = customers(entry)
        return f"{verb} the access log for {plural(about, 'customer')}" if about else f"{verb} the access log"
    if kind == "policy_change":
        return f"{verb} the policy"
    if kind == "admin":
        return f"{verb} the platform"
    if kind == "read" and _of_the_platform(entry):
        return "looked at how data comes in" if happened else "asked how data comes in"
    if kind == "export" and _of_the_log(entry):
        return f"{verb} entries of the access log"
    of = customers(entry)
    people = "customers" if not of else plural(of, "customer")
    if kind in ("erasure_intent", "erasure_done"):
        return f"{verb} {people if of else 'a customer'}"
    found = tally(entry)
    total = sum(found.values())
    if kind == "read" and happened:
        seen = found["clear"] + found["masked"]
        if not seen:
            return f"asked for {plural(total, 'field')} of {people} and got none of them"
        part = "" if seen == total else f"{seen} of "
        return f"read {part}{plural(total, 'field')} of {people}"
    return f"{verb} {plural(total, 'field') if total else 'something'} of {people}"


def _of_the_log(entry: Entry) -> bool:
    paths = [path for each in entry["decisions"] or () for path in each["fields"]]
    return bool(paths) and all(path.startswith("access_entry.") for path in paths)


def _of_the_platform(entry: Entry) -> bool:
    paths = [path for each in entry["decisions"] or () for path in each["fields"]]
    return bool(paths) and all(path.startswith("system.") for path in paths)


def decision_groups(entry: Entry, policies: PolicySet) -> tuple[DecisionGroup, ...]:
    """Every decision of the entry with the rule that made it: for all customers first, then the exceptions."""
    groups = []
    for each in entry["decisions"] or ():
        icon, word = VERDICTS.get(each["decision"], ("?", each["decision"]))
        reason = each["reason"]
        apart = each["subjectCount"] is not None
        groups.append(
            DecisionGroup(
                decision=each["decision"],
                icon=icon,
                word=word,
                fields=tuple(field_name(policies, path, each["decision"]) for path in each["fields"]),
                why=None if apart and each["rule"] is None else rule_text(entry, each, policies),
                reason=REASONS.get(reason, reason) if reason and (apart or reason != "POLICY") else None,
                customers=each["subjectCount"],
            )
        )
    return tuple(sorted(groups, key=lambda group: group.customers is not None))


def field_name(policies: PolicySet, path: str, decision: str | None = None) -> FieldName:
    """What people call the field, where the catalogue still has it."""
    if path == ROOT_CATEGORY:
        return FieldName(path, "Everything about a person", None)
    known = policies.catalogue.fields.get(path)
    if known is None:
        return FieldName(path, _PARTS.get(path, policies.catalogue.categories.get(path, path)), None)
    mask = _MASKS.get(known.mask) if decision == "masked" and known.mask is not None else None
    return FieldName(path, known.label, mask)


def rule_text(entry: Entry, decision: Mapping[str, Any], policies: PolicySet) -> RuleText:
    """Why: the rule in words and as it stands, or what can honestly be said when another policy decided."""
    number, version = decision["rule"], entry["policyVersion"]
    if version != policies.version:
        which = "No rule allowed it" if number is None else f"Rule {number}"
        told = "a policy version you may not see" if version is None else f"policy {version}"
        return RuleText(
            f"{which} of {told}. That is not the policy in force now, so the rule's text is not shown: the same number "
            "may say something else today.",
            None,
        )
    if number is None:
        return RuleText("No rule allows it; what no rule allows is withheld.", None)
    if not 1 <= number <= len(policies.rules):
        return RuleText(f"Rule {number}, which the policy does not have.", None)
    rule = policies.rules[number - 1]
    return RuleText(rule_sentence(rule, policies), f"{rule.text}  (rules.csv, line {rule.line})")


def rule_sentence(rule: Rule, policies: PolicySet) -> str:
    """`Rule 41 does not let any role do anything with …`, in words."""
    role = "every role" if rule.role == "*" else _a(role_label(policies, rule.role))
    why = "any purpose" if rule.purpose == "*" else purpose_label(policies, rule.purpose)
    verb = _RULE_VERBS.get(rule.action, rule.action)
    scope = {Scope.ANY: "", Scope.REGION: ", for customers of their own regions", Scope.OWN: ", for themselves"}
    does = "forbids" if rule.effect is Effect.DENY else "lets"
    to = "to " if rule.effect is Effect.DENY else ""
    return f"Rule {rule.number} {does} {role} {to}{verb} {rule.category} for {why}{scope[rule.scope]}."


def roles_of(entry: Entry, policies: PolicySet) -> str:
    """The roles in which it was done, in words."""
    return listed([role_label(policies, role) for role in entry["roles"] or ()])


def listed(parts: Sequence[str]) -> str:
    """`one, two and three`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _article(noun: str) -> str:
    return "an" if noun[:1] in "aeiou" else "a"


def _a(noun: str) -> str:
    return f"{_article(noun)} {noun}"


def first_fields(entry: Entry, policies: PolicySet, most: int = 1) -> tuple[str, int]:
    """The labels of the first fields, and how many more there are."""
    paths: Iterable[str] = dict.fromkeys(path for each in entry["decisions"] or () for path in each["fields"])
    known = list(paths)
    return ", ".join(field_name(policies, path).label for path in known[:most]), max(0, len(known) - most)


__all__ = [
    "DecisionGroup",
    "FieldName",
    "RuleText",
    "customers",
    "decision_groups",
    "field_name",
    "first_fields",
    "listed",
    "plural",
    "purpose_label",
    "purpose_of",
    "role_label",
    "roles_of",
    "rule_sentence",
    "rule_text",
    "sentence",
    "tally",
    "verdict_sentence",
]
