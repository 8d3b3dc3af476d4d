"""What follows the end of a job, whoever found out that it has ended."""

from __future__ import annotations

import logging

from jobs.state.backend import Backend
from jobs.state.model import JobRecord, Status
from jobs.state.research import keep_for_research

log = logging.getLogger(__name__)


def conclude(backend: Backend, record: JobRecord) -> None:
    """Count it, keep what may be kept, delete the upload. Call it once, with the final record that was written.

    job.json comes last: where it does not say that the job has ended, the reconciler does the rest again.
    """
    if record.status is Status.COMPLETE:
        backend.statistics.record_complete(record)
    if backend.storage.has_lost(record.id):
        return
    keep_for_research(backend.storage, record)
    backend.storage.remove_upload(record.id)
    backend.storage.write_record(record)
    log.info("job %s: %s", record.id, record.error_code or record.status)
