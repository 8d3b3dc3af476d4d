"""Faults of the machine during analyses: disk full, quota, read-only and vanished data directory, lack of memory.

The data directory is a small tmpfs, the queue is outside it; in the second part, the embedded queue is on the full disk
too. Needs root, to mount and to limit memory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import redis

from bench.service.figures import Figure
from bench.service.inside import Inside, small_knee
from bench.service.site import ROOT, Site, running_site, wait_for
from jobs.state.model import Status

SIZE_MB: Final = 600
NARROW_MB: Final = 1
MEMORY_LIMIT: Final = 260 * 1024 * 1024
"""Enough for the worker, not for an analysis."""

NOTICED_S: Final = 240.0
HELD_S: Final = 3.0
CGROUPS: Final = Path("/sys/fs/cgroup/memory")


def figures(*, short: bool) -> list[Figure]:
    """Each of six faults during a job, ten jobs waiting; `short`: two faults, no job waiting."""
    if os.geteuid() != 0:
        return [Figure(bar="0 jobs lost by faults of the machine", measured="not measured: needs root", met=True)]
    kinds = list(FAULTS)[:2] if short else list(FAULTS)
    found = _survived(kinds, jobs=len(kinds) + (0 if short else 10), queue_inside=False)
    return found if short else [*found, *_survived(["disk full"], jobs=3, queue_inside=True)]


@dataclass
class _Machine:
    """A site whose data directory is a tmpfs. notices: fault -> what the worker said."""

    site: Site
    worker: psutil.Process
    inside: Inside
    notices: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.site.folder

    def horse(self) -> psutil.Process | None:
        """The process of the running job."""
        children = self.worker.children()
        return children[0] if children else None

    def running(self) -> bool:
        """Whether a job is past its start."""
        records = self.inside.records().values()
        return any(record.status is Status.PROCESSING and record.current_step >= 1 for record in records)

    def pause_of_worker(self) -> str:
        with contextlib.suppress(redis.RedisError):
            return next((worker.paused for worker in self.inside.queue.workers()), "")
        return ""


def _survived(kinds: list[str], *, jobs: int, queue_inside: bool) -> list[Figure]:
    dice = random.Random(3)  # noqa: S311 -- not used for secrets
    with _machine(queue_inside=queue_inside) as machine:
        scan = Path(machine.site.logs) / "scan.nii.gz"
        scan.write_bytes(small_knee())
        command = [sys.executable, "-m", "bench.service.submitting", str(scan), str(jobs)]
        subprocess.run(command, cwd=ROOT, env=machine.site.environment, check=True)
        for kind in kinds:
            with contextlib.suppress(TimeoutError):
                wait_for(machine.running, 120, "a running job")
            time.sleep(dice.uniform(0.0, 1.0))
            with FAULTS[kind](machine):
                with contextlib.suppress(TimeoutError):
                    wait_for(machine.pause_of_worker, 20 if queue_inside else NOTICED_S, kind)
                machine.notices[kind] = machine.pause_of_worker()
                time.sleep(HELD_S)
            with contextlib.suppress(TimeoutError):
                wait_for(lambda: not machine.pause_of_worker(), NOTICED_S, "the end of the pause")
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: _all_ended(machine), 300.0 + 120.0 * jobs, "the end of all jobs")
        return _judged(machine, kinds, jobs, queue_inside=queue_inside)


def _all_ended(machine: _Machine) -> bool:
    with contextlib.suppress(redis.RedisError):
        return all(record.status.final for record in machine.inside.records().values())
    return False


def _judged(machine: _Machine, kinds: list[str], jobs: int, *, queue_inside: bool) -> list[Figure]:
    records = list(machine.inside.records().values())
    whole = [record.id for record in records if record.status is Status.COMPLETE and _whole(machine, record.id)]
    counted = sum(max(0, record.lost_attempts) for record in records)
    ends = {record.id: record.error_code or str(record.status) for record in records if record.id not in whole}
    where = f"{', '.join(kinds)}{' with the queue on the same disk' if queue_inside else ''}"
    silent = [kind for kind, notice in machine.notices.items() if not notice]
    return [
        Figure(
            bar=f"0 jobs lost: {where}",
            measured=f"{jobs - len(whole)} of {jobs} ({ends or 'all complete, their zips whole'})",
            met=len(whole) == jobs,
        ),
        Figure(bar="no attempt counted", measured=f"{counted} of {jobs} jobs", met=counted == 0),
        Figure(
            bar="the worker paused and said why",
            measured="; ".join(f"{kind}: {notice or 'nothing'}" for kind, notice in machine.notices.items()),
            met=queue_inside or not silent,  # a full queue stores no state of the worker
        ),
    ]


def _whole(machine: _Machine, job_id: str) -> bool:
    record = machine.inside.store.load(job_id)
    path = machine.inside.storage.file_of(job_id, (record and record.result_path) or "")
    if path is None:
        return False
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


@contextlib.contextmanager
def _machine(*, queue_inside: bool) -> Iterator[_Machine]:
    with running_site() as site, tempfile.TemporaryDirectory(prefix="knee-out-") as outside:
        site.logs = Path(outside)
        _mount("-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(site.folder))
        try:
            if queue_inside:
                site.start_queue()
            else:
                site.start_queue_in(Path(outside))
            with _limited_group() as group:
                process = site.start_worker()
                if group is not None:
                    (group / "cgroup.procs").write_text(str(process.pid))
                yield _Machine(site=site, worker=psutil.Process(process.pid), inside=Inside(site))
                site.stop()
        finally:
            site.stop()
            subprocess.run(["umount", "-l", str(site.folder)], check=False)


@contextlib.contextmanager
def _limited_group() -> Iterator[Path | None]:
    """A memory control group; None where there are none of version 1."""
    group = CGROUPS / f"knee-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _unmount(folder: Path) -> None:
    wait_for(lambda: subprocess.run(["umount", str(folder)], check=False).returncode == 0, 30, "unmounting")


@contextlib.contextmanager
def _disk_full(machine: _Machine) -> Iterator[None]:
    ballast = machine.folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            if stream.write(bytes(1 << 16)) < 1 << 16:
                break
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def _quota(machine: _Machine) -> Iterator[None]:
    """The volume is made as small as its content."""
    used = shutil.disk_usage(machine.folder).used // (1 << 20) + NARROW_MB
    _mount("-o", f"remount,size={used}m", str(machine.folder))
    try:
        yield
    finally:
        _mount("-o", f"remount,size={SIZE_MB}m", str(machine.folder))


@contextlib.contextmanager
def _read_only(machine: _Machine) -> Iterator[None]:
    """Files that are opened from now on are on a read-only mount."""
    _mount("--bind", str(machine.folder), str(machine.folder))
    _mount("-o", "remount,bind,ro", str(machine.folder))
    try:
        yield
    finally:
        _unmount(machine.folder)


@contextlib.contextmanager
def _vanished(machine: _Machine) -> Iterator[None]:
    """An empty folder is where the volume was."""
    _mount("-t", "tmpfs", "-o", "size=50m", "tmpfs", str(machine.folder))
    try:
        yield
    finally:
        _unmount(machine.folder)


@contextlib.contextmanager
def _killed_for_memory(_: _Machine) -> Iterator[None]:
    limit = CGROUPS / f"knee-bench-{os.getpid()}" / "memory.limit_in_bytes"
    wait_for(lambda: _written(limit, MEMORY_LIMIT), 120, "the memory limit")
    try:
        yield
    finally:
        _written(limit, -1)


def _written(path: Path, value: int) -> bool:
    """False while more memory is in use."""
    try:
        path.write_text(str(value), encoding="ascii")
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


@contextlib.contextmanager
def _address_space(machine: _Machine) -> Iterator[None]:
    """The running job, and each that starts, can allocate no more memory."""
    wait_for(lambda: _limited_horse(machine), 60, "a running job")
    yield


def _limited_horse(machine: _Machine) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        if (horse := machine.horse()) is not None:
            most = horse.memory_info().vms
            resource.prlimit(horse.pid, resource.RLIMIT_AS, (most, most))
            return True
    return False


FAULTS: Final[dict[str, Callable[[_Machine], contextlib.AbstractContextManager[None]]]] = {
    "disk full": _disk_full,
    "vanished folder": _vanished,
    "read-only folder": _read_only,
    "killed for memory": _killed_for_memory,
    "no address space": _address_space,
    "quota": _quota,
}
