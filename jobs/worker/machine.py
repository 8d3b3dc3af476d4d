"""What a worker knows of its machine: whether it can work now, and what it says of itself with each heartbeat."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from jobs.errors import QueueUnavailable
from jobs.state.backend import Backend
from jobs.state.clock import follow, skew_s
from jobs.state.faults import FaultKind
from jobs.state.orders import Action
from jobs.state.queue import HEARTBEAT_MISSED
from jobs.state.work_lock import boot_id
from jobs.state.workers import WorkerState, read_states, write_state
from jobs.worker.machine_fault import NOTE, MachineFault, give_back
from jobs.worker.pausing import Pause
from jobs.worker.shared_locks import SharedLocks

if TYPE_CHECKING:
    import redis

LOCKS_INTERVAL_S: Final = 30.0

log = logging.getLogger(__name__)


class Machine:
    """State of one worker and its machine. job_id: of the job that it works on; empty while it has none."""

    def __init__(self, backend: Backend, worker: str) -> None:
        self._backend = backend
        self._pause = Pause(backend, worker)
        self.job_id = ""
        self._locks: SharedLocks | None = None
        self._locks_checked_at = float("-inf")

    def hindrance(self) -> str:
        """Why the worker cannot take a job now; empty if it can."""
        return self._pause.check()

    @property
    def must_stop(self) -> bool:
        """Whether the operator has asked this worker to stop after its job."""
        order = self._pause.order
        return order is not None and order.action is Action.DRAIN

    @property
    def paused(self) -> bool:
        """Whether the worker takes no jobs for now, as far as it was last found."""
        return bool(self._pause.reason)

    def job_ended(self) -> None:
        """Take note of a fault of the last job."""
        self._pause.job_ended()

    def killed_for_memory(self, job_id: str) -> None:
        """The kernel has killed the work-horse of a job because the machine had no memory left."""
        fault = MachineFault(FaultKind.OUT_OF_MEMORY)
        NOTE.write(fault)
        with contextlib.suppress(QueueUnavailable):
            give_back(self._backend, job_id, None, fault, timeout_s=0.0)

    def write_state(self, client: redis.Redis, name: str) -> None:
        """Raises redis.RedisError."""
        follow(self._backend.client)
        self._pause.read_order()  # also while a job runs
        self._check_locks(client, name)
        state = WorkerState(
            name=name,
            machine=boot_id(),
            job_id=self.job_id,
            paused=self._pause.reason,
            cause=self._pause.cause,
            drains=self.must_stop,
            skew_s=round(skew_s(), 1),
            locks="" if self._locks is None else self._locks.problem,
        )
        write_state(client, state, int(HEARTBEAT_MISSED.total_seconds()))

    def _check_locks(self, client: redis.Redis, name: str) -> None:
        """At the start and from time to time, because another machine may start later."""
        moment = time.monotonic()
        if moment - self._locks_checked_at < LOCKS_INTERVAL_S or not self._backend.storage.identity():
            return
        self._locks_checked_at = moment
        if self._locks is None:
            self._locks = SharedLocks(self._backend.storage.root / "locks", name)
        before = self._locks.problem
        self._locks.check(read_states(client))
        if self._locks.problem and self._locks.problem != before:
            log.warning("worker %s: %s", name, self._locks.problem)
