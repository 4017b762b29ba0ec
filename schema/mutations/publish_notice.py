"""The mutation `publishNotice`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.permission import needs, structural
from schema.types.consent import ConsentNotice, consents_of, shown_notice


@strawberry.input(description="A text that people are to be shown before they decide.")
class PublishNoticeInput:
    """Its name, which wording in which language, and the text."""

    name: str = strawberry.field(description="What it is, such as newsletter: lower-case letters, digits, . - and _.")
    version: str = strawberry.field(description="Which wording, such as 2026-11; of the same characters.")
    language: str = strawberry.field(description="As a language tag, such as en or pt-BR.")
    text: str = strawberry.field(description="Word for word as it is shown, 1 to 100,000 characters.")


@strawberry.type(description="The notice that was kept.")
class PublishNoticePayload:
    """The payload of `publishNotice`."""

    notice: ConsentNotice = structural("The notice; name it by its reference when recording a consent.")


@strawberry.mutation(
    description="Keep a notice for ever. The same text again changes nothing; another one under the same name, version and "
    "language is refused. For those who may write everybody's privacy choices, for a legal obligation.",
    directives=needs("write", "profile.consents"),
)
async def publish_notice(
    info: Info,
    input: Annotated[PublishNoticeInput, strawberry.argument(description="The notice.")],  # noqa: A002
) -> PublishNoticePayload:
    """Keep one notice."""
    notice = await consents_of(info.context).publish(
        info.context.access, input.name, input.version, input.language, input.text
    )
    return PublishNoticePayload(notice=shown_notice(notice))
