"""Passes: what a browser keeps, in a cookie, instead of an API key.

A pass is `ID.EXPIRY.MAC`. The MAC is made with its API key and a secret of this data directory, so a pass becomes
invalid when it expires, when its key is removed from API_KEYS, when it is revoked, and when the secret is replaced.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from pathlib import Path
from typing import Final

from jobs.settings import load_settings
from jobs.state.secret_file import kept_secret

PASS_LIFETIME_S: Final = 7 * 86_400

_PASS: Final = re.compile(r"([0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{64})")


class Passes:
    """The passes of a data directory."""

    def __init__(self, data_dir: Path, keys: tuple[str, ...]) -> None:
        self._secret = data_dir / "access" / "secret"
        self._revoked = data_dir / "access" / "revoked"
        self._keys = keys

    def issue(self, key: str) -> str:
        """A new pass for a valid key."""
        content = f"{secrets.token_hex(16)}.{int(time.time()) + PASS_LIFETIME_S}"
        return f"{content}.{self._mac(content, key)}"

    def accept(self, text: str) -> bool:
        """Whether it is a pass of one of the present keys, neither expired nor revoked."""
        identity = self._identity(text)
        return identity is not None and not (self._revoked / identity).exists()

    def revoke(self, text: str) -> None:
        """End a pass; anything else is ignored. Notes about expired passes are removed."""
        identity = self._identity(text)
        if identity is None:
            return
        self._revoked.mkdir(parents=True, exist_ok=True)
        (self._revoked / identity).touch()
        for note in self._revoked.iterdir():
            if note.stat().st_mtime < time.time() - PASS_LIFETIME_S:
                note.unlink(missing_ok=True)

    def revoke_all(self) -> None:
        """End every pass: the next one is made with a new secret."""
        self._secret.unlink(missing_ok=True)

    def _identity(self, text: str) -> str | None:
        """The id of a genuine pass that has not expired."""
        parts = _PASS.fullmatch(text)
        if parts is None or int(parts[2]) < time.time():
            return None
        content = f"{parts[1]}.{parts[2]}"
        genuine = [hmac.compare_digest(parts[3], self._mac(content, key)) for key in self._keys]
        return parts[1] if any(genuine) else None

    def _mac(self, content: str, key: str) -> str:
        mixed = hmac.digest(kept_secret(self._secret), key.encode(), hashlib.sha256)
        return hmac.new(mixed, content.encode(), hashlib.sha256).hexdigest()


def _passes() -> Passes:
    settings = load_settings()
    return Passes(settings.data_dir, settings.keys)


def issue_pass(key: str) -> str:
    """A new pass for a browser that has sent this valid key."""
    return _passes().issue(key)


def accept_pass(text: str) -> bool:
    """Whether a browser with this pass has access."""
    return _passes().accept(text)


def revoke_pass(text: str) -> None:
    """End one pass."""
    _passes().revoke(text)


def revoke_passes() -> None:
    """End the passes of all browsers."""
    _passes().revoke_all()
