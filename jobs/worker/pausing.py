"""A worker takes no jobs while its machine cannot work, and continues by itself."""

from __future__ import annotations

import time
from typing import Final

from jobs.errors import QueueUnavailable
from jobs.state.backend import Backend
from jobs.state.data_dir import claim_data_dir
from jobs.state.faults import FaultKind
from jobs.state.queue import queue_errors
from jobs.worker.machine_fault import NOTE

FIRST_PAUSE_S: Final = 4.0
MOST_PAUSE_S: Final = 60.0
"""The pause doubles with every fault in a row."""


class Pause:
    """State of one worker. reason: why it takes no jobs; empty if it does."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._until = 0.0
        self._faults_in_a_row = 0
        self._kind: FaultKind | None = None
        self._needed_bytes = 0
        self.reason = ""

    def job_ended(self) -> None:
        """Take note of how the last job ended."""
        fault = NOTE.take()
        if fault is None:
            self._faults_in_a_row = 0
            return
        pause_s = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2**self._faults_in_a_row)
        self._faults_in_a_row += 1
        self._kind, self._needed_bytes, self._until = fault.kind, fault.needed_bytes, time.monotonic() + pause_s

    def check(self) -> str:
        """Whether the machine can work now: the reason if it cannot, which is kept in `reason`."""
        kind = self._present_fault()
        if kind is None and time.monotonic() < self._until:
            kind = self._kind
        if kind is None:
            self._needed_bytes = 0
            self.reason = ""
        else:
            self.reason = kind.words
            if kind is FaultKind.DISK_FULL and self._needed_bytes:
                self.reason += f": the next job needs {self._needed_bytes / 1e6:.0f} MB"
        return self.reason

    def _present_fault(self) -> FaultKind | None:
        storage = self._backend.storage
        try:
            with queue_errors():
                if not claim_data_dir(self._backend.client, storage):
                    return FaultKind.DATA_MISSING
        except QueueUnavailable:  # without the queue there are no jobs either
            pass
        return storage.problem(self._needed_bytes)
