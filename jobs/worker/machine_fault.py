"""Recognises faults of the machine in an attempt, and gives the job back to the queue."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator
from typing import Final

from jobs.errors import JobError, QueueUnavailable
from jobs.state.backend import Backend
from jobs.state.ending import finish_job
from jobs.state.faults import FaultKind, fault_of
from jobs.state.lifecycle import given_back
from jobs.state.model import JobRecord, RecordChanges
from jobs.state.queue import queue_errors
from jobs.state.storage import Storage
from jobs.worker.memory import address_space_used_up
from pipeline.errors import DeviceMissing, OutOfDisk, OutOfMemory

WRITE_TIMEOUT_S: Final = 1800.0
WRITE_RETRY_S: Final = 1.0
"""The job is given back as soon as the queue accepts it: on a full disk, the embedded queue does not at first."""


class MachineFault(JobError):
    """An attempt ended by a fault of the machine. needed_bytes: disk space without which it cannot start."""

    def __init__(self, kind: FaultKind, needed_bytes: int = 0) -> None:
        super().__init__(f"Interrupted: {kind.words}.")
        self.kind = kind
        self.needed_bytes = needed_bytes


class FaultNote:
    """Memory that a worker shares with its work-horses: it works without disk and without Redis."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def write(self, fault: MachineFault) -> None:
        """Called by the work-horse."""
        self._shared[:64] = f"{fault.kind} {fault.needed_bytes}".encode().ljust(64)

    def take(self) -> MachineFault | None:
        """Called by the worker: the fault of the last job; None if there was none."""
        text = self._shared[:64].decode().strip("\0 ")
        self._shared[:64] = bytes(64)
        if not text:
            return None
        kind, needed = text.split()
        return MachineFault(FaultKind(kind), int(needed))


NOTE: Final = FaultNote()
"""The worker imports this module before it forks."""


def fault_behind(error: BaseException, storage: Storage) -> FaultKind | None:
    """The fault of the machine behind an error of the analysis; None if it is the job's."""
    for cause in _chain(error):
        if isinstance(cause, (MemoryError, OutOfMemory)):
            return FaultKind.OUT_OF_MEMORY
        if isinstance(cause, OutOfDisk):
            return FaultKind.DISK_FULL
        if isinstance(cause, DeviceMissing):
            return FaultKind.DEVICE_LOST
        if isinstance(cause, OSError) and (kind := fault_of(cause)) is not None:
            return kind
    if (kind := storage.problem()) is not None:
        return kind
    return FaultKind.OUT_OF_MEMORY if address_space_used_up() else None


def give_back(
    backend: Backend, job_id: str, attempt: int | None, fault: MachineFault, *, timeout_s: float = WRITE_TIMEOUT_S
) -> None:
    """Note the fault in the record: the reconciler queues the job again and does not count the attempt.

    attempt: None if it has not begun. Waits until the queue accepts the write.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            _note(backend, job_id, attempt, fault)
        except QueueUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(WRITE_RETRY_S)
        else:
            return


@queue_errors()
def _note(backend: Backend, job_id: str, attempt: int | None, fault: MachineFault) -> None:
    completed_jobs = backend.statistics.total()

    def decide(record: JobRecord) -> RecordChanges | None:
        if record.status.final or attempt not in (None, record.attempt):
            return None
        return given_back(record, fault.kind, completed_jobs)

    record, changed = backend.store.change(job_id, decide)
    if record is not None and changed and record.status.final:
        finish_job(backend, record)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
