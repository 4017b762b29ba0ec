"""Work that must happen later, or again until it succeeds: leased jobs in the database.

Every job happens at least once, so what carries one out must not mind doing it twice. Whoever takes a job has it for the
length of a lease; a process that dies loses it to another.
"""

from customers.jobs.model import Job, JobFailedError, JobHopelessError, JobPostponedError, JobState, Retries
from customers.jobs.runner import Handler, JobRunner
from customers.jobs.store import JobStore, NewJob

__all__ = [
    "Handler",
    "Job",
    "JobFailedError",
    "JobHopelessError",
    "JobPostponedError",
    "JobRunner",
    "JobState",
    "JobStore",
    "NewJob",
    "Retries",
]
