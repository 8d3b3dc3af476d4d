"""A worker takes no jobs while its machine cannot work, or while the operator has paused it."""

from __future__ import annotations

import contextlib
import time
from typing import Final

from jobs.errors import QueueUnavailable
from jobs.state.backend import Backend
from jobs.state.data_dir import claim_data_dir
from jobs.state.faults import FaultKind
from jobs.state.orders import OPERATOR, Action, Order, order_for
from jobs.state.queue import queue_errors
from jobs.worker.machine_fault import NOTE

FIRST_PAUSE_S: Final = 4.0
MOST_PAUSE_S: Final = 60.0
"""The pause doubles with every fault in a row."""


class Pause:
    """State of one worker.

    reason  why it takes no jobs; empty if it does
    cause   OPERATOR or the kind of the fault; empty without a pause
    order   what the operator has asked of it; the last known one if the queue does not respond
    """

    def __init__(self, backend: Backend, worker: str) -> None:
        self._backend = backend
        self._worker = worker
        self._until = 0.0
        self._faults_in_a_row = 0
        self._kind: FaultKind | None = None
        self._needed_bytes = 0
        self.reason = ""
        self.cause = ""
        self.order: Order | None = None

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
        """Why the worker can take no job now, which is kept in `reason`; empty if it can."""
        self.read_order()
        if self.cause == OPERATOR:
            return self.reason
        kind = self._present_fault()
        if kind is None and time.monotonic() < self._until:
            kind = self._kind
        if kind is None:
            self._needed_bytes = 0
            self.reason = self.cause = ""
        else:
            self.reason, self.cause = kind.words, kind
            if kind is FaultKind.DISK_FULL and self._needed_bytes:
                self.reason += f": the next job needs {self._needed_bytes / 1e6:.0f} MB"
        return self.reason

    def read_order(self) -> None:
        """Take note of what the operator has asked."""
        with contextlib.suppress(QueueUnavailable), queue_errors():
            self.order = order_for(self._backend.client, self._worker)
        if self.order is not None and self.order.action is Action.PAUSE:
            self.reason, self.cause = self.order.words, OPERATOR
        elif self.cause == OPERATOR:
            self.reason = self.cause = ""

    def _present_fault(self) -> FaultKind | None:
        storage = self._backend.storage
        try:
            with queue_errors():
                if not claim_data_dir(self._backend.client, storage):
                    return FaultKind.DATA_MISSING
        except QueueUnavailable:  # without the queue there are no jobs either
            pass
        return storage.problem(self._needed_bytes)
