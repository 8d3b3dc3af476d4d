"""A random secret in a file, made by the first process that needs it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def kept_secret(path: Path) -> bytes:
    """The secret in a file: 32 random bytes, written by the first call; processes that call at once get the same."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(32))
        try:
            os.link(partial, path)  # the first process writes the secret; the others read it
        except FileExistsError:
            pass
        finally:
            partial.unlink()
        return path.read_bytes()
