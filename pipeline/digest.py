"""Digests of files, and the digest lists in folders of weights."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SUMS_NAME: Final = "SHA256SUMS"
"""In a folder of weights: the output of `sha256sum` for its files, so that downloads can be verified."""


def sha256_of(path: Path) -> str:
    """Digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def sha256_of_inputs(paths: Iterable[Path]) -> str:
    """Digest of the content of files and of all files in folders, in the order of their paths."""
    digest = hashlib.sha256()
    for path in paths:
        for file in _files(path):
            digest.update(bytes.fromhex(sha256_of(file)))
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    elif path.exists():
        yield path


def digest_of(path: Path) -> str:
    """SHA-256 of a file, read again only when its size or modification time changed; "" where it cannot be read."""
    try:
        facts = path.stat()
        return _kept_digest(path, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return ""


@functools.lru_cache(maxsize=256)
def _kept_digest(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001 -- part of the key
    return sha256_of(path)


def expected_digests(folder: Path) -> dict[str, str]:
    """Path inside the folder -> digest, from the SHA256SUMS in the folder; empty if the file is missing.

    Raises ValueError if a line is not `<64 hex digits>  <path inside the folder>`.
    """
    listing = folder / SUMS_NAME
    if not listing.is_file():
        return {}
    found: dict[str, str] = {}
    for line in listing.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line.rstrip())
        if match is None:
            raise ValueError(f"a line of {SUMS_NAME} is not a SHA-256 and a path")
        found[match[2].removeprefix("./")] = match[1].lower()
    return found
