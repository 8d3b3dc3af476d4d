"""RQ's worker with changes: the reconciler handles interrupted work, and a temporarily unreachable queue stops neither
the worker nor the job.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Final

import redis
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.processes import die_with_parent
from jobs.state.queue import CONNECT_TIMEOUT_S, HEARTBEAT_MISSED, HEARTBEAT_S, AnalysisJob
from jobs.state.rq_adapter import QUEUE_NAME
from jobs.state.work_lock import boot_id

_CONNECTION_ERRORS: Final = (redis.ConnectionError, redis.TimeoutError)

log = logging.getLogger(__name__)


class AnalysisWorker(Worker):  # type: ignore[misc]  # rq has no types
    """A worker with maintenance tasks.

    every_few_seconds   reconciliation: while idle, while a job runs, and after its end
    while_idle          longer tasks
    on_forced_stop      receives the id of a job that is stopped together with this worker
    """

    every_few_seconds: Callable[[], object]
    while_idle: Callable[[], object]
    on_forced_stop: Callable[[str], object]
    _in_maintenance = False

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

    def _shutdown(self) -> None:
        """Stop now, or after the current maintenance task.

        RQ raises an exception in the signal handler. A task that catches all exceptions would catch it, and the worker
        would not stop.
        """
        self._stop_requested = True
        if not self._in_maintenance:
            super()._shutdown()

    def heartbeat(self, *given: object, **named: object) -> None:
        try:
            super().heartbeat(*given, **named)
        except _CONNECTION_ERRORS as error:
            log.warning("worker %s: no heartbeat, the queue is not responding (%s)", self.name, error)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        try:
            super().maintain_heartbeats(job, execution)
            alive_s = int(HEARTBEAT_MISSED.total_seconds())
            self.connection.set(f"jobs:alive:{job.id}", boot_id(), ex=alive_s)
        except _CONNECTION_ERRORS as error:  # RQ would exit here, and the work-horse would end with its worker
            log.warning("worker %s: job %s continues without the queue (%s)", self.name, job.id, error)
        self.every_few_seconds()

    def execute_job(self, job: Job, queue: Queue) -> None:
        try:
            super().execute_job(job, queue)
        except _CONNECTION_ERRORS as error:
            log.warning("worker %s: job %s ended while the queue was not responding (%s)", self.name, job.id, error)
        self.every_few_seconds()  # the job of a killed work-horse is still open

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
        super().main_work_horse(job, queue)


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
        [QUEUE_NAME],
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
    return worker
