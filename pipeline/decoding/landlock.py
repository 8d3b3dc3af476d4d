"""Landlock (docs.kernel.org/userspace-api/landlock.html): which files this process and its threads can use.

It also holds for native code, and cannot be undone. Metadata of files is not covered: see seccomp.py.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pipeline.linux import ON_LINUX, system_call

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

_VERSION: Final = 1
"""Flag of landlock_create_ruleset."""
_PATH_BENEATH: Final = 1
"""Kind of rule."""

_WRITE_FILE: Final = 1 << 1  # linux/landlock.h
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_REMOVE_DIR: Final = 1 << 4
_REMOVE_FILE: Final = 1 << 5
_MAKE_DIR: Final = 1 << 7
_MAKE_REG: Final = 1 << 8
_TRUNCATE: Final = 1 << 14

_READ: Final = _READ_FILE | _READ_DIR
_WRITE: Final = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_OF_FILES: Final = _READ_FILE | _WRITE_FILE | _TRUNCATE

_FIRST_WITH_NETWORK: Final = 4
_FIRST_WITH_SCOPES: Final = 6
_BIND_AND_CONNECT_TCP: Final = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 0b11

_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Version of the interface -> number of rights on files that it knows; later versions have those of 5."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """Version of the kernel's interface; 0 where there is none."""
    if not ON_LINUX:
        return 0
    try:
        return system_call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict_files(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Permit only reading below `readable`, and reading and writing below `writable`. Paths may be files.

    Nothing can be executed; there is no TCP, and no signal or abstract socket reaches a process outside, where the
    kernel's version covers these. Paths that are missing or closed to this user are left out. Requires no_new_privs.
    Raises OSError.
    """
    found = version()
    every_right = (1 << _RIGHTS.get(found, max(_RIGHTS.values()))) - 1
    ruleset = _Ruleset(
        files=every_right,
        network=_BIND_AND_CONNECT_TCP if found >= _FIRST_WITH_NETWORK else 0,
        scoped=_ABSTRACT_SOCKETS_AND_SIGNALS if found >= _FIRST_WITH_SCOPES else 0,
    )
    size = 24 if found >= _FIRST_WITH_SCOPES else 16 if found >= _FIRST_WITH_NETWORK else 8
    rules = system_call(_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE)):
            for path in paths:
                _permit(rules, path, rights & every_right)
        system_call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _permit(rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what this user cannot open needs no permission
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(place).st_mode)
        rule = _Rule(allowed=rights if is_folder else rights & _OF_FILES, folder=place)
        system_call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)
