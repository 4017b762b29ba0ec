"""`confide identity`: profiles that are one person, and share no identifier that would say so."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from time import monotonic
from typing import Annotated, Final

import typer

from customers.identity.finding import PURPOSE, READER, STEWARD, MatchReport, Step
from server.cli.output import Advance, err, out, print_json, progress
from server.cli.recording import record
from server.cli.running import operator, with_platform
from server.platform import Platform

app = typer.Typer(no_args_is_help=True, help="Find profiles that are one person though no identifier says so.")

_OPERATION = "confide identity match"
_DOING: Final = {
    Step.INDEXING: "Looking who changed",
    Step.LEARNING: "Learning how alike records of one person are",
    Step.COMPARING: "Comparing with who shares something",
    Step.MERGING: "Joining who is sure",
}


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
    steps = _Steps()

    async def work(platform: Platform) -> MatchReport:
        access = platform.access(operator(), READER, PURPOSE, operation=_OPERATION)
        joining = None
        if platform.settings.identity_auto_merge:
            joining = platform.access(operator(), STEWARD, PURPOSE, operation=_OPERATION)
        with steps:
            return await platform.matching.run(access, joining, dry=dry_run, learn=learn, limit=limit, progress=steps)

    report = with_platform(work)
    if as_json:
        print_json(
            {**asdict(report), "seconds": {each.value: round(took, 2) for each, took in steps.seconds.items()}}
        )
        return
    _show(report, steps.seconds)


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


class _Steps:
    """Shows how far each step is, and keeps how long it took."""

    def __init__(self) -> None:
        self.seconds: dict[Step, float] = {}
        self._stack = ExitStack()
        self._step: Step | None = None
        self._advance: Advance | None = None
        self._began = 0.0

    def __call__(self, step: Step, done: int, total: int) -> None:
        if self._advance is None or step is not self._step:
            self._stack.close()
            self._step, self._advance = step, self._stack.enter_context(progress(_DOING[step], total))
        self._advance(done, total)
        now = monotonic()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._began
        self._began = now

    def __enter__(self) -> None:
        self._began = monotonic()

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _show(report: MatchReport, seconds: Mapping[Step, float]) -> None:
    by = (
        "the shipped figures"
        if not report.parameters
        else f"figures learnt from this base (number {report.parameters})"
    )
    lines = [
        ("Profiles opened for their tokens", f"{report.indexed:,}"),
        ("Compared with who shares something", f"{report.compared:,} in {report.pairs:,} pairs"),
        ("Weighed by", by + (", learnt now" if report.learnt else "")),
        ("One person for sure", f"{report.sure:,}"),
        ("For somebody to look at", f"{report.grey:,}"),
        ("Said to be two before", f"{report.told_apart:,}"),
    ]
    if not report.dry:
        lines += [
            ("Cases opened", f"{report.opened:,}"),
            ("Joined", f"{report.merged:,}"),
            ("Sure, but left to a person", f"{report.held:,}"),
        ]
    parts = ", ".join(f"{each.value} {took:.1f}" for each, took in seconds.items())
    lines.append(("Seconds", f"{sum(seconds.values()):.1f}" + (f" ({parts})" if parts else "")))
    for name, value in lines:
        out.print(f"{name:<36}{value}")
    if report.passed_over:
        out.print(f"{report.passed_over:,} combinations were passed over: too many share them.")
    if report.dry:
        out.print("Nothing was decided: it was a dry run.")
    elif report.opened:
        out.print("The cases wait in the console, under People to review.")
    if report.left:
        out.print("The limit was reached: run it again to go on.")
