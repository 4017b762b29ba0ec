"""How good the data is: of one profile, of the whole base, and what could be put right."""

import hashlib
from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import msgspec
import strawberry

from customers.access import Access
from customers.errors import ReadNotAllowedError
from customers.quality import (
    FieldCount,
    IssueKind,
    Quality,
    QualityService,
    Report,
    Shown,
    SuggestionKind,
    quality_of,
    told,
)
from customers.spelling import CORRECTABLE
from schema.context import Info
from schema.errors import CursorInvalidError, ForbiddenError, InputInvalidError
from schema.paging import first_of
from schema.permission import needs, structural
from schema.scalars import Count, Day, Timestamp
from schema.types.made import made
from schema.types.page import PageInfo
from vault import TokenInvalidError

NO_SUGGESTIONS = "For this purpose the caller may not see suggested corrections."
_NO_REPORTS = "For this purpose the caller may not see reports on the data."
_LONGEST_TREND = 400

First = Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]


@strawberry.enum(description="What is wrong with a field.")
class QualityIssueKind(Enum):
    """The GraphQL names of the kinds of issues."""

    MISSING = strawberry.enum_value(IssueKind.MISSING.value, description="It is expected and not there.")
    MALFORMED = strawberry.enum_value(
        IssueKind.MALFORMED.value, description="It is not what such a value looks like."
    )
    PLACEHOLDER = strawberry.enum_value(
        IssueKind.PLACEHOLDER.value, description="It stands where a value should be, such as xxx."
    )
    MISTYPED = strawberry.enum_value(
        IssueKind.MISTYPED.value, description="It is very nearly something usual, such as gmial.com."
    )
    IMPOSSIBLE = strawberry.enum_value(IssueKind.IMPOSSIBLE.value, description="No such value can be.")
    UNKNOWN_COUNTRY = strawberry.enum_value(IssueKind.UNKNOWN_COUNTRY.value, description="No country has this code.")
    NOT_OF_COUNTRY = strawberry.enum_value(
        IssueKind.NOT_OF_COUNTRY.value, description="In the profile's country it does not look so."
    )
    STALE = strawberry.enum_value(
        IssueKind.STALE.value, description="It was not confirmed for longer than it stays fresh."
    )


@strawberry.enum(description="From what a suggested correction leads away.")
class CorrectionKind(Enum):
    """The GraphQL names of the kinds of suggestions."""

    CHARACTERS = strawberry.enum_value(
        SuggestionKind.CHARACTERS.value, description="Characters that nobody sees, or that have a usual form."
    )
    SPACING = strawberry.enum_value(SuggestionKind.SPACING.value, description="Spaces too many.")
    CASE = strawberry.enum_value(
        SuggestionKind.CASE.value, description="A name all in capitals, or all without; a guess."
    )
    COUNTRY = strawberry.enum_value(
        SuggestionKind.COUNTRY.value, description="A country not named by its ISO 3166 code."
    )
    POSTAL_FORM = strawberry.enum_value(
        SuggestionKind.POSTAL_FORM.value, description="A postal code not written as its country does."
    )
    PHONE_FORM = strawberry.enum_value(SuggestionKind.PHONE_FORM.value, description="A number not in E.164.")


@strawberry.type(description="What is wrong with one field of a profile; it never holds the value.")
class QualityIssue:
    """One issue."""

    field: str = structural("The field's name in the catalogue, such as postal_code.")
    kind: QualityIssueKind = structural("What is wrong with it.")


@strawberry.type(
    description="How good a profile's data is, as far as the caller may see it: only fields shown in clear are looked "
    "at, and looking counts as reading them. Null is what cannot be told."
)
class ProfileQuality:
    """The quality of one profile."""

    score: int | None = structural("All together, 0 to 100; 100 is best.")
    completeness: int | None = structural("How much of what is expected is there, 0 to 100; 100 is best.")
    validity: int | None = structural("How much of what is there can be right, 0 to 100; 100 is best.")
    staleness: int | None = structural("How much of what is there was not confirmed in time, 0 to 100; 0 is best.")
    issues: list[QualityIssue] = structural("What is wrong, by field.")


