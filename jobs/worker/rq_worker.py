"""RQ's worker with changes: the reconciler handles interrupted work, and a temporarily unreachable queue stops neither
the worker nor the job.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import Final

import redis
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.state.backend import open_backend
from jobs.state.queue import CONNECT_TIMEOUT_S, HEARTBEAT_MISSED, HEARTBEAT_S, AnalysisJob
from jobs.state.rq_adapter import QUEUE_NAME, STUDY_QUEUE_NAME
from jobs.state.study_queue import KILLED_WEIGHT
from jobs.state.work_lock import boot_id
from jobs.worker.libraries import load_libraries
from jobs.worker.machine import Machine
from jobs.worker.memory import be_killed_first, killed_for_memory, oom_kills
from jobs.worker.more_work import MORE_WORK
from pipeline.decoding.protection import protection
from pipeline.linux import die_with_parent

RETRY_S: Final = 2.0
"""Interval of the checks of a machine that cannot work, and of a queue that refuses to write."""

_CONNECTION_ERRORS: Final = (redis.ConnectionError, redis.TimeoutError)

log = logging.getLogger(__name__)


class AnalysisWorker(Worker):  # type: ignore[misc]  # rq has no types
    """A worker with maintenance tasks.

    every_few_seconds   reconciliation: while idle, while a job runs, and after its end
    while_idle          longer tasks
    on_forced_stop      receives the id of a job that is stopped together with this worker
    put_back            receives the id of a job that was taken and not started
    study_horse_lost    receives the part of a study whose work-horse was killed
    machine             whether this machine can work now
    """

    every_few_seconds: Callable[[], object]
    while_idle: Callable[[], object]
    on_forced_stop: Callable[[str], object]
    put_back: Callable[[str], object]
    study_horse_lost: Callable[[str], object]
    machine: Machine
    drained = False
    """Whether it has stopped because the operator has asked for it."""

    _in_maintenance = False
    _oom_kills = 0

    def run_maintenance_tasks(self) -> None:
        """Run the maintenance tasks instead of RQ's cleanup, which marks jobs as failed after a minute and whose lock
        blocks it for 899 s after a worker was killed.
        """
        self._in_maintenance = True
        try:
            self.every_few_seconds()
            self.while_idle()
        finally:
            self._in_maintenance = False
        if self._stop_requested:
            raise StopRequested
        self.last_cleaned_at = datetime.now(UTC)
        self._wait_for_the_machine()

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """The next job, once the machine can work on it and the queue accepts writes."""
        load_libraries()  # after this worker was registered
        while True:
            self._wait_for_the_machine()
            try:
                found: tuple[Job, Queue] | None = super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            except redis.ResponseError as error:
                if not _refused(error):
                    raise
                log.warning("worker %s: the queue refuses to write (%s)", self.name, error)
                time.sleep(RETRY_S)
            else:
                if found is None or not (self.machine.hindrance() or self.machine.must_stop):
                    return found
                job, queue = found
                if queue.name == QUEUE_NAME:  # parts of studies are queued again by the feeder
                    self.put_back(job.id)  # the order came while this worker was waiting for a job

    def _wait_for_the_machine(self) -> None:
        """Wait while the worker is paused. Raises StopRequested if it is drained."""
        logged = ""
        while reason := self.machine.hindrance():
            if reason != logged:
                log.warning("worker %s: paused, %s", self.name, reason)
                logged = reason
            self.heartbeat()
            self.every_few_seconds()
            time.sleep(RETRY_S)
        if self.machine.must_stop:
            log.info("worker %s: drained by the operator", self.name)
            self.drained = True
            raise StopRequested
        if logged:
            log.info("worker %s: continues", self.name)

    def _shutdown(self) -> None:
        """Stop now, or after the current maintenance task.

        RQ raises an exception in the signal handler. A task that catches all exceptions would catch it, and the worker
        would not stop.
        """
        self._stop_requested = True
        if not self._in_maintenance:
            super()._shutdown()

    def heartbeat(self, *given: object, **named: object) -> None:
        with self._without_queue("no heartbeat"):
            super().heartbeat(*given, **named)
            self.machine.write_state(self.connection, self.name)
        MORE_WORK.allow(not (self._stop_requested or self.machine.must_stop or self.machine.paused))

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        MORE_WORK.allow(False)
        super().request_stop(signum, frame)

    def set_state(self, *given: object, **named: object) -> None:
        with self._without_queue("its state was not written"):
            super().set_state(*given, **named)

    @contextlib.contextmanager
    def _without_queue(self, consequence: str) -> Iterator[None]:
        """Continue if the queue does not respond or refuses to write."""
        try:
            yield
        except _CONNECTION_ERRORS as error:
            log.warning("worker %s: the queue is not responding: %s (%s)", self.name, consequence, error)
        except redis.ResponseError as error:
            if not _refused(error):
                raise
            log.warning("worker %s: the queue refuses to write: %s (%s)", self.name, consequence, error)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        with self._without_queue(f"job {job.id} continues"):  # RQ would exit, and the work-horse with its worker
            super().maintain_heartbeats(job, execution)
            alive_s = int(HEARTBEAT_MISSED.total_seconds())
            self.connection.set(f"jobs:alive:{job.id}", boot_id(), ex=alive_s)
        self.every_few_seconds()

    def execute_job(self, job: Job, queue: Queue) -> None:
        self._oom_kills = oom_kills()
        self.machine.job_id = job.id
        self.heartbeat()
        with self._without_queue(f"job {job.id} has ended"):
            super().execute_job(job, queue)
        self.machine.job_id = ""
        self.machine.job_ended()
        self.every_few_seconds()  # the job of a killed work-horse is still open

    def handle_work_horse_killed(self, job: Job, retpid: object, ret_val: int | None, rusage: object) -> None:
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)
        if killed_for_memory(ret_val, self._oom_kills):
            log.warning("worker %s: job %s was killed by the kernel for memory", self.name, job.id)
            self.machine.killed_for_memory(job.id)
        if job.origin == STUDY_QUEUE_NAME:
            with self._without_queue(f"the loss of {job.id} was not counted"):
                self.study_horse_lost(job.id)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """The second stop signal: the work-horse is stopped too, and its job waits for another worker."""
        job_id = self.get_current_job_id() if self.horse_pid else None
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            if job_id is not None:
                self.on_forced_stop(job_id)
            raise

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Kill the work-horse and its children.

        After the end of the work-horse, RQ uses process group 0, which is that of the worker: a late stop request would
        kill the worker.
        """
        horse = self.horse_pid
        if not horse:
            return
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(horse) == horse:
                os.killpg(horse, sig)
            else:  # just forked, still in the worker's group
                os.kill(horse, sig)
            log.info("worker %s: killed work-horse %s", self.name, horse)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        die_with_parent(self.pid)
        be_killed_first()
        super().main_work_horse(job, queue)


