"""The root of every mutation; one file for each."""

from typing import Any

from strawberry.tools import create_type

from schema.mutations.add_identifier import add_identifier
from schema.mutations.apply_correction import apply_correction, dismiss_correction
from schema.mutations.begin_privacy_request import begin_privacy_request
from schema.mutations.cancel_privacy_request import cancel_privacy_request
from schema.mutations.complete_privacy_request import complete_privacy_request
from schema.mutations.confirm_privacy_request import confirm_privacy_request
from schema.mutations.create_profile import create_profile
from schema.mutations.deny_privacy_request import deny_privacy_request
from schema.mutations.end_break_glass import end_break_glass
from schema.mutations.erase_customer import erase_customer
from schema.mutations.export_access_log import cancel_access_log_export, export_access_log
from schema.mutations.extend_privacy_request import extend_privacy_request
from schema.mutations.hold_privacy_request import hold_privacy_request
from schema.mutations.merge_profiles import merge_profiles
from schema.mutations.open_break_glass import open_break_glass
from schema.mutations.open_privacy_request import open_privacy_request
from schema.mutations.publish_notice import publish_notice
from schema.mutations.record_consent import record_consent
from schema.mutations.remove_identifier import remove_identifier
from schema.mutations.resolve_identity_case import resolve_identity_case
from schema.mutations.review_break_glass import review_break_glass
from schema.mutations.unmerge_profile import unmerge_profile
from schema.mutations.update_profile import update_profile

_ALL: list[Any] = [
    create_profile,
    update_profile,
    add_identifier,
    remove_identifier,
    publish_notice,
    record_consent,
    erase_customer,
    export_access_log,
    cancel_access_log_export,
    apply_correction,
    dismiss_correction,
    merge_profiles,
    unmerge_profile,
    resolve_identity_case,
    open_privacy_request,
    confirm_privacy_request,
    begin_privacy_request,
    extend_privacy_request,
    hold_privacy_request,
    deny_privacy_request,
    complete_privacy_request,
    cancel_privacy_request,
    open_break_glass,
    end_break_glass,
    review_break_glass,
]

Mutation = create_type(
    "Mutation", _ALL, description="Everything that can be changed. Each change is recorded before it is made."
)

__all__ = ["Mutation"]
