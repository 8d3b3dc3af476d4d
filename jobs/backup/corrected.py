"""Scans with the outlines that readers have accepted, as a labelled set for `make adapt` and `make validate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.errors import JobConflict
from jobs.state.backend import open_backend
from jobs.state.model import JobRecord, Status
from jobs.state.queue import queue_errors
from pipeline.labelled_pair import write_names, write_pair
from pipeline.review_state import ReviewState


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Names of the pairs; number of accepted analyses without consent, and of those whose files are gone."""

    cases: tuple[str, ...]
    without_consent: int
    without_files: int


@queue_errors()
def export_corrected(folder: Path, *, scans_consented: bool) -> Exported:
    """Write imagesTr/ and labelsTr/ with a pair for each analysis: its newest accepted version with corrected outlines.

    scans_consented: the operator states that users who let data be kept for research have agreed to the use of their
    scans too. The form itself asks for labels, surfaces and measurements, never voxels.

    Only jobs whose user has consented to keeping data for research. A case is named by the id of version 1, which is no
    patient's. Raises JobConflict without that statement, or if the folder has files; QueueUnavailable.
    """
    if not scans_consented:
        raise JobConflict(
            "The pairs would hold the voxels of scans. The form asks users for labels, surfaces and measurements only.",
            hint="If your users have agreed to the use of their scans too, repeat with --scans-consented.",
        )
    if folder.exists() and any(folder.iterdir()):
        raise JobConflict(f"{folder.name} is not empty; expected a new folder.", hint="Choose another folder.")
    backend = open_backend()
    records = backend.store.load_several(backend.store.ids())
    newest: dict[str, JobRecord] = {}
    for record in filter(_is_accepted, records):
        if record.version >= newest.get(record.family, record).version:
            newest[record.family] = record
    accepted = list(newest.values())
    open_to_us = [record for record in accepted if record.retain_for_research]
    cases = []
    for record in open_to_us:
        workspace = backend.storage.workspace(record.id, record.attempt)
        name = f"knee_{record.family.replace('-', '')}"
        if write_pair(workspace, folder, name, str(record.options.get("turn", ""))):
            cases.append(name)
    if cases:
        write_names(folder)
    return Exported(
        cases=tuple(cases),
        without_consent=len(accepted) - len(open_to_us),
        without_files=len(open_to_us) - len(cases),
    )


def _is_accepted(record: JobRecord) -> bool:
    complete = record.corrected and record.status is Status.COMPLETE
    return complete and record.review.get("state") == ReviewState.ACCEPTED
