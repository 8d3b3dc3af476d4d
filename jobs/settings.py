"""Settings of the deployment. Only this module reads the environment. An invalid value prevents the start, with a
message that names the variable.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.logs import LogFormat
from pipeline.decoding.protection import protection
from pipeline.types import Resources

PROJECT_ROOT = Path(__file__).resolve().parent.parent

MIN_KEY_LENGTH: Final = 16
"""Minimum length in characters; `openssl rand -hex 16` generates 32."""

ACCESS_COOKIE: Final = "kneebox_pass"
"""Name of the cookie with the pass of a browser that has sent a key (jobs.state.passes)."""

SECRETS: Final = ("API_KEYS", "REDIS_URL", "SIGN_IN_CLIENT_SECRET")
"""Variables whose value is never printed: an address of Redis contains its password."""


_EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 -- compared, not bound


class SettingsError(Exception):
    """An environment variable has an invalid value."""


class Settings(BaseSettings):
    """Environment variables (upper case) or a `.env` file in the program folder."""

    model_config = SettingsConfigDict(env_file=PROJECT_ROOT / ".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("data"), description="Jobs, results, queue data and logs.")
    redis_url: str | None = Field(
        default=None, repr=False, description="An external Redis or Valkey; unset: the embedded one."
    )
    max_upload_size_mb: int = Field(
        default=600, ge=1, le=100_000, description="Largest upload, in units of 1024² bytes."
    )
    results_expiry_hours: float = Field(default=24, gt=0, le=24 * 366, description="Retention time of results.")
    longest_expiry_hours: float | None = Field(
        default=None,
        ge=0,
        le=24 * 366,
        description="Longest time for which a user can keep results; unset: twice RESULTS_EXPIRY_HOURS.",
    )
    study_data_dirs: str = Field(
        default="", description="Comma-separated folders whose scans studies may read; unset: uploaded scans alone."
    )
    study_expiry_days: float = Field(
        default=0, ge=0, le=36_600, description="Retention time of studies, from when they are made; 0: no limit."
    )
    models_dir: Path | None = Field(default=None, description="Folder of additional models, which take precedence.")
    host: str = Field(default="127.0.0.1", description="Address on which the two servers listen.")
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    app_port: Annotated[int, Field(ge=1, le=65535)] = 8501
    device: Literal["auto", "cpu", "cuda"] = "auto"
    api_keys: SecretStr | None = Field(
        default=None, description="Comma-separated keys that the REST interface requires."
    )

    open_access: bool = Field(default=False, description="Allow access from outside without API_KEYS.")
    sign_in_issuer: str = Field(
        default="", description="Issuer of the OpenID Connect provider with which people sign in; empty: no sign-in."
    )
    sign_in_client_id: str = Field(default="", description="Id of this server at the provider.")
    sign_in_client_secret: SecretStr | None = Field(
        default=None, description="Secret of this server at the provider; unset: a public client."
    )
    sign_in_address: str = Field(
        default="",
        description="Public address of the pages, such as https://knee.example.org; the provider returns to it.",
    )
    sign_in_domains: str = Field(
        default="",
        description="Comma-separated e-mail domains of the people who may sign in; empty: all of the provider.",
    )
    sign_in_hours: float = Field(default=12, gt=0, le=24 * 31, description="Time after which people sign in again.")
    allowed_hosts: str = Field(
        default="",
        description="Comma-separated names of this server, besides HOST and the loopback names.",
    )
    trusted_proxies: str = Field(
        default="", description="Comma-separated addresses or networks of proxies whose X-Forwarded headers count."
    )
    root_path: str = Field(default="", description="Path below which a proxy publishes the pages, such as /kneebox.")
    research_copies: bool = Field(
        default=False, description="Keep copies of labels, surfaces and measurements of users who consent."
    )
    research_purpose: str = Field(default="", description="What the copies are for; users read it before they consent.")
    research_expiry_days: float = Field(default=365, gt=0, le=36_600, description="Retention time of these copies.")

    require_sandbox: bool = Field(
        default=False, description="Refuse to start where the kernel cannot confine native code that reads uploads."
    )
    log_format: LogFormat = "text"
    drain_seconds: float = Field(
        default=0, ge=0, le=86_400, description="Time for a running job to finish when the product is stopped."
    )

    @field_validator("redis_url", "models_dir", "api_keys", "sign_in_client_secret", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("data_dir", "models_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else (PROJECT_ROOT / value.expanduser()).resolve()

    @field_validator("study_data_dirs")
    @classmethod
    def _folders(cls, value: str) -> str:
        names = [Path(folder).name for folder in _listed(value)]
        for folder in map(Path, _listed(value)):
            if not folder.is_absolute() or not folder.name or not folder.is_dir():
                raise ValueError(f"{folder} is not an absolute path of a folder")
        if len(set(names)) < len(names):
            raise ValueError("two folders have the same last name, by which studies name them")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("expected redis://, rediss:// or unix://")
        try:
            urlsplit(value).port  # noqa: B018 -- raises
        except ValueError:
            # redis-py would quote a part of the password in its own message
            raise ValueError("the port is not a number; in a password, encode / # ? and @ as %2F %23 %3F %40") from None
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _host_names(cls, value: str) -> str:
        for name in _listed(value):
            if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?", name):
                raise ValueError(f"{name!r} is not a host name; expected names without scheme, port and wildcard")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for proxy in _listed(value):
            ipaddress.ip_network(proxy)
        return value

    @field_validator("root_path")
    @classmethod
    def _path(cls, value: str) -> str:
        path = value.rstrip("/")
        if path and not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", path):
            raise ValueError("expected a path such as /kneebox")
        return path

    @field_validator("sign_in_issuer", "sign_in_address")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        if value:
            parts = urlsplit(value)
            plain_is_safe = parts.scheme == "http" and is_loopback(parts.hostname or "")
            if not parts.hostname or parts.query or parts.fragment or not (parts.scheme == "https" or plain_is_safe):
                raise ValueError("expected an address with https:// (http:// on this machine alone), without ? and #")
        return value

    @model_validator(mode="after")
    def _complete_sign_in(self) -> Settings:
        needed = {"SIGN_IN_CLIENT_ID": self.sign_in_client_id, "SIGN_IN_ADDRESS": self.sign_in_address}
        missing = [name for name, value in needed.items() if not value]
        if self.sign_in and missing:
            raise ValueError(f"SIGN_IN_ISSUER is set, and {' and '.join(missing)} is not.")
        host = urlsplit(self.sign_in_address).hostname or ""
        if self.sign_in and not (is_loopback(host) or host in self.host_names):
            raise ValueError(
                f"SIGN_IN_ADDRESS has the name {host!r}, under which this server does not answer. "
                "Add it to ALLOWED_HOSTS."
            )
        return self

    @model_validator(mode="after")
    def _closed_unless_meant(self) -> Settings:
        if not (self.local or self.keys or self.open_access or self.sign_in):
            cause = f"ALLOWED_HOSTS is {self.allowed_hosts!r}" if self.loopback else f"HOST is {self.host!r}"
            raise ValueError(
                f"{cause}, which makes this server reachable for others, and API_KEYS is not set: access would be "
                "unrestricted. Set API_KEYS, or OPEN_ACCESS=1 if that is intended."
            )
        return self

    @model_validator(mode="after")
    def _purpose_of_copies(self) -> Settings:
        if self.research_copies and not self.research_purpose.strip():
            raise ValueError(
                "RESEARCH_COPIES is on and RESEARCH_PURPOSE is empty; expected what the copies are for, for example "
                "'thickness reference values of this hospital'. Users read it before they consent."
            )
        return self

    @model_validator(mode="after")
    def _sandbox_if_required(self) -> Settings:
        if self.require_sandbox and (missing := protection().missing):
            raise ValueError(
                f"REQUIRE_SANDBOX is on, but {'; and '.join(missing)}. Without REQUIRE_SANDBOX, uploads are read with "
                "what there is (docs/operating.md, Reading of uploads)."
            )
        return self

    @property
    def study_folders(self) -> dict[str, Path]:
        """Name -> folder whose scans studies may read."""
        return {Path(folder).name: Path(folder).resolve() for folder in _listed(self.study_data_dirs)}

    @property
    def most_hours(self) -> float:
        """Longest time for which a user can keep results, hours from the upload."""
        return 2 * self.results_expiry_hours if self.longest_expiry_hours is None else self.longest_expiry_hours

    @property
    def purpose_of_copies(self) -> str:
        """What copies for research are kept for; empty where none are kept."""
        return self.research_purpose.strip() if self.research_copies else ""

    @property
    def resources(self) -> Resources:
        """Resources of an analysis on this machine."""
        return Resources(models_dir=self.models_dir, device=self.device)

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys; empty if none are required."""
        return _listed(self.api_keys.get_secret_value() if self.api_keys else "")

    @property
    def host_names(self) -> frozenset[str]:
        """The names under which this server answers, besides those of the loopback interface."""
        names = {name.strip("[]").lower() for name in _listed(self.allowed_hosts)}
        return frozenset(names | ({self.host.lower()} - set(_EVERY_ADDRESS)))

    @property
    def proxies(self) -> tuple[str, ...]:
        """Addresses and networks of the trusted proxies."""
        return _listed(self.trusted_proxies)

    @property
    def local(self) -> bool:
        """Whether the server is meant for this machine only: it listens there, and answers to no other name."""
        return self.loopback and all(is_loopback(name) for name in self.host_names)

    @property
    def sign_in(self) -> bool:
        """Whether people sign in: jobs and studies then belong to somebody."""
        return bool(self.sign_in_issuer)

    @property
    def sign_in_email_domains(self) -> frozenset[str]:
        """Domains of the people who may sign in; empty: all that the provider knows."""
        return frozenset(domain.lower().lstrip("@") for domain in _listed(self.sign_in_domains))

    @property
    def public_address(self) -> str:
        """The address of the pages as people see it, without a final slash; empty without sign-in."""
        return self.sign_in_address.rstrip("/")

    @property
    def pages_open(self) -> bool:
        """Whether the pages, and the REST interface on their port, require neither a key nor a sign-in."""
        return (self.local or not self.keys) and not self.sign_in

    @property
    def has_weak_key(self) -> bool:
        """Whether a key is short enough to be guessed."""
        return any(len(key) < MIN_KEY_LENGTH for key in self.keys)

    @property
    def loopback(self) -> bool:
        """Whether the servers can be reached only from this machine."""
        return is_loopback(self.host)

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_size_mb * 1024 * 1024

    @property
    def valkey_dir(self) -> Path:
        """Folder of the embedded server, with the file `url` that contains its address."""
        return self.data_dir / "valkey"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def effective_redis_url(self) -> str | None:
        """REDIS_URL, else the address of the embedded server of this data directory; None: neither."""
        if self.redis_url is not None:
            return self.redis_url
        try:
            return (self.valkey_dir / "url").read_text(encoding="utf-8").strip() or None
        except OSError:
            return None


def is_loopback(host: str) -> bool:
    """Whether a name or an address is one of the loopback interface."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listed(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


@functools.cache
def load_settings() -> Settings:
    """The settings of this process. Raises SettingsError with the name of each invalid variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(map(_line, error.errors()))) from None


def _line(problem: ErrorDetails) -> str:
    """One problem as text, without the value of a secret."""
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    name = "_".join(str(part) for part in problem["loc"]).upper()
    found = "" if name in SECRETS else f" is {problem['input']!r}"
    return f"{name}{found}: {problem['msg']}."
