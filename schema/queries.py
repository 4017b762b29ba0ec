"""The root of every query."""

from typing import Annotated

import strawberry

from audit import EntryId, EntryIdInvalidError, EntryNotFoundError
from customers.disclosure import reference_text
from customers.profiles.service import Values
from policies import Scope
from schema.context import Info, RequestContext
from schema.errors import ForbiddenError, NotFoundError, PurposeUnknownError
from schema.filters import IdentifierType, ProfileFilter, ProfileSort, identifier_condition, profile_query
from schema.log_cursors import LogCursors
from schema.paging import first_of
from schema.permission import needs
from schema.types.access_entry import (
    AccessEntry,
    AccessEntryConnection,
    AccessEntryEdge,
    AccessLogFilter,
    access_query,
    check_filters,
    filter_paths,
    log_scope,
    shown_entry,
)
from schema.types.made import made
from schema.types.page import Node, PageInfo
from schema.types.policy import Policy, field_permissions, grants_anything, purpose_infos
from schema.types.profile import Profile, ProfileConnection, ProfileConsent, ProfileEdge, ProfileIdentifier
from schema.types.provenance import provenance_names
from schema.types.quality import quality_names
from vault import DataKey

First = Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]


@strawberry.type(description="Everything that can be asked.")
class Query:
    """Reads. Each is recorded in the access log before its answer leaves."""

    @strawberry.field(description="The object with this id: a profile, or an entry of the access log.")
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")],  # noqa: A002 - Relay's name
    ) -> Node | None:
        """Relay's global object identification."""
        entry_id = _entry_id(str(id))
        return await profile_by_id(info, str(id)) if entry_id is None else await _entry_by_id(info, entry_id)

    @strawberry.field(description="The profile with this id; null if there is none or it is erased.")
    async def profile(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The profile's id.")],  # noqa: A002 - as `node`
    ) -> Profile | None:
        """One profile by id."""
        return await profile_by_id(info, str(id))

    @strawberry.field(
        description="The profile that has this identifier. Null if there is none, and just so if the caller may not "
        "find that customer for this purpose."
    )
    async def profile_by_identifier(
        self,
        info: Info,
        type: Annotated[IdentifierType, strawberry.argument(description="What kind of identifier it is.")],  # noqa: A002
        value: Annotated[str, strawberry.argument(description="The value, in any usual spelling.")],
    ) -> Profile | None:
        """One profile by equality with an identifier."""
        context = info.context
        found = await context.services.gateway.by_identifier(
            context.access, _names(info), identifier_condition(type, value)
        )
        return None if found is None else shown_profile(found)

    @strawberry.field(
        description="Profiles that match, in a stable order: customers, and visitors where `filter.kind` asks for them."
    )
    async def profiles(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002 - the usual name
            ProfileFilter | None, strawberry.argument(description="Conditions that must all hold.")
        ] = None,
        sort: Annotated[
            ProfileSort | None, strawberry.argument(description="By default in order of creation.")
        ] = None,
        first: First = 25,
        after: After = None,
    ) -> ProfileConnection:
        """One page of profiles."""
        context = info.context
        gateway = context.services.gateway
        page = await gateway.page(context.access, _names(info), profile_query(filter, sort, first, after))
        nodes = [shown_profile(each) for each in page.items]
        raw = info._raw_info  # noqa: SLF001 - plans are kept by the nodes' identity
        selected = context.plan.selected(raw.field_nodes, raw.return_type)
        cursors = (
            [gateway.cursor(page, position) for position in page.positions]
            if ("ProfileEdge", "cursor") in selected
            else [""] * len(nodes)
        )
        return made(
            ProfileConnection,
            {
                "nodes": nodes,
                "edges": [
                    made(ProfileEdge, {"cursor": cursor, "node": node})
                    for cursor, node in zip(cursors, nodes, strict=True)
                ]
                if ("ProfileConnection", "edges") in selected
                else [],
                "page_info": PageInfo(
                    has_next_page=page.more,
                    has_previous_page=after is not None,
                    start_cursor=gateway.cursor(page, page.positions[0]) if page.positions else None,
                    end_cursor=gateway.cursor(page, page.end) if page.end is not None else None,
                )
                if ("ProfileConnection", "pageInfo") in selected
                else None,
            },
        )

    @strawberry.field(description="The customer's own profile; for callers who are customers.")
    async def me(self, info: Info) -> Profile | None:
        """Oneself."""
        customer_id = info.context.caller.customer_id
        if customer_id is None:
            raise ForbiddenError("Only a customer's own token has a profile of its own.")
        return await profile_by_id(info, customer_id)

    @strawberry.field(description="What the caller may do, and for which purposes. Reads nothing of any customer.")
    async def policy(
        self,
        info: Info,
        purpose: Annotated[
            str | None, strawberry.argument(description="The purpose to ask about; by default the one stated.")
        ] = None,
    ) -> Policy:
        """The caller's own matrix."""
        context = info.context
        policies = context.services.policies()
        caller = context.caller
        allowed = [
            name
            for name in policies.purposes
            if (caller.purposes is None or not caller.purposes.isdisjoint(policies.purposes[name].lineage))
            and grants_anything(policies.decide(caller.roles, name))
        ]
        if purpose is not None and purpose not in policies.purposes:
            raise PurposeUnknownError
        asked = purpose or (None if context.granted is None else context.granted.grant.purpose.name)
        grant = None if asked is None else policies.decide(caller.roles, asked)
        return Policy(
            version=policies.version,
            roles=sorted(caller.roles),
            purposes=purpose_infos(policies, allowed),
            purpose=asked,
            may_erase=grant is not None and bool(grant.erase),
            fields=[] if grant is None else field_permissions(policies, grant),
        )

    @strawberry.field(
        description="The entry of the access log with this id; null if there is none, or none that the caller may "
        "see. Looking it up is recorded as a search.",
        directives=needs("read", "access_entry.id"),
    )
    async def access_entry(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The entry's id.")],  # noqa: A002 - as `node`
    ) -> AccessEntry | None:
        """One entry by id."""
        return await _entry_by_id(info, _entry_id(str(id)))

    @strawberry.field(
        description="The access log, newest first: who read what, for which purpose, under which rule.",
        directives=needs("read", "access_entry.id"),
    )
    async def access_log(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002 - the usual name
            AccessLogFilter | None, strawberry.argument(description="Conditions that must all hold.")
        ] = None,
        first: First = 25,
        after: After = None,
    ) -> AccessEntryConnection:
        """One page of the log; searching it is recorded too."""
        context = info.context
        access = context.access
        scope = log_scope(access.grant, access.caller)
        used = filter_paths(filter)
        access.disclosure.search(used, _names(info, "access_entry"))
        if scope is None:
            raise ForbiddenError("The caller may not read the access log for this purpose.")
        check_filters(used, access.grant, scope)
        cursors_of = LogCursors(context, filter)
        position = None if after is None else cursors_of.opened(after)
        asked = None if filter is None or filter.customer is None else str(filter.customer)
        subjects = await _subjects(context, asked, scope)
        query = access_query(filter, next(iter(subjects), None), subjects[1:])
        page = await context.services.log.search(query, after=position, limit=first_of(first))
        access.disclosure.answered()
        nodes = [shown_entry(entry, access.grant, scope, subjects) for entry in page.entries]
        cursors = [cursors_of.sealed(entry.position) for entry in page.entries]
        return AccessEntryConnection(
            nodes=nodes,
            edges=[AccessEntryEdge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
            page_info=PageInfo(
                has_next_page=page.next is not None,
                has_previous_page=after is not None,
                start_cursor=cursors[0] if cursors else None,
                end_cursor=None if page.next is None else cursors_of.sealed(page.next),
            ),
        )


def _entry_id(text: str) -> EntryId | None:
    try:
        return EntryId.parse(text)
    except EntryIdInvalidError:
        return None


async def _entry_by_id(info: Info, entry_id: EntryId | None) -> AccessEntry | None:
    """The entry as the caller may see it; who may only see what is about themselves, sees no other."""
    context = info.context
    access = context.access
    scope = log_scope(access.grant, access.caller)
    access.disclosure.search(["access_entry.id"], _names(info, "access_entry"))
    if scope is None:
        raise ForbiddenError("The caller may not read the access log for this purpose.")
    subjects = await _subjects(context, None, scope)
    try:
        entry = None if entry_id is None else await context.services.log.get(entry_id)
    except EntryNotFoundError:
        entry = None
    access.disclosure.answered()
    if entry is None or (subjects and set(subjects).isdisjoint(entry.record.subjects)):
        return None
    return shown_entry(entry, access.grant, scope, subjects)


async def _subjects(context: RequestContext, asked: str | None, scope: Scope) -> tuple[str, ...]:
    """The audit references of the customer whose entries are searched for, of every profile that is one person with them.

    The customer's own is the first; none for everybody's.

    Raises:
        NotFoundError: There is no such customer any more, or it is not the one the caller may ask about.
    """
    own = context.caller.customer_id if scope is Scope.OWN else None
    customer_id = own or asked
    if customer_id is None:
        return ()
    ids = await context.services.gateway.ids_of(customer_id)
    keys = await context.services.vault.keys(ids)
    key = keys.pop(customer_id, None)
    if not isinstance(key, DataKey) or (asked is not None and asked != customer_id):
        raise NotFoundError(
            "There is no living customer with this id; an erased one's entries can be found by nobody.",
            field="customer",
        )
    parts = [each.audit_reference for each in keys.values() if isinstance(each, DataKey)]
    subject = context.access.disclosure.about(key.audit_reference, parts)
    return (subject, *map(reference_text, parts))


async def profile_by_id(info: Info, customer_id: str) -> Profile | None:
    """The profile with this id as the caller may see it."""
    context = info.context
    found = await context.services.gateway.by_ids(context.access, _names(info), [customer_id])
    return shown_profile(found[customer_id]) if customer_id in found else None


def shown_profile(values: Values) -> Profile:
    """A profile out of revealed values."""
    if _NESTED.isdisjoint(values):
        return made(Profile, values)
    # Where a list is masked, one text stands for all that is in it.
    if isinstance(held := values.get("identifiers"), list):
        values["identifiers"] = [
            made(ProfileIdentifier, each if isinstance(each, dict) else {"type": "masked", "value": each})
            for each in held
        ]
    if (held := values.get("consents")) is not None:
        in_clear = all(isinstance(each, dict) for each in held)
        values["consents"] = [made(ProfileConsent, _UNSAID | each) for each in held] if in_clear else None
    return made(Profile, values)


_NESTED = frozenset({"identifiers", "consents", "notes"})
_UNSAID = dict.fromkeys(("channel", "expires_at", "notice"))


def _names(info: Info, object_name: str = "profile") -> frozenset[str]:
    """The catalogue's names of what is selected below this field."""
    raw = info._raw_info  # noqa: SLF001 - plans are kept by the nodes' identity
    plan = info.context.plan
    names = plan.names(raw.field_nodes, raw.return_type, object_name)
    if object_name != "profile":
        return names
    selected = plan.selected(raw.field_nodes, raw.return_type)
    if ("Profile", "quality") in selected:
        names |= quality_names(info)
    return names | provenance_names(selected)


__all__ = ["Query", "profile_by_id", "shown_profile"]
