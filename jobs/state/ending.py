"""What follows the end of a job, whoever found out that it has ended."""

from __future__ import annotations

import logging

from jobs.state.backend import Backend
from jobs.state.model import JobRecord, Status

log = logging.getLogger(__name__)


def conclude(here: Backend, record: JobRecord) -> None:
    """Count it, keep what may be kept, delete the upload. Call it once, with the final record that was written.

    job.json comes last: where it does not say that the job has ended, the reconciler does the rest again.
    """
    from jobs.state.retention import keep_for_research  # retention deletes jobs, and deleting ends them

    if record.status is Status.COMPLETE:
        here.statistics.record_complete(record)
    if here.storage.has_lost(record.id):
        return
    keep_for_research(here.storage, record)
    here.storage.remove_upload(record.id)
    here.storage.write_record(record)
    log.info("job %s: %s", record.id, record.error_code or record.status)