@strawberry.type(description="How many profiles have something of one kind with one field.")
class QualityCount:
    """One count."""

    field: str = structural("The field's name in the catalogue.")
    kind: str = structural("A QualityIssueKind or CorrectionKind, in lower case.")
    profiles: Count = structural("How many; `fewer than 11` where it is few.")


@strawberry.type(description="Profiles that may be one person's.")
class DuplicateCounts:
    """What was found by comparing."""

    share: float = structural("Which share of what pairs are found by was looked at; 1 is all.")
    pairs: int = structural("How many pairs share something.")
    compared: int = structural("How many of them were compared.")
    sure: Count = structural("How many pairs are one person for sure.")
    review: Count = structural("How many pairs somebody should look at.")


@strawberry.type(description="The report on the whole base of one day. It tells of nobody.")
class QualityReport:
    """One day's report."""

    day: Day = structural("The day (UTC).")
    finished_at: Timestamp = structural("When it was finished.")
    policy_version: str = structural("The policy that allowed it.")
    profiles: Count = structural("How many profiles were looked at.")
    not_allowed: Count = structural("How many were not, because their rights do not allow it.")
    damaged: Count = structural("How many could not be, because what is stored is not what was sealed there.")
    score: int | None = structural("The mean score; null of too few.")
    completeness: int | None = structural("The mean completeness.")
    validity: int | None = structural("The mean validity.")
    staleness: int | None = structural("The mean staleness; 0 is best.")
    issues: list[QualityCount] = structural("What is wrong, the most frequent first.")
    corrections: list[QualityCount] = structural("What could be put right with a click.")
    duplicates: DuplicateCounts | None = structural("Profiles that may be one person's.")


@strawberry.type(description="How good the data of the whole base is.")
class DataQuality:
    """The reports."""

    @strawberry.field(description="The newest report; null if there is none yet.")
    async def latest(self, info: Info) -> QualityReport | None:
        """The newest."""
        service, access = _service(info)
        try:
            found = await service.latest(access)
        except ReadNotAllowedError:
            raise ForbiddenError(_NO_REPORTS) from None
        return None if found is None else _report(found)

    @strawberry.field(description="The reports of the last days, the newest first.")
    async def trend(
        self,
        info: Info,
        days: Annotated[int, strawberry.argument(description="How many days, 1 to 400.")] = 30,
    ) -> list[QualityReport]:
        """One for each day that has one."""
        if not 1 <= days <= _LONGEST_TREND:
            raise InputInvalidError(f"`days` must lie between 1 and {_LONGEST_TREND}.", field="days")
        service, access = _service(info)
        try:
            return [_report(each) for each in await service.trend(access, days)]
        except ReadNotAllowedError:
            raise ForbiddenError(_NO_REPORTS) from None


@strawberry.type(
    description="A suggested correction, computed when it is looked at: no suggestion's words are stored."
)
class Correction:
    """One suggestion."""

    id: strawberry.ID = structural("Its name.")
    profile_id: strawberry.ID = structural("Whose it is.")
    field: str = structural("The field's name in the catalogue.")
    kind: CorrectionKind = structural("From what it leads away.")
    current: str = structural("What is there.")
    suggested: str = structural("What would be there.")
    found_at: Timestamp = structural("When it was found.")


