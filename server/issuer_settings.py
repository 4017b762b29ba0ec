"""Whose tokens are accepted: the form of an entry of the setting `issuers`."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from server.loopback import is_loopback

Algorithm = Literal["RS256", "PS256", "ES256", "Ed25519", "EdDSA"]
Prefix = Annotated[str, Field(pattern=r"^([a-z][a-z0-9-]{0,31}:)?$")]


class ClaimNames(BaseModel):
    """Where an issuer's tokens carry what Confide asks for; a dot steps into an object (`realm_access.roles`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    roles: str = Field(default="roles", description="The roles: a list, or words separated by spaces.")
    purposes: str = Field(
        default="purposes", description="The purposes that may be stated; absent: any the roles allow."
    )
    regions: str = Field(default="regions", description="The regions a region-scoped role may see.")
    customer: str = Field(
        default="customer_id", description="The customer the token belongs to (role `customer` only)."
    )
    client: str = Field(default="client_id", description="The application; `azp` is read where this is absent.")


class IssuerSettings(BaseModel):
    """One issuer whose tokens are accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(min_length=1, max_length=255, description="The exact `iss` of its tokens.")
    audience: str = Field(min_length=1, max_length=255, description="What `aud` must be or hold: this Confide.")
    jwks: str = Field(description="Where its keys are: an https URL (http on loopback only), or an absolute path.")
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "PS256", "ES256", "Ed25519", "EdDSA"),
        min_length=1,
        description="The algorithms it may sign with.",
    )
    claims: ClaimNames = Field(default=ClaimNames(), description="The names of its claims.")
    actor_prefix: Prefix = Field(default="", description="Stands before its subjects in the access log (`okta:`).")
    allowed_roles: frozenset[str] | None = Field(
        default=None, description="The only roles it can grant; others in its tokens grant nothing. Absent: any role."
    )

    @field_validator("jwks")
    @classmethod
    def _jwks_is_reachable_safely(cls, value: str) -> str:
        if value.startswith("/"):
            return value
        try:
            parts = urlsplit(value)
            safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
            if safe and parts.hostname and parts.username is None and parts.port != 0:
                return value
        except ValueError:
            pass
        raise PydanticCustomError(
            "jwks", "must be an https URL without a user name, http on loopback, or an absolute path"
        )
