"""`confide plans`: what events are expected to hold, and how often they did not."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from audit import Outcome
from customers.collection.errors import PlanInvalidError, PlanNotFoundError
from customers.collection.plan_file import load_plan
from customers.collection.plans import PlanStore, PlanVersion, TrackingPlan, as_document
from customers.collection.violations import Count, ViolationStore
from customers.errors import CustomersError
from policies import load_policies
from server.cli.output import err, out, print_json
from server.cli.recording import record
from server.cli.running import operator, with_platform
from server.platform import Platform
from server.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Check, put and show tracking plans, and list what was not as they say.")

File = Annotated[Path, typer.Argument(help="The plan, a .toml or .json file (docs/tracking-plans.md).")]
Name = Annotated[str, typer.Argument(help="The plan's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def plan_store(platform: Platform) -> PlanStore:
    """The tracking plans."""
    return PlanStore(platform.main, catalogue=platform.policies.current.catalogue, now=platform.now)


def _contents(plan: TrackingPlan) -> str:
    rules = [rule for _, rule in plan.rules()]
    clear = sum(rule.clear for rule in rules)
    return f"{len(plan.events)} events, {len(plan.traits)} traits; {clear} of {len(rules)} properties and traits in clear"


@app.command("check")
def check_plan(file: File) -> None:
    """Look for mistakes in a plan; needs no database. Exits with 3 when there are any.

    Example: confide plans check shop.toml
    """
    try:
        plan = load_plan(file, load_policies(load_settings().policy_dir).catalogue)
    except PlanInvalidError as error:
        for fault in error.faults:
            out.print(fault, markup=False)
        err.print("1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults")
        raise typer.Exit(3) from None
    err.print(f"No faults: {plan.name}, {_contents(plan)}.", markup=False)


@app.command("put")
def put_plan(
    file: File,
    declassify: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--declassify", help="Let values that were sealed until now be stored in clear.")
    ] = False,
) -> None:
    """Put a plan in force as the next version of its name; events follow it everywhere within a second.

    Recorded in the access log. What was sealed already stays sealed.

    Example: confide plans put shop.toml
    """

    async def work(platform: Platform) -> TrackingPlan:
        plan = load_plan(file, platform.policies.current.catalogue)
        store = plan_store(platform)
        await store.prepare()
        operation = f"confide plans put {plan.name}" + (" --declassify" if declassify else "")
        await record(platform, operation)
        try:
            return await store.put(plan, by=operator(), declassify=declassify)
        except CustomersError:
            await record(platform, operation, Outcome.REFUSED)
            raise

    found = with_platform(work)
    err.print(f"In force: {found.name}, version {found.version}: {_contents(found)}.", markup=False)


@app.command("list")
def list_plans(as_json: AsJson = False) -> None:  # noqa: FBT002 - an option of a command line
    """List the plans, each as it is now.

    Example: confide plans list
    """

    async def work(platform: Platform) -> Sequence[PlanVersion]:
        return await plan_store(platform).newest()

    found = with_platform(work)
    if as_json:
        print_json([_version_document(each) for each in found])
        return
    if not found:
        err.print("There is no plan. Put one with confide plans put FILE.")
        return
    table = Table("Plan", "Version", "Since", "Put by", "What it has", box=None)
    for each in found:
        since = each.put_at.isoformat(timespec="seconds")
        table.add_row(each.plan.name, str(each.plan.version), since, each.put_by, _contents(each.plan))
    out.print(table)


def _version_document(found: PlanVersion) -> dict[str, Any]:
    plan = found.plan
    return {"name": plan.name, "version": plan.version, "put_at": found.put_at.isoformat(), "put_by": found.put_by}


@app.command("show")
def show_plan(
    name: Name,
    version: Annotated[int | None, typer.Option(help="This version; by default the newest.", min=1)] = None,
) -> None:
    """Print a plan as a JSON file that can be changed and put again.

    Example: confide plans show shop --version 2 > shop.json
    """

    async def work(platform: Platform) -> PlanVersion:
        store = plan_store(platform)
        if version is not None:
            return await store.version(name, version)
        found = await store.versions(name)
        if not found:
            raise PlanNotFoundError
        return found[0]

    found = with_platform(work)
    err.print(
        f"{found.plan.name}, version {found.plan.version}, put {found.put_at.isoformat(timespec='seconds')} "
        f"by {found.put_by}",
        markup=False,
    )
    print_json(as_document(found.plan))


@app.command("violations")
def list_violations(
    source: Annotated[str | None, typer.Option(help="Only those of this source.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most, the newest days first.", min=1, max=500)] = 50,
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
) -> None:
    """List what was not as the plans say: how often, for each source and day. No value is kept, nor is any shown.

    Example: confide plans violations --source web
    """

    async def work(platform: Platform) -> tuple[Sequence[Count], str | None]:
        return await ViolationStore(platform.main).page(platform.now().date(), source=source, limit=limit)

    found, more = with_platform(work)
    if as_json:
        print_json([_count_document(each) for each in found])
        return
    if not found:
        err.print("No violations.")
        return
    table = Table("Day", "Source", "Event", "Property", "What", "Count", box=None)
    for each in sorted(found, key=lambda each: (-each.day.toordinal(), -each.count)):
        words = each.kind.replace("_", " ")
        table.add_row(each.day.isoformat(), each.source, each.event, each.subject, words, str(each.count))
    out.print(table)
    if more:
        err.print(f"There are more; --limit shows up to 500 of them, and here are {len(found)}.")


def _count_document(count: Count) -> dict[str, Any]:
    return {
        name: value.isoformat() if name in _TIMES else value for name, value in asdict(count).items() if name != "id"
    }


_TIMES = frozenset({"day", "first_at", "last_at"})
