"""The settings: read once, where everything is wired, and never seen by the domain.

Every setting is an environment variable with the prefix `CONFIDE_`, or a file of that name in the directory named
by `CONFIDE_SECRETS_DIR`. `docs/settings.md` is generated from this file by `scripts/docs`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from server.errors import SettingsError
from server.issuer_settings import IssuerSettings
from server.setting_forms import known_root_key, uri_of_mongodb, uri_of_smtp, url_of_collector, url_of_witness
from server.settings_faults import PREFIX, SECRETS_DIR, describe, misspelt, unreadable
from server.staff_settings import StaffOIDC

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
RequestKind = Literal["access", "portability", "rectification", "erasure", "restriction", "objection", "opt_out"]
DatabaseName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,38}$")]


class Settings(BaseSettings):
    """Everything an operator can set. Frozen; a secret has no default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True, validate_default=True
    )

    # Where things are kept
    mongo_uri: SecretStr | None = Field(
        default=None,
        description="The MongoDB that holds the profiles. Unset: the embedded engine, started over `data_dir`.",
    )
    keys_uri: SecretStr | None = Field(
        default=None,
        description="The MongoDB that holds the key records; its own server gives it its own backups. "
        "Unset: the same server.",
    )
    audit_uri: SecretStr | None = Field(
        default=None, description="The MongoDB that holds the access log. Unset: the same server."
    )
    main_database: DatabaseName = Field(default="confide", description="The name of the database of profiles.")
    keys_database: DatabaseName = Field(
        default="confide_keys", description="The name of the database of key records."
    )
    audit_database: DatabaseName = Field(
        default="confide_audit", description="The name of the database of the access log."
    )
    mongo_driver: Literal["pymongo", "motor"] = Field(
        default="pymongo", description="The driver; `motor` needs the extra of that name (decision 0001)."
    )
    data_dir: Path = Field(
        default=Path(".confide"),
        description="The directory of the key ring, the local issuer's key and the embedded engine's data.",
    )
    tenant: str = Field(
        default="main",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="The name bound into every ciphertext; never change it after the first start.",
    )
    controller: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Who is responsible for the data (GDPR Article 4(7)), as people know the company. It stands on consent "
        "receipts.",
    )
    policy_dir: Path | None = Field(
        default=None, description="A directory of policy files. Unset: the shipped policies."
    )

    # Keys
    root_key: str | None = Field(
        default=None,
        description="What seals the key ring: `file:/path`, `env:NAME`, `aws-kms:ARN` or `vault-transit:URL#key`. "
        "Unset: a file `root.key` in `data_dir`, made at the first start.",
    )
    next_root_key: str | None = Field(
        default=None,
        description="Another root key that may open the key ring, in the form of `root_key`: give it to every process "
        "before `confide keys rotate root --to` it.",
    )
    vault_token: SecretStr | None = Field(
        default=None, description="The token for HashiCorp Vault; needed when `root_key` is `vault-transit:`."
    )

    witness_dir: Path | None = Field(
        default=None,
        description="The directory outside the databases that keeps what the access log has signed; best on storage "
        "that can only be added to. Unset: `witness` in `data_dir`.",
    )
    witness_url: str | None = Field(
        default=None,
        description="An HTTP witness (C2SP tlog-witness), which also signs every checkpoint; `confide audit witness` "
        "runs one. Only over https, or from this machine, can what it has seen keep the server from starting.",
    )
    witness_key: str | None = Field(default=None, description="The public key of the witness at `witness_url`.")
    checkpoint_seconds: float = Field(
        default=300.0,
        ge=1,
        le=86_400,
        description="How often the access log is signed while it grows, in seconds. What was not signed yet can be cut "
        "off by who can write to the database.",
    )

    # Who may call
    issuers: tuple[IssuerSettings, ...] = Field(
        default=(),
        description="The issuers whose tokens are accepted: a JSON list of objects; docs/access.md has the keys.",
    )
    local_issuer: bool | None = Field(
        default=None,
        description="Whether tokens of `confide token` are accepted. Unset: only while `issuers` is empty.",
    )
    max_token_seconds: int = Field(
        default=86_400,
        ge=60,
        le=31_622_400,
        description="A token that is good for longer than this is refused, in seconds; also how long a revocation "
        "is remembered.",
    )
    jwks_refresh_seconds: int = Field(
        default=300, ge=10, le=86_400, description="How often an issuer's keys are fetched again, in seconds."
    )

    # Who of the staff may sign in to the console
    staff_oidc: StaffOIDC | None = Field(
        default=None,
        description="The OpenID Connect provider that staff sign in through: a JSON object; docs/staff-sign-in.md has its "
        "keys. Accounts of `confide staff` are good with it and without.",
    )
    staff_oidc_secret: SecretStr | None = Field(
        default=None, description="The secret that the provider of `staff_oidc` knows this console by."
    )
    staff_tokens: bool | None = Field(
        default=None,
        description="Whether staff may sign in by pasting an access token. Unset: in `development`, and while `staff_oidc` "
        "is not set.",
    )

    alarm_addresses: tuple[Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[A-Za-z0-9.-]{1,253}$")], ...] = Field(
        default=(),
        description="Who is written to when somebody breaks the glass (docs/break-glass.md): a JSON list of e-mail "
        "addresses.",
    )

    # The server
    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 for a free one.")
    development: bool = Field(
        default=False,
        description="Serves GraphiQL and introspection. For a laptop, not for production.",
    )
    console_origin: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.\-:\[\]]+$",
        description="Where browsers find the server, such as `https://confide.example`; needed behind a proxy.",
    )
    portal_origin: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.\-:\[\]]+$",
        description="Where customers find the portal, such as `https://my.example`. Unset: there is none, but in "
        "development, where it is at `/portal`.",
    )

    # Letters
    smtp_uri: SecretStr | None = Field(
        default=None,
        description="The mail server for letters to customers: `smtps://user:password@host:465`, or `smtp://` with "
        "STARTTLS, which only a server on this machine may do without.",
    )
    mail_from: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}$",
        description="The address that letters come from; needed with `smtp_uri`.",
    )
    mail_directory: Path | None = Field(
        default=None,
        description="A directory that letters are written to instead of being sent, for a laptop. In development the "
        "default is `mail` in `data_dir`.",
    )
    proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many proxies in front of the server add to `X-Forwarded-For` the address they were asked from. "
        "It is counted from the end; what a client says of itself is not believed.",
    )

    # Limits of one request
    max_body_bytes: int = Field(
        default=1_048_576, ge=1024, le=67_108_864, description="The longest request body, in bytes."
    )
    body_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="How long the head of a request, and then its body, may take to arrive, in seconds.",
    )
    max_depth: int = Field(default=16, ge=1, le=100, description="The deepest selection in a GraphQL document.")
    max_aliases: int = Field(default=100, ge=0, le=10_000, description="The most aliases in a GraphQL document.")
    max_directives: int = Field(
        default=100, ge=0, le=10_000, description="The most directives in a GraphQL document."
    )
    max_tokens: int = Field(default=3_000, ge=10, le=1_000_000, description="The most tokens in a GraphQL document.")
    max_cost: int = Field(default=60_000, ge=1, le=10_000_000, description="The highest cost of a GraphQL document.")
    trusted_documents_only: bool = Field(
        default=False,
        description="Whether `/graphql` runs only documents that were added with `confide documents add`, named by "
        "their hash or sent in full.",
    )
    read_deadline_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long a read may take, in seconds. An erasure waits this long for reads in flight.",
    )

    # Who is who
    identity_auto_merge: bool = Field(
        default=False,
        description="Whether profiles that are one person for sure are joined with nobody looking, which is recorded and "
        "can be undone. Otherwise they wait in the queue with the rest.",
    )
    identity_match_minutes: int = Field(
        default=60,
        ge=0,
        le=10_080,
        description="How often the worker looks for profiles that are one person, in minutes; 0 for never.",
    )

    # What people ask for, and how long they are kept
    four_eyes: tuple[RequestKind, ...] = Field(
        default=("erasure",),
        description="The kinds of privacy requests that two persons must complete: a JSON list, such as "
        '`["access", "erasure"]`; `[]` for none. With `erasure`, nobody is erased by one person in any other way either.',
    )
    break_glass_customers: int = Field(
        default=20,
        ge=1,
        le=1_000,
        description="How many customers one opening of break-glass access shows at most (docs/break-glass.md).",
    )
    retention_hours: int = Field(
        default=0,
        ge=0,
        le=8_760,
        description="How often the worker removes what the policies say is kept too long (`limits.toml`), in hours; 0 for "
        "never: then `confide retention` does when somebody runs it.",
    )

    # What is asked elsewhere
    enrichment_dir: Path = Field(
        default=Path("enrichments"), description="The directory of the enrichments (docs/enrichment.md)."
    )
    outgoing_allowed: tuple[str, ...] = Field(
        default=(),
        description="Services that may be asked although they are in a private network or answer without TLS: a JSON "
        'list of origins, such as `["http://geo.internal:8080"]`. All others are asked over https in public networks.',
    )

    # Privacy requests of others' systems
    opendsr_origin: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.\-:\[\]]+$",
        description="Where controllers find `/opendsr`, such as `https://privacy.example` (docs/opendsr.md). Unset: it "
        "is off.",
    )
    opendsr_key: Path | None = Field(
        default=None,
        description="The RSA key in PEM, readable by nobody else, that answers of `/opendsr` are signed with.",
    )
    opendsr_certificate: Path | None = Field(
        default=None, description="The certificate in PEM of that key, for the name in `CONFIDE_OPENDSR_ORIGIN`."
    )
    opendsr_id_system: str = Field(
        default="user",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$",
        description="What stands before a controller's customer ids among a person's external ids.",
    )

    # What the operator sees
    log_level: LogLevel = Field(default="INFO", description="The least severe log line that is written.")
    otlp_endpoint: str | None = Field(
        default=None,
        description="The OTLP/HTTP collector for traces and metrics (extra `otlp`). Unset: none are made.",
    )
    otlp_headers: SecretStr | None = Field(
        default=None, description="Headers for the collector, as `name=value,name=value`."
    )
    trace_sample_ratio: float = Field(default=1.0, ge=0, le=1, description="The share of requests that are traced.")

    _mongodb = field_validator("mongo_uri", "keys_uri", "audit_uri")(uri_of_mongodb)
    _root_keys = field_validator("root_key", "next_root_key")(known_root_key)
    _witness = field_validator("witness_url")(url_of_witness)
    _smtp = field_validator("smtp_uri")(uri_of_smtp)
    _collector = field_validator("otlp_endpoint")(url_of_collector)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        names = (self.main_database, self.keys_database, self.audit_database)
        if len(set(names)) != len(names):
            raise PydanticCustomError("databases", "main_database, keys_database and audit_database must differ")
        if self.mongo_uri is None and (self.keys_uri or self.audit_uri):
            raise PydanticCustomError("mongo_uri", "set mongo_uri as well: keys_uri or audit_uri is set")
        if self.root_key and self.root_key.startswith("vault-transit:") and not self.vault_token:
            raise PydanticCustomError("vault_token", "set vault_token: root_key names a Vault")
        if self.smtp_uri is not None and self.mail_from is None:
            raise PydanticCustomError("mail_from", "set mail_from as well: smtp_uri is set")
        if (self.witness_url is None) != (self.witness_key is None):
            raise PydanticCustomError("witness_url", "set both witness_url and witness_key, or neither")
        if self.staff_oidc and self.staff_oidc.authentication != "none" and not self.staff_oidc_secret:
            raise PydanticCustomError(
                "staff_oidc_secret", "set staff_oidc_secret, or the authentication `none` in staff_oidc"
            )
        if self.staff_oidc and any(
            each.actor_prefix == self.staff_oidc.actor_prefix
            and (each.issuer, "sub") != (self.staff_oidc.issuer, self.staff_oidc.actor_claim)
            for each in self.issuers
        ):
            raise PydanticCustomError(
                "staff_oidc", "another of issuers has the actor_prefix of staff_oidc; give each its own"
            )
        if len({issuer.issuer for issuer in self.issuers}) != len(self.issuers):
            raise PydanticCustomError("issuers", "two entries of issuers have the same issuer; give each once")
        prefixes = [issuer.actor_prefix for issuer in self.issuers] + [""] * self.accepts_local_tokens
        if len(set(prefixes)) != len(prefixes):
            raise PydanticCustomError(
                "issuers",
                "two accepted issuers have the same actor_prefix, so the access log could not tell their subjects "
                "apart (the local issuer's is empty); give each its own",
            )
        return self

    @property
    def accepts_local_tokens(self) -> bool:
        """Whether tokens of the local issuer are accepted."""
        return not self.issuers if self.local_issuer is None else self.local_issuer

    @property
    def effective_root_key(self) -> str:
        """`root_key`, or the file it defaults to."""
        return self.root_key or f"file:{(self.data_dir / 'root.key').absolute()}"

    @property
    def takes_staff_tokens(self) -> bool:
        """Whether staff may sign in to the console by pasting an access token."""
        return self.development or self.staff_oidc is None if self.staff_tokens is None else self.staff_tokens


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Args:
        environment: What to look for misspelt names in; the process's own environment by default.

    Raises:
        SettingsError: Lists every fault and what to do about it, and no value.
    """
    environment = os.environ if environment is None else environment
    faults = list(misspelt(environment, Settings.model_fields))
    secrets = environment.get(SECRETS_DIR)
    if secrets is not None and not Path(secrets).is_dir():
        faults.append(f"{SECRETS_DIR}: is not a directory; mount one there, or unset it")
        secrets = None
    try:
        settings = Settings(_secrets_dir=secrets)  # type: ignore[call-arg]  # its signature shows only fields
    except ValidationError as error:
        faults.extend(describe(error))
    except SourceError as error:
        faults.append(unreadable(error))
    else:
        if not faults:
            return settings
    raise SettingsError("the settings cannot be used:\n" + "\n".join(f"  {fault}" for fault in sorted(faults)))