def _refused(error: redis.ResponseError) -> bool:
    """Whether the server cannot write now: its disk or its memory is full, or it is a replica."""
    return isinstance(error, (redis.OutOfMemoryError, redis.exceptions.ReadOnlyError)) or "MISCONF" in str(error)


def make_worker(
    url: str,
    *,
    every_few_seconds: Callable[[], object],
    while_idle: Callable[[], object],
    on_forced_stop: Callable[[str], object],
) -> Worker:
    """A worker for the queue, with a random name (RQ rejects a fixed name for minutes after the worker was killed).

    The maintenance tasks run in the parent process and must not raise. With a worker_ttl of 20 s RQ waits for work for
    at most 5 s at a time, which is then the interval of heartbeats and maintenance.
    """
    client = redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S)
    worker = AnalysisWorker(
        [QUEUE_NAME, STUDY_QUEUE_NAME],
        connection=client,
        serializer=JSONSerializer,
        job_class=AnalysisJob,
        worker_ttl=15 + HEARTBEAT_S,
        job_monitoring_interval=HEARTBEAT_S,
        maintenance_interval=HEARTBEAT_S,
        log_job_description=False,
    )
    worker.max_connection_wait_time = 2.0
    worker.every_few_seconds = every_few_seconds
    worker.while_idle = while_idle
    worker.on_forced_stop = on_forced_stop
    backend = open_backend()
    worker.put_back = backend.queue.put_back
    worker.study_horse_lost = partial(backend.studies.horse_lost, weight=KILLED_WEIGHT)
    worker.machine = Machine(backend, worker.name)
    for words in protection().missing:
        log.warning("worker %s: reading of uploads: %s", worker.name, words)
    return worker
