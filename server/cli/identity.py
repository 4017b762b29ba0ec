"""`confide identity`: profiles that are one person, and share no identifier that would say so."""

from dataclasses import asdict
from typing import Annotated

import typer

from customers.identity.finding import PURPOSE, READER, STEWARD, MatchReport, Step
from server.cli.output import err, out, print_json, progress
from server.cli.recording import record
from server.cli.running import operator, with_platform
from server.platform import Platform

app = typer.Typer(no_args_is_help=True, help="Find profiles that are one person though no identifier says so.")

_OPERATION = "confide identity match"


@app.command("match")
def match(
    dry_run: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--dry-run", help="Decide nothing: open no case, join nobody.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many changed profiles to look at; the next run goes on.")
    ] = None,
    learn: Annotated[  # noqa: FBT002 - as above
        bool, typer.Option("--learn", help="Learn anew how alike records of one person are, though that is known.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,  # noqa: FBT002 - as above
) -> None:
    """Compare who changed since the last run with all who share something with them, under the purpose identity_resolution.

    Pairs that may be one person open a case for somebody to decide. Sure ones are joined with nobody looking if
    CONFIDE_IDENTITY_AUTO_MERGE is on. Every profile that is opened is recorded.

    Example: confide identity match --dry-run
    """
    with progress("Looking for candidates") as advance:
        at: list[Step] = []

        def told(step: Step, done: int, total: int) -> None:
            if at != [step]:
                at[:] = [step]
                err.print(f"{step.value.capitalize()} …")
            advance(done, total)

        async def work(platform: Platform) -> MatchReport:
            access = platform.access(operator(), READER, PURPOSE, operation=_OPERATION)
            joining = None
            if platform.settings.identity_auto_merge:
                joining = platform.access(operator(), STEWARD, PURPOSE, operation=_OPERATION)
            return await platform.matching.run(access, joining, dry=dry_run, learn=learn, limit=limit, progress=told)

        report = with_platform(work)
    if as_json:
        print_json(asdict(report))
        return
    _show(report)


@app.command("rebuild")
def rebuild() -> None:
    """Forget every token and whom was looked at: the next run makes all tokens anew and compares everybody.

    Cases and decisions stay. Example: confide identity rebuild
    """

    async def work(platform: Platform) -> None:
        await record(platform, "confide identity rebuild")
        await platform.matching.rebuild()

    with_platform(work)
    err.print("Done. Now run: confide identity match")


def _show(report: MatchReport) -> None:
    parameters = "as shipped" if not report.parameters else f"number {report.parameters}"
    out.print(
        f"{report.indexed} profiles opened for their tokens, {report.compared} compared with their candidates in "
        f"{report.pairs} pairs; parameters {parameters}{', learnt now' if report.learnt else ''}."
    )
    out.print(
        f"One person for sure: {report.sure}. To be looked at: {report.grey}. Said to be two before: {report.told_apart}."
    )
    if report.passed_over:
        out.print(f"{report.passed_over} combinations were passed over: too many share them.")
    if report.dry:
        out.print("Nothing was decided.")
        return
    out.print(f"Cases opened: {report.opened}. Joined: {report.merged}. Sure, but left to a person: {report.held}.")
    if report.left:
        out.print("The limit was reached: run it again to go on.")
