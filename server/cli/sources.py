"""`confide sources`: where events come from, and their write keys."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

import typer

from customers.collection.source_changes import KEPT, SourceChange, change_source
from customers.collection.source_counts import SourceCount, SourceCountStore
from customers.collection.sources import Source, SourceKind
from customers.errors import FieldProblem, InputInvalidError, SourceNotFoundError
from server.cli.output import err, out, print_json
from server.cli.plans import plan_store
from server.cli.recording import record
from server.cli.running import with_platform
from server.cli.webhook_sources import requests, secret, seen_to
from server.platform import Platform

app = typer.Typer(no_args_is_help=True, help="Sources of events: web shops, apps, tills; and their write keys.")

app.command("secret")(secret)
app.command("requests")(requests)
app.command("seen-to")(seen_to)

_MOST_GRACE_HOURS = 24.0 * 90

Name = Annotated[str, typer.Argument(help="What the source is called: lower-case letters, digits, - and _.")]


@app.command("create")
def create(
    name: Name,
    kind: Annotated[SourceKind, typer.Option(help="How it sends.")] = SourceKind.SEGMENT,
    plan: Annotated[
        str | None, typer.Option(help="The tracking plan its events follow. Without one everything is sealed.")
    ] = None,
    id_system: Annotated[
        str | None,
        typer.Option("--id-system", help="What stands before its user ids among a person's external ids: user."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="A web origin whose pages may send, such as https://shop.example; repeatable."),
    ] = None,
    consent: Annotated[
        list[str] | None,
        typer.Option("--consent", help="category=purpose: what a category of its consent objects means; repeatable."),
    ] = None,
) -> None:
    """Make a source and print its write key, which is shown only now.

    Example: confide sources create web-shop --origin https://shop.example
    """
    meaning = _pairs(consent or ())

    async def work(platform: Platform) -> str:
        _known(platform, meaning.values())
        _source, key = await platform.sources.create(
            name, kind=kind, plan=plan, id_system=id_system, origins=tuple(origin or ()), consent=meaning
        )
        # Before anybody knows the key.
        await record(platform, f"confide sources create {name}")
        if plan is not None and await plan_store(platform).current(plan) is None:
            err.print(
                "There is no tracking plan of this name yet: until there is, everything is sealed as unclassified."
            )
        return key

    out.print(with_platform(work), markup=False)


@app.command("update")
def update(
    name: Name,
    plan: Annotated[str | None, typer.Option(help="The tracking plan its events follow from now on.")] = None,
    no_plan: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--no-plan", help="Follow no plan any more: everything is sealed as unclassified.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="A web origin whose pages may send, instead of those before; repeatable."),
    ] = None,
    consent: Annotated[
        list[str] | None,
        typer.Option(
            "--consent", help="category=purpose, instead of what its consent categories meant before; repeatable."
        ),
    ] = None,
    declassify: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--declassify", help="Let the plan store in clear what the one before it seals.")
    ] = False,
) -> None:
    """Change what a source has: its plan, its web origins, what its consent categories mean. The rest stays.

    Example: confide sources update web-shop --plan shop
    """
    if no_plan and plan is not None:
        raise typer.BadParameter("give a plan or none", param_hint="--no-plan")
    if not (no_plan or plan or origin or consent):
        raise typer.BadParameter("say what to change: --plan, --no-plan, --origin or --consent")
    meaning = _pairs(consent or ())
    change = SourceChange(
        plan=plan if plan is not None else None if no_plan else KEPT,
        origins=tuple(origin) if origin else KEPT,
        consent=meaning if consent else KEPT,
    )

    async def work(platform: Platform) -> dict[str, object]:
        _known(platform, meaning.values())
        changed = await change_source(
            platform.sources,
            plan_store(platform),
            name,
            change,
            record=lambda: record(platform, f"confide sources update {name}"),
            declassify=declassify,
        )
        return _shown(changed, await SourceCountStore(platform.main).of(name))

    print_json(with_platform(work))


@app.command("list")
def list_sources() -> None:
    """List sources as JSON, without their write keys, each with how much it has sent.

    Example: confide sources list
    """

    async def work(platform: Platform) -> list[dict[str, object]]:
        counts = await SourceCountStore(platform.main).all()
        return [_shown(source, counts.get(source.name, SourceCount())) for source in await platform.sources.all()]

    print_json(with_platform(work))


@app.command("show")
def show(name: Name) -> None:
    """Show one source as JSON, without its write keys, and how much it has sent.

    Example: confide sources show web-shop
    """

    async def work(platform: Platform) -> dict[str, object]:
        source = await platform.sources.named(name)
        if source is None:
            raise SourceNotFoundError
        return _shown(source, await SourceCountStore(platform.main).of(name))

    print_json(with_platform(work))


@app.command("rotate")
def rotate(
    name: Name,
    grace_hours: Annotated[
        float,
        typer.Option(
            "--grace-hours",
            min=0.0,
            max=_MOST_GRACE_HOURS,
            help="How long the keys before it are good for, in hours.",
        ),
    ] = 24.0,
) -> None:
    """Give a source another write key and print it; it is shown only now. The old one goes on for a while.

    Example: confide sources rotate web-shop --grace-hours 48
    """

    async def work(platform: Platform) -> str:
        # The record first: a rotation without grace must not happen unrecorded, and a name that is none is told.
        if await platform.sources.named(name) is None:
            raise SourceNotFoundError
        await record(platform, f"confide sources rotate {name}")
        return await platform.sources.rotate(name, grace=timedelta(hours=grace_hours))

    out.print(with_platform(work), markup=False)


@app.command("disable")
def disable(name: Name) -> None:
    """Take nothing from a source any more; every server feels it within a second.

    Example: confide sources disable old-app
    """

    async def work(platform: Platform) -> None:
        await platform.sources.disable(name)
        # Afterwards: a log that does not answer must not keep a source open.
        await record(platform, f"confide sources disable {name}")

    with_platform(work)
    err.print("Disabled.")


def _pairs(given: Iterable[str]) -> dict[str, str]:
    """`category=purpose` options as a mapping."""
    pairs: dict[str, str] = {}
    for each in given:
        category, sign, purpose = each.partition("=")
        if not (category.strip() and sign and purpose.strip()):
            raise InputInvalidError([FieldProblem("consent", "must be category=purpose")])
        pairs[category.strip()] = purpose.strip()
    return pairs


def _known(platform: Platform, purposes: Iterable[str]) -> None:
    """Return only if every purpose is one of the policies'.

    Raises:
        InputInvalidError: One is not; a consent for it would never count.
    """
    known = platform.policies.current.purposes
    if any(purpose not in known for purpose in purposes):
        raise InputInvalidError(
            [FieldProblem("consent", f"there is no such purpose; there are: {', '.join(sorted(known))}")]
        )


def _shown(source: Source, count: SourceCount) -> dict[str, object]:
    return {
        "name": source.name,
        "kind": source.kind.value,
        "plan": source.plan,
        "id_system": source.id_system,
        "origins": list(source.origins),
        "consent": dict(source.consent),
        "created_at": source.created_at.isoformat(),
        "disabled": source.disabled,
        "signed": source.signed,
        "events": {
            "received": count.received,
            "accepted": count.accepted,
            "duplicates": count.duplicates,
            "omitted": count.omitted,
            "refused": count.refused,
            "first_at": None if count.first_at is None else count.first_at.isoformat(),
            "last_at": None if count.last_at is None else count.last_at.isoformat(),
        },
    }
