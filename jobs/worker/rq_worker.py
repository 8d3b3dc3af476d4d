"""RQ's worker with another judgement: what becomes of interrupted work is the reconciler's to say, and a queue that
cannot be reached for a while ends neither the worker nor the work.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final

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

_AWAY: Final = (redis.ConnectionError, redis.TimeoutError)

log = logging.getLogger(__name__)


class AnalysisWorker(Worker):  # type: ignore[misc]  # rq has no types
    """A worker with chores.

    every_few_seconds   reconciling: while idle, while a job runs, and when one has ended
    while_idle          what may take longer
    on_purpose          told the id of a job whose work ends because this worker is told to stop
    """

    every_few_seconds: Callable[[], object]
    while_idle: Callable[[], object]
    on_purpose: Callable[[str], object]
    _at_chores = False

    def run_maintenance_tasks(self) -> None:
        """Without RQ's own cleaning: its lock lives 899 s, a kill orphans it, and it gives up jobs after a minute."""
        self._at_chores = True
        try:
            self.every_few_seconds()
            self.while_idle()
        finally:
            self._at_chores = False
        if self._stop_requested:
            raise StopRequested
        self.last_cleaned_at = datetime.now(UTC)

    def _shutdown(self) -> None:
        """Stop now, or when the chore at hand is done.

        RQ raises wherever the signal finds it: a chore that must not raise would catch that, and the worker stay.
        """
        self._stop_requested = True
        if not self._at_chores:
            super()._shutdown()

    def heartbeat(self, *given: Any, **named: Any) -> None:
        try:
            super().heartbeat(*given, **named)
        except _AWAY as error:
            log.warning("worker %s: no heartbeat, the queue does not answer (%s)", self.name, error)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        try:
            super().maintain_heartbeats(job, execution)
            alive_s = int(HEARTBEAT_MISSED.total_seconds())
            self.connection.set(f"jobs:alive:{job.id}", boot_id(), ex=alive_s)
        except _AWAY as error:  # RQ would leave here, and the work-horse would die with its worker
            log.warning("worker %s: job %s goes on without the queue (%s)", self.name, job.id, error)
        self.every_few_seconds()

    def execute_job(self, job: Job, queue: Queue) -> None:
        try:
            super().execute_job(job, queue)
        except _AWAY as error:
            log.warning("worker %s: job %s ended while the queue did not answer (%s)", self.name, job.id, error)
        self.every_few_seconds()  # a work-horse that was killed has left its job open

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """The second request to stop: the work-horse goes as well, and its job waits for another worker."""
        job_id = self.get_current_job_id() if self.horse_pid else None
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            if job_id is not None:
                self.on_purpose(job_id)
            raise

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Kill the work-horse and what it started.

        RQ asks for the process group of number 0 once the work-horse has ended, which is the worker's own: a request to
        stop that comes a moment late killed the worker.
        """
        horse = self.horse_pid
        if not horse:
            return
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(horse) == horse:
                os.killpg(horse, sig)
            else:  # just forked: still in the worker's group
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
    on_purpose: Callable[[str], object],
) -> Worker:
    """A worker with a random name (a fixed one is locked out for minutes after a kill) for the one queue.

    The chores run in the parent process and must not raise.

    worker_ttl 20 s makes RQ wait for work at most 5 s at a time: heartbeat and maintenance come as often.
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
    worker.on_purpose = on_purpose
    return worker
