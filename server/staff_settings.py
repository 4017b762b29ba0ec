"""How staff sign in through an identity provider: the form of the setting `staff_oidc`."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,31}:")
_OURS = frozenset({"service:", "cli:", "staff:", "source:"})


class StaffOIDC(BaseModel):
    """An OpenID Connect provider that says who of the staff somebody is."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(min_length=1, max_length=255, description="The provider, exactly as it names itself.")
    client_id: str = Field(min_length=1, max_length=255, description="What it knows this console by.")
    authentication: Literal["client_secret_basic", "client_secret_post", "none"] = Field(
        default="client_secret_basic",
        description="How the console proves itself, with `staff_oidc_secret`; `none` is a public client.",
    )
    label: str = Field(
        default="your company's sign-in", min_length=1, max_length=64, description="What stands on the button."
    )
    scopes: tuple[str, ...] = Field(default=("openid", "profile", "email"), description="What is asked for.")
    actor_claim: Literal["sub", "email", "preferred_username"] = Field(
        default="sub", description="What the access log calls them; an e-mail counts only when it is verified."
    )
    actor_prefix: str = Field(default="sso:", description="Stands before it.")
    groups_claim: str = Field(
        default="groups", description="Where the ID token has their groups; a dot steps into an object."
    )
    roles: dict[str, tuple[str, ...]] = Field(
        min_length=1, description="The roles that each group gives; a group that is not here gives none."
    )
    regions_claim: str | None = Field(
        default=None, description="Where it has their regions, for roles that see a region."
    )

    @field_validator("issuer")
    @classmethod
    def _issuer_is_reached_safely(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
            if safe and parts.hostname and parts.username is None and not parts.query and not parts.fragment:
                return value
        except ValueError:
            pass
        raise PydanticCustomError(
            "issuer", "must be an https URL without a user name or query; http on loopback only"
        )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if "openid" not in self.scopes or not all(re.fullmatch(r"[!#-\[\]-~]+", scope) for scope in self.scopes):
            raise PydanticCustomError("scopes", "scopes must hold openid, and words alone")
        if _PREFIX.fullmatch(self.actor_prefix) is None or self.actor_prefix in _OURS:
            raise PydanticCustomError(
                "actor_prefix", "actor_prefix is a word and a colon, and not one of this server's"
            )
        if any("customer" in roles for roles in self.roles.values()):
            raise PydanticCustomError("roles", "no group of staff may have the role customer")
        return self


__all__ = ["StaffOIDC"]
