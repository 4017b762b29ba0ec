"""`confide quality`: the report on the quality of the data."""

from typing import Annotated, Any

import typer
from rich.table import Table

from customers.quality import PURPOSE, ROLE, FieldCount, QualityService, Report, told
from server.cli.output import err, out, print_json, progress
from server.cli.running import operator, with_platform
from server.platform import Platform

app = typer.Typer(
    no_args_is_help=True,
    help="Report on the quality of the data: what is missing, wrong, out of date or there twice.",
)

_MOST_SHOWN = 20
_NONE = "There is no report yet; make one with: confide quality run"

AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command("run")
def run(as_json: AsJson = False) -> None:  # noqa: FBT002 - an option of a command line
    """Make today's report, anew if there is one: every profile is read once, under the purpose data_quality, and recorded.

    Example: confide quality run
    """
    with progress("Looking at profiles") as advance:

        async def work(platform: Platform) -> Report:
            access = platform.access(operator(), (ROLE,), PURPOSE, operation="confide quality run")
            return await _quality(platform).run(access, again=True, progress=advance)

        report = with_platform(work)
    _show(report, [report], as_json=as_json)


@app.command("report")
def report(
    as_json: AsJson = False,  # noqa: FBT002 - as above
    days: Annotated[int, typer.Option(min=1, max=400, help="How many days the trend goes back.")] = 30,
) -> None:
    """Print the newest report, and the trend.

    Example: confide quality report --days 90
    """

    async def work(platform: Platform) -> tuple[Report | None, list[Report]]:
        access = platform.access(
            operator(), ("administrator",), "data_management", operation="confide quality report"
        )
        service = _quality(platform)
        return await service.latest(access), await service.trend(access, days)

    latest, trend = with_platform(work)
    if latest is None:
        err.print(_NONE)
        raise typer.Exit(1)
    _show(latest, trend, as_json=as_json)


def _quality(platform: Platform) -> QualityService:
    found = platform.services.quality
    if found is None:
        raise TypeError("a platform always has it")
    return found


def _show(report: Report, trend: list[Report], *, as_json: bool) -> None:
    if as_json:
        print_json({**_document(report), "trend": [_point(each) for each in trend]})
        return
    means = report.means
    out.print(
        f"{report.day.isoformat()}: {told(report.profiles)} profiles looked at, score {_mean(means.score)} of 100 "
        f"(complete {_mean(means.completeness)}, valid {_mean(means.validity)}, stale {_mean(means.staleness)})."
    )
    if report.not_allowed != 0:
        out.print(f"{told(report.not_allowed)} were not looked at: their rights do not allow it.")
    if report.damaged != 0:
        out.print(f"{told(report.damaged)} could not be looked at: what is stored was not sealed there.")
    _counts("Issues", report.issues)
    _counts("Suggested corrections", report.corrections)
    if (pairs := report.duplicates) is not None:
        share = "" if pairs.share >= 1 else f", of a sample of {pairs.share:.0%} of what pairs are found by"
        out.print(
            f"Duplicates: {pairs.compared} of {pairs.pairs} pairs compared{share}; one person for sure: "
            f"{told(pairs.sure)}, to be looked at: {told(pairs.review)}."
        )
    if len(trend) > 1:
        table = Table("day", "profiles", "score", "complete", "valid", "stale", title="Trend", title_justify="left")
        for each in trend:
            parts = (each.means.score, each.means.completeness, each.means.validity, each.means.staleness)
            table.add_row(each.day.isoformat(), str(told(each.profiles)), *map(_mean, parts))
        out.print(table)


def _counts(title: str, counts: tuple[FieldCount, ...]) -> None:
    if not counts:
        return
    table = Table("field", "what", "profiles", title=title, title_justify="left")
    for each in counts[:_MOST_SHOWN]:
        table.add_row(each.field, each.kind, str(told(each.profiles)))
    out.print(table)
    if len(counts) > _MOST_SHOWN:
        out.print(f"… and {len(counts) - _MOST_SHOWN} more; --json has them all.")


def _mean(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _point(report: Report) -> dict[str, Any]:
    means = report.means
    return {
        "day": report.day.isoformat(),
        "profiles": told(report.profiles),
        "score": means.score,
        "completeness": means.completeness,
        "validity": means.validity,
        "staleness": means.staleness,
    }


def _document(report: Report) -> dict[str, Any]:
    pairs = report.duplicates
    return {
        **_point(report),
        "finished_at": report.finished_at.isoformat(),
        "policy": report.policy,
        "not_allowed": told(report.not_allowed),
        "damaged": told(report.damaged),
        "issues": [
            {"field": each.field, "kind": each.kind, "profiles": told(each.profiles)} for each in report.issues
        ],
        "corrections": [
            {"field": each.field, "kind": each.kind, "profiles": told(each.profiles)} for each in report.corrections
        ],
        "duplicates": None
        if pairs is None
        else {
            "share": pairs.share,
            "pairs": pairs.pairs,
            "compared": pairs.compared,
            "sure": told(pairs.sure),
            "review": told(pairs.review),
        },
    }
