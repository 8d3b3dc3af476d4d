"""Actions after the end of a job."""

from __future__ import annotations

import logging

from jobs.state.backend import Backend
from jobs.state.model import JobRecord
from jobs.state.research import keep_for_research

log = logging.getLogger(__name__)


def finish_job(backend: Backend, record: JobRecord) -> None:
    """Update the statistics, keep data for research with consent, delete the upload and other attempts' files.

    Called once with the final record. job.json is written last: without it, the reconciler repeats these actions.
    """
    backend.statistics.record_end(record)
    if backend.storage.folder_is_missing(record.id):
        return
    keep_for_research(backend.settings, backend.storage, record)
    backend.storage.remove_other_attempts(record.id, record.attempt)
    backend.storage.remove_upload(record.id)
    backend.storage.write_record(record)
    log.info("job %s: %s", record.id, record.error_code or record.status)
