"""Settings of the deployment. Only this module reads the environment. An invalid value prevents the start, with a
message that names the variable.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.types import Resources

PROJECT_ROOT = Path(__file__).resolve().parent.parent

MIN_KEY_LENGTH: Final = 16
"""Minimum length in characters; `openssl rand -hex 16` generates 32."""

ACCESS_COOKIE: Final = "kneebox_pass"
"""Name of the cookie with the access token of a browser that has sent a key."""


class SettingsError(Exception):
    """An environment variable has an invalid value."""


class Settings(BaseSettings):
    """Environment variables (upper case) or a `.env` file in the program folder."""

    model_config = SettingsConfigDict(env_file=PROJECT_ROOT / ".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("data"), description="Jobs, results, queue data and logs.")
    redis_url: str | None = Field(default=None, description="An external Redis or Valkey; unset: the embedded one.")
    max_upload_size_mb: int = Field(
        default=600, ge=1, le=100_000, description="Largest upload, in units of 1024² bytes."
    )
    results_expiry_hours: float = Field(default=24, gt=0, le=24 * 366, description="Retention time of results.")
    models_dir: Path | None = Field(default=None, description="Folder of additional models, which take precedence.")
    host: str = Field(default="127.0.0.1", description="Address on which the two servers listen.")
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    app_port: Annotated[int, Field(ge=1, le=65535)] = 8501
    device: Literal["auto", "cpu", "cuda"] = "auto"
    api_keys: SecretStr | None = Field(
        default=None, description="Comma-separated keys that the REST interface requires."
    )

    open_access: bool = Field(default=False, description="Allow access from outside without API_KEYS.")

    @field_validator("redis_url", "models_dir", "api_keys", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("data_dir", "models_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else (PROJECT_ROOT / value.expanduser()).resolve()

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("expected redis://, rediss:// or unix://")
        return value

    @model_validator(mode="after")
    def _closed_unless_meant(self) -> Settings:
        if not (self.loopback or self.keys or self.open_access):
            raise ValueError(
                f"HOST is {self.host!r}, which makes this server reachable for others, and API_KEYS is not set: access "
                "would be unrestricted. Set API_KEYS, or OPEN_ACCESS=1 if that is intended."
            )
        return self

    @property
    def resources(self) -> Resources:
        """Resources of an analysis on this machine."""
        return Resources(models_dir=self.models_dir, device=self.device)

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys; empty if none are required."""
        text = self.api_keys.get_secret_value() if self.api_keys else ""
        return tuple(key.strip() for key in text.split(",") if key.strip())

    @property
    def access_tokens(self) -> tuple[str, ...]:
        """The access token of each key, for browsers; the key cannot be derived from it."""
        return tuple(hmac.new(key.encode(), ACCESS_COOKIE.encode(), hashlib.sha256).hexdigest() for key in self.keys)

    @property
    def pages_open(self) -> bool:
        """Whether the pages, and the REST interface on their port, require no key."""
        return self.loopback or not self.keys

    @property
    def has_weak_key(self) -> bool:
        """Whether a key is short enough to be guessed."""
        return any(len(key) < MIN_KEY_LENGTH for key in self.keys)

    @property
    def loopback(self) -> bool:
        """Whether the servers can be reached only from this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

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


@functools.cache
def load_settings() -> Settings:
    """The settings of this process. Raises SettingsError with the name of each invalid variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(map(_line, error.errors()))) from None


def _line(problem: ErrorDetails) -> str:
    """One problem as text, without the value of a key."""
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    name = "_".join(str(part) for part in problem["loc"]).upper()
    found = "" if name == "API_KEYS" else f" is {problem['input']!r}"
    return f"{name}{found}: {problem['msg']}."
