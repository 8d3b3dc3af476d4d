"""`python -m tests.support.escape_probe REQUEST`: tries to leave the sandbox, by native calls.

With the request of pipeline.decoding.process it does so in place of reading the upload; with {"scratch": FOLDER} it is
not confined, which shows that each try can succeed. FOLDER/../targets.json lists what is attacked; the outcomes, name
of the try -> whether it succeeded, are in FOLDER/outcomes.json. Each try is harmless where it succeeds.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path

from pipeline.decoding import child
from pipeline.decoding.system_calls import AARCH64, X86_64

LIBC = ctypes.CDLL(None, use_errno=True)
CALLS = X86_64 if os.uname().machine == "x86_64" else AARCH64

READ, WRITE, CREATE = os.O_RDONLY, os.O_WRONLY, os.O_CREAT
AT_EMPTY_PATH = 0x1000
CLONE_NEWNS, CLONE_NEWUTS = 0x20000, 0x4000000
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
PROCESS_KEYRING = -2
RLIMIT_CORE = 4


def call(name, *arguments):
    """The result of a system call; below 0 where it is refused."""
    function = LIBC.syscall
    function.restype = ctypes.c_long
    plain = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return function(ctypes.c_long(CALLS[name]), *plain)


def path(name):
    return os.fsencode(str(name))


def in_a_child(attempt):
    """Whether an attempt that replaces the process succeeds in a child; in this process, where there can be none."""
    pid = LIBC.fork()
    if pid == 0:
        attempt()
        LIBC._exit(1)
    if pid < 0:
        attempt()
        return False
    status = ctypes.c_int()
    LIBC.waitpid(pid, ctypes.byref(status), 0)
    return status.value == 0


class Tries:
    """Every method is a try; True: it succeeded."""

    def __init__(self, scratch, targets):
        self.scratch, self.t = Path(scratch), targets
        self.outside = Path(targets["folder"])

    def write_outside(self):
        return LIBC.open(path(self.outside / "new"), WRITE | CREATE, 0o600) >= 0

    def read_another_job(self):
        opened = LIBC.open(path(self.t["zip"]), READ)
        return opened >= 0 and LIBC.read(opened, ctypes.create_string_buffer(4), 4) == 4

    def list_the_jobs(self):
        return LIBC.open(path(self.outside), READ | os.O_DIRECTORY) >= 0

    def read_environment(self):
        return LIBC.open(path(f"/proc/{self.t['victim']}/environ"), READ) >= 0

    def open_memory(self):
        return LIBC.open(path(f"/proc/{self.t['victim']}/mem"), os.O_RDWR) >= 0

    def read_memory(self):
        buffer = ctypes.create_string_buffer(8)
        here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
        there = (ctypes.c_size_t * 2)(self.t["address"], 8)
        return LIBC.process_vm_readv(self.t["victim"], here, 1, there, 1, 0) == 8

    def trace(self):
        return LIBC.ptrace(PTRACE_SEIZE, self.t["victim"], None, None) == 0

    def kill(self):
        return LIBC.kill(self.t["victim"], int(signal.SIGURG)) == 0  # ignored by default

    def signal_by_descriptor(self):
        opened = call("pidfd_open", self.t["victim"], 0)
        return opened >= 0 and call("pidfd_send_signal", opened, int(signal.SIGURG), None, 0) == 0

    def change_limits(self):
        return call("prlimit64", self.t["victim"], RLIMIT_CORE, None, ctypes.create_string_buffer(16)) == 0

    def fork(self):
        pid = LIBC.fork()
        if pid == 0:
            LIBC._exit(0)
        return pid > 0

    def clone(self):
        pid = call("clone", int(signal.SIGCHLD), 0, 0, 0, 0)
        if pid == 0:
            LIBC._exit(0)
        return pid > 0

    def clone3(self):
        pid = call("clone3", ctypes.create_string_buffer(struct.pack("8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)), 64)
        if pid == 0:
            LIBC._exit(0)
        return pid > 0

    def spawn(self):
        pid, words = ctypes.c_int(), (ctypes.c_char_p * 2)(b"true", None)
        return LIBC.posix_spawn(ctypes.byref(pid), b"/bin/true", None, None, words, None) == 0

    def execute(self):
        return in_a_child(lambda: LIBC.execve(b"/bin/true", (ctypes.c_char_p * 2)(b"true", None), None))

    def execute_from_memory(self):
        made = call("memfd_create", b"program", 0)
        if made < 0:
            return False
        program = Path("/bin/true").read_bytes()
        LIBC.write(made, program, len(program))
        words = (ctypes.c_char_p * 2)(b"true", None)
        return in_a_child(lambda: call("execveat", made, b"", words, None, AT_EMPTY_PATH))

    def connect(self):
        opened = LIBC.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        place = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(self.t["port"]), bytes([127, 0, 0, 1]))
        return opened >= 0 and LIBC.connect(opened, place, len(place)) == 0

    def connect_by_path(self):
        opened = LIBC.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
        place = struct.pack("=H108s", socket.AF_UNIX, path(self.t["socket"]))
        return opened >= 0 and LIBC.connect(opened, place, len(place)) == 0

    def connect_by_name(self):
        opened = LIBC.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
        place = struct.pack("=H", socket.AF_UNIX) + b"\0" + self.t["name"].encode()
        return opened >= 0 and LIBC.connect(opened, place, len(place)) == 0

    def listen(self):
        opened = LIBC.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        place = struct.pack("=HH4s8x", socket.AF_INET, 0, bytes([127, 0, 0, 1]))
        return opened >= 0 and LIBC.bind(opened, place, len(place)) == 0 and LIBC.listen(opened, 1) == 0

    def make_fifo(self):
        return LIBC.mkfifo(path(self.scratch / "fifo"), 0o600) == 0

    def link(self):
        return LIBC.link(path(self.t["zip"]), path(self.scratch / "linked")) == 0

    def follow_symlink(self):
        return (
            LIBC.symlink(path(self.t["zip"]), path(self.scratch / "symlink")) == 0
            and LIBC.open(path(self.scratch / "symlink"), READ) >= 0
        )

    def rename_over(self):
        LIBC.open(path(self.scratch / "mine"), WRITE | CREATE, 0o600)
        return LIBC.rename(path(self.scratch / "mine"), path(self.outside / "renamed")) == 0

    def remove_outside(self):
        return LIBC.unlink(path(self.outside / "removed")) == 0

    def truncate_outside(self):
        return LIBC.truncate(path(self.outside / "truncated"), 0) == 0

    def change_mode(self):
        return LIBC.chmod(path(self.outside / "kept"), 0o644) == 0

    def change_times(self):
        return LIBC.utimensat(-1, path(self.outside / "kept"), None, 0) == 0

    def unshare(self):
        return LIBC.unshare(CLONE_NEWUTS | CLONE_NEWNS) == 0

    def mount(self):
        return LIBC.mount(b"none", path(self.scratch), b"tmpfs", 0, None) == 0

    def io_uring(self):
        return call("io_uring_setup", 1, ctypes.create_string_buffer(120)) >= 0

    def add_key(self):
        return call("add_key", b"user", b"probe", b"x", 1, PROCESS_KEYRING) >= 0

    def share_memory(self):
        return LIBC.shmget(0, 4096, 0o1600) >= 0

    def user_faults(self):
        return call("userfaultfd", 1) >= 0


NAMES = [name for name in vars(Tries) if not name.startswith("_")]
LAST = ("unshare", "mount")
"""These change what later tries of an unconfined process see."""


def attempt_all(scratch, targets=None):
    """The outcome of every try, also written to scratch/outcomes.json."""
    tries = Tries(scratch, targets or TARGETS)
    outcomes = {name: bool(getattr(tries, name)()) for name in sorted(NAMES, key=LAST.__contains__)}
    if not outcomes["mount"]:
        (Path(scratch) / "outcomes.json").write_text(json.dumps(outcomes))
    return outcomes


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    TARGETS = json.loads((Path(request["scratch"]).parent / "targets.json").read_text())
    if "task" not in request:
        sys.stdout.write(json.dumps(attempt_all(request["scratch"])))
    else:
        child._TASKS = {request["task"]: lambda scratch, **_: attempt_all(scratch)}
        sys.exit(child.main(sys.argv[1]))
