"""The state of a study as its tables need it, from its check and its journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jobs.settings import Settings
from jobs.studies.folder import StudyFolder
from jobs.studies.journal import Entries
from jobs.studies.plan import Plan
from jobs.studies.record import StudyRecord
from pipeline.options import AnalysisOptions
from studies.agreement import by_row, common_state, valid
from studies.check import Check
from studies.longitudinal import Examination
from studies.row_state import RowState
from studies.rules import CheckedRow
from studies.run import RunSettings
from studies.store import AnalysisFolder
from studies.tables.rows import StudyRow, StudyState


def run_settings(settings: Settings, folder: StudyFolder, record: StudyRecord) -> RunSettings:
    """How the rows are analysed: as by the command line, with one store for all studies."""
    return RunSettings(
        options=AnalysisOptions.from_dict(record.options),
        resources=settings.resources,
        out=folder.tables,
        store=folder.store,
        processes=1,
        compact=record.compact,
    )


def study_state(
    folder: StudyFolder, record: StudyRecord, check: Check, plan: Plan, entries: Entries
) -> tuple[StudyState, list[int]]:
    """The state, and the rows whose analyses are no longer in the store."""
    rows: list[StudyRow] = []
    gone = []
    judgements = folder.judgements()
    for checked in check.rows:
        state, outcome = plan.state_of(checked.row.number, entries.outcomes)
        found = None
        if outcome is not None and state is RowState.COMPLETE:
            found = AnalysisFolder(folder.store, outcome.address).record()
            if found is None:
                gone.append(checked.row.number)
        failure = None if outcome is None else outcome.failure
        rows.append(StudyRow(checked=checked, state=state, record=found, failure=failure))
    versions = {row.number: row.record.version for row in rows if row.record is not None}
    said = by_row(valid(judgements, versions))
    rows = [replace(row, review=common_state(said.get(row.number, []))) for row in rows]
    options = AnalysisOptions.from_dict(record.options).to_dict()
    state_now = StudyState(
        check=check, store=folder.store, rows=tuple(rows), options=options, judgements=tuple(judgements)
    )
    return state_now, gone


def examinations_of(folder: StudyFolder, rows: Iterable[CheckedRow], entries: Entries) -> list[Examination]:
    """The complete ones of some rows."""
    found = []
    for row in rows:
        outcome = entries.outcomes.get(row.row.number)
        record = None if outcome is None else AnalysisFolder(folder.store, outcome.address).record()
        if outcome is not None and outcome.failure is None and record is not None:
            found.append(
                Examination(
                    row=row.row.number,
                    subject=row.row.person.subject,
                    visit=row.row.person.visit,
                    years=row.years,
                    record=record,
                )
            )
    return found
