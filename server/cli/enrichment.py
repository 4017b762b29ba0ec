"""`confide enrich`: values that other sources know, added to profiles."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from customers.enrichment import ROLE, Definition, RunReport, Swept, load_definition, make_provider
from customers.enrichment.csv_table import CsvTableProvider
from policies import load_policies
from server.cli.output import err, out, print_json, progress
from server.cli.running import operator, with_platform
from server.enrichment import allowed_hosts, definition_named, enrichments, expire, named_as_file
from server.platform import Platform
from server.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Add values that other sources know, each with where it is from.")

AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command("check")
def check(
    file: Annotated[
        Path, typer.Argument(help="The enrichment: TOML (docs/enrichment.md).", exists=True, dir_okay=False)
    ],
) -> None:
    """Check an enrichment against the policies, and whether its provider can be opened. Looks nobody up.

    Example: confide enrich check enrichments/region.toml
    """
    settings = load_settings()
    found = named_as_file(file, load_definition(file, load_policies(settings.policy_dir)))
    provider = make_provider(found, allowed_hosts(settings), random=os.urandom)

    async def opened() -> None:
        async with provider:
            if isinstance(provider, CsvTableProvider):
                doubtful = f"; {provider.doubtful} keys stand there twice and disagree" if provider.doubtful else ""
                out.print(f"The table has {provider.rows} keys{doubtful}.")

    asyncio.run(opened())
    _say(found)
    where = "are looked up on this machine" if provider.recipient is None else f"are sent to {provider.recipient}"
    out.print(f"Keys ({', '.join(each.field.value for each in found.key)}) {where}.", markup=False)


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="The enrichment: the name of a file in CONFIDE_ENRICHMENT_DIR.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, and send no key to anybody.")] = False,  # noqa: FBT002
    limit: Annotated[int | None, typer.Option(min=1, help="How many customers to look up at most.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
) -> None:
    """Run an enrichment over everybody who allows it; a run that did not come to its end is gone on with.

    Exits with 3 when anything failed.

    Example: confide enrich run region --dry-run
    """
    settings = load_settings()
    found = definition_named(settings, load_policies(settings.policy_dir), name)
    with progress(f"Enriching: {found.name}") as advance:

        async def work(platform: Platform) -> RunReport:
            service = await enrichments(platform)
            access = platform.access(operator(), (ROLE,), found.purpose, operation=_operation(found))
            return await service.run(access, found, dry_run=dry_run, limit=limit, progress=advance)

        report = with_platform(work, settings=settings)
    if as_json:
        print_json(_document(report))
    else:
        _tell(report)
    if report.failed:
        raise typer.Exit(3)


@app.command("expire")
def expire_now(as_json: AsJson = False) -> None:  # noqa: FBT002 - as above
    """Take away every value of an enrichment that has expired. The worker does this once a minute.

    Example: confide enrich expire
    """

    async def work(platform: Platform) -> Swept:
        return await expire(platform, await enrichments(platform), operator())

    swept = with_platform(work)
    if as_json:
        print_json({"profiles": swept.profiles, "values": swept.values, "left": swept.left})
        return
    out.print(f"{swept.values} values of {swept.profiles} customers have expired and were taken away.")
    if swept.left:
        err.print(f"{swept.left} profiles were left: they changed just now, or are damaged. Run it again.")


def _operation(definition: Definition) -> str:
    """What a record says was done; of a provider elsewhere, to whom keys were sent."""
    provider = make_provider(definition, allowed_hosts(load_settings()), random=os.urandom)
    to = "" if provider.recipient is None else f", sent to {provider.recipient}"
    return f"confide enrich run {definition.name}{to}"[:256]


def _say(definition: Definition) -> None:
    lasts = "for good" if definition.expires_after is None else f"for {definition.expires_after.days} days"
    targets = ", ".join(each.target for each in definition.writes)
    out.print(
        f"{definition.name} writes {targets}, from {definition.source} ({definition.licence}), {lasts}; "
        f"for {definition.purpose}, which rests on {definition.basis.value}.",
        markup=False,
    )


def _tell(report: RunReport) -> None:
    verb = "would be written" if report.dry_run else "written"
    out.print(
        f"{report.looked_at} customers looked at, {report.looked_up} looked up, {report.found} found, "
        f"{report.written} {verb}, {report.failed} failed."
    )
    if report.skipped:
        out.print("Skipped: " + ", ".join(f"{count} {why.value}" for why, count in report.skipped.items()) + ".")
    if not report.finished:
        out.print("It is not at its end: run it again to go on.")


def _document(report: RunReport) -> dict[str, Any]:
    return {
        "looked_at": report.looked_at,
        "looked_up": report.looked_up,
        "found": report.found,
        "written": report.written,
        "skipped": {why.value: count for why, count in report.skipped.items()},
        "failed": report.failed,
        "finished": report.finished,
        "dry_run": report.dry_run,
    }
