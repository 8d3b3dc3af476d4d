"""seccomp (man 2 seccomp): refuses the system calls that decoding a file does not need, also to native code.

A refused call fails with EPERM. Calls that the kernel has learned after LAST_KNOWN do not exist here (ENOSYS).
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from errno import ENOSYS, EPERM
from typing import Final

from pipeline.decoding.system_calls import AARCH64, ABSENT, LAST_KNOWN, REFUSED, X86_64
from pipeline.linux import ON_LINUX, system_call

_SET_MODE_FILTER: Final = 1  # linux/seccomp.h
_GET_ACTION_AVAIL: Final = 2
_EVERY_THREAD: Final = 1
_RETURN_ALLOW: Final = 0x7FFF0000
_RETURN_ERRNO: Final = 0x00050000

_LOAD: Final = 0x20  # linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL: Final = 0x15
_IF_ABOVE: Final = 0x25
_IF_BIT: Final = 0x45
_RETURN: Final = 0x06

_NUMBER: Final = 0  # offsets in struct seccomp_data
_ARCHITECTURE: Final = 4
_FIRST_ARGUMENT: Final = 16

_CLONE_THREAD: Final = 0x10000


@dataclass(frozen=True, kw_only=True)
class _Machine:
    """architecture: AUDIT_ARCH_*; numbers: name of a system call -> its number; missing ones do not exist there."""

    architecture: int
    numbers: dict[str, int]


_MACHINES: Final = {
    "x86_64": _Machine(architecture=0xC000003E, numbers=X86_64),
    "aarch64": _Machine(architecture=0xC00000B7, numbers=AARCH64),
}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def available() -> bool:
    """Whether this kernel and processor are supported, and the service may use seccomp."""
    machine = _machine()
    if machine is None:
        return False
    action = ctypes.c_uint32(_RETURN_ERRNO)
    try:
        system_call(machine.numbers["seccomp"], _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    except OSError:
        return False
    return True


def refuse_calls() -> None:
    """Permanently, for all threads of this process. Requires no_new_privs and `available`. Raises OSError."""
    machine = _machine()
    if machine is None:
        raise OSError(ENOSYS, os.strerror(ENOSYS))
    steps = _filter(machine, os.getpid())
    array = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    program = _Program(length=len(steps), instructions=array)
    system_call(machine.numbers["seccomp"], _SET_MODE_FILTER, _EVERY_THREAD, ctypes.byref(program))


def _machine() -> _Machine | None:
    return _MACHINES.get(os.uname().machine) if ON_LINUX else None


def _filter(machine: _Machine, pid: int) -> list[tuple[int, int, int, int]]:
    """The program; each instruction is (code, steps to skip if true, if false, value)."""
    refuse, absent, allow = ((_RETURN, 0, 0, value) for value in (_error(EPERM), _error(ENOSYS), _RETURN_ALLOW))
    numbers = machine.numbers
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, machine.architecture),
        refuse,  # the calls of another architecture have other numbers
        (_LOAD, 0, 0, _NUMBER),
        (_IF_ABOVE, 0, 1, LAST_KNOWN),
        absent,
    ]
    for names, answer in ((REFUSED, refuse), (ABSENT, absent)):
        for name in names & numbers.keys():
            steps += [(_IF_EQUAL, 0, 1, numbers[name]), answer]
    for name, condition in (
        ("clone", (_IF_BIT, 1, 0, _CLONE_THREAD)),  # threads, no processes
        ("tgkill", (_IF_EQUAL, 1, 0, pid)),  # abort() of this process
        ("prlimit64", (_IF_EQUAL, 1, 0, 0)),  # the limits of this process
    ):
        steps += [(_IF_EQUAL, 0, 4, numbers[name]), (_LOAD, 0, 0, _FIRST_ARGUMENT), condition, refuse, allow]
    return [*steps, allow]


def _error(number: int) -> int:
    return _RETURN_ERRNO | number
