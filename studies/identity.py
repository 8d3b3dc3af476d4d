"""What identifies the input of a row and the options of its analysis. Imports nothing heavy: servers use it too."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from pipeline.digest import sha256_of

ADDRESS_DIGITS: Final = 24
WITHOUT_EFFECT: Final = ("retain_results",)
"""Options of the service for single jobs alone: studies keep no copies for research."""


def input_digest(path: Path) -> str:
    """Of a file its content; of a folder the names and contents of its files, which can decide how it is read."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()
