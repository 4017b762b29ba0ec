"""What a caller may see: the policy, as it applies to them."""

import strawberry

from policies import Field, Grant, PolicySet, Verdict
from schema.permission import structural


@strawberry.type(description="A reason for using personal data. Every request for personal data states one.")
class PurposeInfo:
    """One purpose of the vocabulary."""

    name: str = structural("What to write in the Confide-Purpose header.")
    label: str = structural("A few plain words.")
    description: str = structural("What it covers.")
    lawful_basis: str = structural("The basis in law it rests on (GDPR Art. 6).")
    needs_consent: bool = structural("Whether each customer must have consented to it.")
    retention: str | None = structural("How long data is kept for it, as an ISO 8601 period such as P3Y, where said.")
    direct_marketing: bool = structural("Whether it is direct marketing, which an objection always stops.")
    sale_or_sharing: bool = structural("Whether it sells or shares data, which Sec-GPC opts out of.")


@strawberry.type(description="What may be done with one field for a purpose.")
class FieldPermission:
    """One row of the caller's own matrix."""

    field: str = structural("The field's name in the catalogue, such as profile.email.")
    category: str = structural("The kind of data it is (Fides taxonomy).")
    label: str = structural("A few plain words.")
    sealed: bool = structural("Whether it is stored encrypted under the customer's own key.")
    read: str = structural("clear, masked or withheld: the best that any customer's field comes to.")
    rule: int | None = structural("The number of the rule that decided; null where no rule grants it.")
    scope: str | None = structural("any, region or own: whose fields that holds for.")
    filter: bool = structural("Whether it may be filtered and sorted by.")
    write: bool = structural("Whether it may be changed.")
    export: bool = structural("Whether it may leave in an export.")


@strawberry.type(description="What the caller may do.")
class Policy:
    """The caller's roles, the purposes that grant them anything, and one purpose's fields."""

    version: str = structural("The version of the policy that decides now.")
    roles: list[str] = structural("The caller's roles.")
    purposes: list[PurposeInfo] = structural("The purposes the caller may state.")
    purpose: str | None = structural("The purpose that `fields` is about.")
    may_erase: bool = structural("Whether the caller may erase customers for that purpose.")
    fields: list[FieldPermission] = structural("What may be done with each field for that purpose.")


def purpose_infos(policies: PolicySet, names: list[str]) -> list[PurposeInfo]:
    """The purposes of these names."""
    return [
        PurposeInfo(
            name=purpose.name,
            label=purpose.label,
            description=purpose.description,
            lawful_basis=purpose.basis.value,
            needs_consent=purpose.basis.value == "consent",
            retention=purpose.retention,
            direct_marketing=purpose.direct_marketing,
            sale_or_sharing=purpose.sale_or_sharing,
        )
        for purpose in (policies.purposes[name] for name in names)
    ]


def field_permissions(policies: PolicySet, grant: Grant) -> list[FieldPermission]:
    """Every field of the catalogue, as the grant leaves it."""
    return [_permission(field, grant) for field in policies.catalogue.fields.values()]


def _permission(field: Field, grant: Grant) -> FieldPermission:
    granted = grant.read[field.path]
    best = granted.alternatives[0] if granted else None
    return FieldPermission(
        field=field.path,
        category=field.category,
        label=field.label,
        sealed=field.sealed,
        read=Verdict.WITHHELD.value if best is None else best.verdict.value,
        rule=granted.rule if best is None else best.rule,
        scope=None if best is None else best.scope.value,
        filter=bool(grant.filter[field.path]),
        write=bool(grant.write[field.path]),
        export=bool(grant.export[field.path]),
    )


def grants_anything(grant: Grant) -> bool:
    """Whether the grant allows any action on any field."""
    actions = (grant.read, grant.filter, grant.write, grant.export)
    return bool(grant.erase) or any(any(held.values()) for held in actions)
