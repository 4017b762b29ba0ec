"""`confide policy`: check, explain and show what the policies allow, which needs no database; and put them in force."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from audit import Kind, Outcome, Record, timestamp
from customers.oversight.history import Progress
from customers.oversight.people import People
from customers.oversight.replay import Replay, replay
from customers.profiles.store import CustomerStore
from policies import Severity, Verdict, check_directory, explain, load_policies, matrix, matrix_html, matrix_table
from server.cli import replaying
from server.cli.instants import instant
from server.cli.output import err, out, print_json, progress
from server.cli.running import operator, with_platform
from server.platform import Platform
from server.settings import load_settings
from vault import Epoch

app = typer.Typer(no_args_is_help=True, help="Check, explain and show the policies.")

Directory = Annotated[
    Path | None, typer.Option("--policies", help="A directory of policy files; by default CONFIDE_POLICY_DIR's.")
]


def _count(findings: int) -> str:
    return {0: "No findings.", 1: "1 finding"}.get(findings, f"{findings} findings")


def _directory(given: Path | None) -> Path | None:
    return given or load_settings().policy_dir


@app.command("check")
def check_policies(
    directory: Directory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Look for mistakes: unknown names, rules that can never decide, roles that see everything.

    Exits with 3 when there are errors or warnings; notes are worth a look and no more.

    Example: confide policy check --policies ./our-policies
    """
    findings = check_directory(_directory(directory))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            out.print(str(finding), markup=False)
        err.print(_count(len(findings)))
    if any(finding.severity is not Severity.NOTE for finding in findings):
        raise typer.Exit(3)


@app.command("explain")
def explain_field(
    role: Annotated[str, typer.Option(help="The role that asks.")],
    purpose: Annotated[str, typer.Option(help="The purpose it states.")],
    field: Annotated[str, typer.Option(help="The field, such as profile.email.")],
    directory: Directory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Say what a role may do with a field for a purpose, and which rule decides.

    Example: confide policy explain --role marketer --purpose marketing --field profile.email
    """
    policies = load_policies(_directory(directory))
    alike = [path for path in policies.catalogue.fields if path.endswith(f".{field}")]
    if alike and field not in policies.catalogue.fields:
        err.print(f"confide: there is no such field; did you mean {' or '.join(alike)}?", markup=False)
        raise typer.Exit(1)
    explanation = explain(policies, role, purpose, field)
    if as_json:
        print_json({"sentence": explanation.sentence, **asdict(explanation)})
    else:
        out.print(explanation.sentence, markup=False)
        for rule in explanation.rules:
            out.print(f"  {rule}", markup=False)


@app.command("matrix")
def show_matrix(
    purpose: Annotated[str, typer.Option(help="The purpose to show.")] = "customer_service",
    role: Annotated[list[str] | None, typer.Option(help="Only these roles; may be repeated.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a web page here instead.")] = None,
    directory: Directory = None,
) -> None:
    """Show which role sees which field for a purpose.

    Example: confide policy matrix --purpose marketing --html matrix.html
    """
    policies = load_policies(_directory(directory))
    found = matrix(policies, purpose, role or None)
    cells = [cell for row in found.rows for cell in row.cells]
    if all(cell.verdict is Verdict.WITHHELD and not cell.may for cell in cells):
        err.print("No role may use this purpose." if role is None else "None of these roles may use this purpose.")
    elif html is None:
        out.print(matrix_table(found))
    else:
        html.write_text(matrix_html(found), encoding="utf-8")
        err.print(f"Wrote {html}")


@app.command("reload")
def reload_policies() -> None:
    """Have every process decide by the policy files as they are now. Broken files are refused, and nothing changes.

    When this returns, the next request everywhere is decided by them. Exits with 1, saying so, if a process could not
    load them: it keeps those it had. Another catalogue takes a restart.

    Example: confide policy check && confide policy reload
    """
    version = load_policies(load_settings().policy_dir).version

    async def work(platform: Platform) -> int:
        await platform.log.append(
            Record(
                kind=Kind.POLICY_CHANGE,
                time=timestamp(platform.now()),
                actor=operator(),
                roles=("administrator",),
                operation="confide policy reload",
                outcome=Outcome.ALLOWED,
                policy=version,
            )
        )
        await platform.vault.fleet.advance(Epoch.POLICY)
        others = await platform.keys["processes"].find({"policy": {"$ne": version}}, {"_id": 1}).to_list(None)
        return len(others)

    if left := with_platform(work):
        err.print(
            f"confide: {left} processes still decide by other policies. Give each the same files; "
            "if the catalogue changed, restart them."
        )
        raise typer.Exit(1)
    err.print(f"Every process decides by policy {version}.")


@app.command("replay")
def replay_policies(
    directory: Annotated[Path, typer.Option("--policy", help="The directory of the changed policy files.")],
    since: Annotated[str, typer.Option(help="From this day or moment on, such as 2026-05-14.")],
    until: Annotated[str | None, typer.Option(help="Before this day or moment; by default up to now.")] = None,
    past: Annotated[
        list[Path] | None,
        typer.Option(help="A directory of policy files that were in force then; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Run a changed policy over the accesses that really happened, and show what would have been decided otherwise.

    Changes nothing. Recorded in the access log as a search of it, in the role auditor for the purpose audit.
    Exits with 3 when anything would have been decided otherwise.

    Example: confide policy replay --policy ./our-policies --since 2026-05-01
    """
    span = instant(since), None if until is None else instant(until)
    policy = load_policies(directory)
    known = [load_policies(each) for each in past or ()]

    async def work(platform: Platform) -> Replay:
        access = platform.access(
            operator(), ("auditor",), "audit", operation=f"confide policy replay {policy.version}"
        )
        with progress("Replaying, percent of the time", 100) as advance:

            def tell(found: Progress) -> None:
                advance(int(100 * (found.share or 0)))

            return await replay(
                platform.log,
                access,
                policy,
                [*known, platform.policies.current],
                since=span[0],
                until=span[1],
                now=platform.now(),
                people=People(CustomerStore(platform.main), platform.vault),
                progress=tell,
            )

    found = with_platform(work)
    if as_json:
        print_json(replaying.document(found, policy))
    else:
        replaying.show(found, policy)
    if found:
        raise typer.Exit(3)
