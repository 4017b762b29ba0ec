"""Exports of the access log, as GraphQL shows them."""

from enum import Enum

import strawberry

from audit import BundleForm
from customers.oversight.exports import Job, Stage
from schema.permission import structural
from schema.scalars import Count, Timestamp


@strawberry.enum(description="What an export holds besides the records' own bytes, which prove it.")
class AccessLogExportForm(Enum):
    """The GraphQL names of the forms."""

    JSONL = strawberry.enum_value(BundleForm.JSONL.value, description="Nothing: the records are JSON Lines.")
    CSV = strawberry.enum_value(
        BundleForm.CSV.value, description="A table that a spreadsheet opens without running anything in it."
    )
    OCSF = strawberry.enum_value(
        BundleForm.OCSF.value, description="Events of OCSF class 6005, Datastore Activity, one a line."
    )


@strawberry.enum(description="How far an export is.")
class AccessLogExportStage(Enum):
    """The GraphQL names of the stages."""

    WAITING = strawberry.enum_value(Stage.WAITING.value, description="Others are made before it.")
    RUNNING = strawberry.enum_value(Stage.RUNNING.value, description="It is being made.")
    DONE = strawberry.enum_value(Stage.DONE.value, description="Its file can be fetched.")
    FAILED = strawberry.enum_value(Stage.FAILED.value, description="There is no file; `message` says why.")


@strawberry.type(description="An export of the access log. Only the actor who asked for it can see it.")
class AccessLogExport:
    """One export job."""

    id: strawberry.ID = structural("Its id.")
    form: AccessLogExportForm = structural("What it holds besides the records.")
    stage: AccessLogExportStage = structural("How far it is.")
    read: Count = structural("How many entries were looked at.")
    of: Count | None = structural("Of how many; null until it is known.")
    found: Count = structural("How many entries are in it so far.")
    size: Count | None = structural("The size of the finished file in bytes.")
    sha256: str | None = structural("The SHA-256 of the finished file, hexadecimal.")
    created_at: Timestamp = structural("When it was asked for.")
    until: Timestamp = structural("Until when it is kept; then it is removed.")
    message: str | None = structural("Why it failed, and what to do.")
    url: str | None = structural(
        "The path on this server to fetch the finished file at, with the headers Authorization and Confide-Purpose."
    )


def shown_export(job: Job) -> AccessLogExport:
    """An export as its owner sees it."""
    return AccessLogExport(
        id=strawberry.ID(job.id),
        form=AccessLogExportForm[job.form.name],
        stage=AccessLogExportStage[job.stage.name],
        read=Count(job.read),
        of=None if job.of is None else Count(job.of),
        found=Count(job.found),
        size=None if job.size is None else Count(job.size),
        sha256=job.sha256,
        created_at=Timestamp(job.created),
        until=Timestamp(job.until),
        message=job.message,
        url=f"/exports/{job.id}" if job.stage is Stage.DONE else None,
    )


__all__ = ["AccessLogExport", "AccessLogExportForm", "AccessLogExportStage", "shown_export"]
