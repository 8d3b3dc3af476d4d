"""Finds rows that name the same file, or files of the same content, without reading all of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Final

from pipeline.digest import sha256_of_inputs

SAMPLE_BYTES: Final = 1 << 14
"""Of the beginning, the middle and the end of a file."""


def equal_groups(paths: Iterable[Path]) -> tuple[list[list[Path]], list[list[Path]]]:
    """Groups of paths that are the same file or folder, and groups of different ones with the same content.

    paths: of existing files and folders. Only files whose sizes and samples are equal are read as a whole. What cannot
    be read is in no group.
    """
    listed = list(dict.fromkeys(paths))
    same = [group for group in _grouped(listed, _place) if len(group) > 1]
    places = [group[0] for group in _grouped(listed, _place)]
    found = [places]
    for key in (_size, _sample, _digest):
        found = [group for candidates in found for group in _grouped(candidates, key) if len(group) > 1]
    return same, found


def _grouped(paths: Iterable[Path], key: Callable[[Path], Hashable]) -> list[list[Path]]:
    groups: dict[Hashable, list[Path]] = {}
    for path in paths:
        try:
            groups.setdefault(key(path), []).append(path)
        except OSError:
            continue
    return list(groups.values())


def _place(path: Path) -> Hashable:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _size(path: Path) -> Hashable:
    return tuple(file.stat().st_size for file in _files(path))


def _sample(path: Path) -> Hashable:
    digest = hashlib.sha256()
    files = _files(path)
    for file in dict.fromkeys((files[0], files[len(files) // 2], files[-1])) if files else ():
        size = file.stat().st_size
        with file.open("rb") as stream:
            for place in (0, size // 2, max(0, size - SAMPLE_BYTES)):
                stream.seek(place)
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _digest(path: Path) -> Hashable:
    return sha256_of_inputs([path])
