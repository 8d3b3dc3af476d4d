"""Stop the work on a job."""

from __future__ import annotations

import time
from typing import Final

from jobs.state.backend import Backend
from jobs.state.work_lock import Work

KILL_AFTER_S: Final = 0.4
STOP_TIMEOUT_S: Final = 2.0
POLL_S: Final = 0.03


def stop_work(backend: Backend, job_id: str) -> bool:
    """Stop the work on a job, if any; returns False if it still runs after STOP_TIMEOUT_S.


    The worker is asked first. If that does not help (for example because the worker has lost its connection to the
    queue), the work-horse is killed from here, provided that it runs on this machine.
    """
    lock = backend.storage.work_lock(job_id)
    begun = time.monotonic()
    while True:
        started = backend.queue.request_stop(job_id)
        work = lock.state()
        waited_s = time.monotonic() - begun
        if work is not Work.ALIVE and (not started or (work is Work.OVER and waited_s > KILL_AFTER_S)):
            return True
        if waited_s > KILL_AFTER_S:
            lock.kill_holder()
        if waited_s > STOP_TIMEOUT_S:
            return False
        time.sleep(POLL_S)