@strawberry.type(description="A page of suggestions, the oldest first.")
class CorrectionConnection:
    """Relay's connection, without edges."""

    nodes: list[Correction] = structural("The suggestions.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.type(description="Everything that can be asked.")
class QualityQuery:
    """What the root of queries has from here."""

    @strawberry.field(
        description="Reports on the data of the whole base.", directives=needs("read", "profile.updated_at")
    )
    async def data_quality(self) -> DataQuality:
        """The reports; each of its fields checks the permission."""
        return DataQuality()

    @strawberry.field(
        description="Suggested corrections that nobody has decided yet. The values they are about are read, gated and "
        "recorded like any others; a caller who may not see a field of every customer sees no suggestion about it.",
        directives=needs("read", "profile.*"),
    )
    async def corrections(
        self,
        info: Info,
        fields: Annotated[
            list[str] | None, strawberry.argument(description="Only those about these fields of the catalogue.")
        ] = None,
        first: First = 25,
        after: After = None,
    ) -> CorrectionConnection:
        """One page of the queue."""
        service, access = _service(info)
        wanted = tuple(CORRECTABLE if fields is None else sorted(set(fields)))
        if not set(wanted) <= set(CORRECTABLE):
            raise InputInvalidError(f"Corrections are suggested for {', '.join(CORRECTABLE)}.", field="fields")
        binding = _binding(access, wanted)
        try:
            page = await service.corrections.page(access, first_of(first), _position(info, after, binding), wanted)
        except ReadNotAllowedError:
            raise ForbiddenError(NO_SUGGESTIONS) from None
        ends = [
            info.context.services.vault.seal_token("cursor", msgspec.msgpack.encode(each.correction.seq), binding)
            for each in (page.items[:1] + page.items[-1:] if page.items else ())
        ]
        return CorrectionConnection(
            nodes=[_correction(each) for each in page.items],
            page_info=PageInfo(
                has_next_page=page.more,
                has_previous_page=after is not None,
                start_cursor=ends[0] if ends else None,
                end_cursor=ends[-1] if ends else None,
            ),
        )


def profile_quality(info: Info, customer_id: str, values: dict[str, object]) -> ProfileQuality | None:
    """The quality of a profile that this request read, with the fields this takes asked for; null where none are."""
    services = info.context.services
    if services.quality is None or customer_id not in info.context.access.known:
        return None
    found = quality_of(info.context.access, customer_id, values, services.quality.standards, services.now())
    return None if found is None else _quality(found)


def quality_names(info: Info) -> frozenset[str]:
    """The fields of a profile that telling its quality reads."""
    service = info.context.services.quality
    return frozenset() if service is None else service.standards.asked


def _quality(found: Quality) -> ProfileQuality:
    return ProfileQuality(
        score=found.score,
        completeness=found.completeness,
        validity=found.validity,
        staleness=found.staleness,
        issues=[QualityIssue(field=each.field, kind=QualityIssueKind[each.kind.name]) for each in found.issues],
    )


def _report(found: Report) -> QualityReport:
    means, pairs = found.means, found.duplicates
    values = {
        "day": found.day.isoformat(),
        "finished_at": found.finished_at.isoformat().replace("+00:00", "Z"),
        "policy_version": found.policy,
        "profiles": told(found.profiles),
        "not_allowed": told(found.not_allowed),
        "damaged": told(found.damaged),
        "score": means.score,
        "completeness": means.completeness,
        "validity": means.validity,
        "staleness": means.staleness,
        "issues": _counts(found.issues),
        "corrections": _counts(found.corrections),
        "duplicates": None
        if pairs is None
        else made(
            DuplicateCounts,
            {
                "share": pairs.share,
                "pairs": pairs.pairs,
                "compared": pairs.compared,
                "sure": told(pairs.sure),
                "review": told(pairs.review),
            },
        ),
    }
    return made(QualityReport, values)


def _counts(counts: Sequence[FieldCount]) -> list[QualityCount]:
    return [
        made(QualityCount, {"field": each.field, "kind": each.kind, "profiles": told(each.profiles)})
        for each in counts
    ]


def _correction(shown: Shown) -> Correction:
    held = shown.correction
    return Correction(
        id=strawberry.ID(held.id),
        profile_id=strawberry.ID(held.customer_id),
        field=held.field,
        kind=CorrectionKind[held.kind.name],
        current=shown.current,
        suggested=shown.suggested,
        found_at=Timestamp(held.found_at.isoformat().replace("+00:00", "Z")),
    )


def _service(info: Info) -> tuple[QualityService, Access]:
    service = info.context.services.quality
    if service is None:
        raise ForbiddenError("This server does not look after the quality of data.")
    return service, info.context.access


def _binding(access: Access, fields: Sequence[str]) -> bytes:
    """What a cursor is bound to: this caller, this purpose, these fields."""
    shape = ["corrections", access.caller.actor, access.grant.purpose.name, *fields]
    return hashlib.sha256(msgspec.json.encode(shape)).digest()


def _position(info: Info, after: str | None, binding: bytes) -> int:
    if after is None:
        return 0
    try:
        return msgspec.msgpack.decode(info.context.services.vault.open_token("cursor", after, binding), type=int)
    except (TokenInvalidError, msgspec.DecodeError):
        raise CursorInvalidError from None
