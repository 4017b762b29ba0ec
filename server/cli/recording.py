"""What a command changed about keys or callers, recorded in the access log."""

from audit import Kind, Outcome, Record, timestamp
from server.cli.running import operator
from server.platform import Platform


async def record(platform: Platform, operation: str, outcome: Outcome = Outcome.ALLOWED) -> None:
    """Record what an administrator did; returns when the record is durable.

    Args:
        platform: Whose log.
        operation: The command as it is typed, with ids of accounts at most: no name, and nothing of a customer.
        outcome: How it ended.

    Raises:
        audit.AuditUnavailableError: It could not be recorded.
    """
    await platform.log.append(
        Record(
            kind=Kind.ADMIN,
            time=timestamp(platform.now()),
            actor=operator(),
            roles=("administrator",),
            operation=operation,
            outcome=outcome,
            policy=platform.policies.current.version,
        )
    )
