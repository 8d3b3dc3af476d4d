"""One row of a study as one analysis: the work of one process, by whatever started it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pipeline.errors import DeviceMissing, KneeError, OutOfDisk, OutOfMemory, WeightsCorrupt, WeightsMissing
from pipeline.options import AnalysisOptions
from pipeline.progress import StepState
from pipeline.result_folder import hand_over
from pipeline.results_tree import PROVENANCE, RESULTS
from pipeline.run import ProgressCallback, run_analysis
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace
from studies.address import address_of
from studies.identity import input_digest
from studies.store import AnalysisFolder, AnalysisRecord, FailureRecord

OF_THE_MACHINE: Final = (OutOfDisk, DeviceMissing, WeightsMissing, WeightsCorrupt)
"""Errors that would end every row alike: they stop the run, and no row is counted as failed."""

MODEL_FACTS: Final = ("id", "title", "source", "licence", "citation", "identity")


class State(StrEnum):
    """What became of a task."""

    COMPUTED = "computed"
    KEPT = "kept"
    FAILED = StepState.FAILED.value
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, kw_only=True)
class AnalysisTask:
    """What a process needs to know of a row.

    row      its number; digests: of files that have not changed since they were read
    retry    compute again what has failed before
    compact  keep only what the tables need
    """

    row: int
    scan: Path | None
    labels: Path | None
    options: dict[str, object]
    resources: Resources
    store: Path
    digests: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    retry: bool = False
    compact: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """digests: path -> stamp and digest, of the input of the task. failure: with FAILED."""

    row: int
    address: str
    state: State
    failure: FailureRecord | None = None
    digests: dict[str, tuple[str, str]] = field(default_factory=dict)


def analyse(
    task: AnalysisTask, on_progress: ProgressCallback = lambda _: None, passing: tuple[type[Exception], ...] = ()
) -> Outcome:
    """Analyse the input of a row, unless the store has its results.

    on_progress may raise an exception of `passing`, which stops the analysis and does not count as its failure. What
    was computed is kept. Raises an error of OF_THE_MACHINE, OutOfMemory, OSError, MemoryError.
    """
    digests: dict[str, tuple[str, str]] = {}
    try:
        scan, labels = (_digest(path, task.digests, digests) for path in (task.scan, task.labels))
    except OSError as error:
        failure = FailureRecord(
            code="MISSING_FILE",
            message=f"The input can no longer be read ({error.strerror}).",
            hint="Check that it is still there, then repeat the run with --retry-failed.",
        )
        return Outcome(row=task.row, address="", state=State.FAILED, failure=failure)
    options = AnalysisOptions.from_dict(task.options)
    address = address_of(scan, labels, options, task.resources)
    folder = AnalysisFolder(task.store, address)

    def outcome(state: State, failure: FailureRecord | None = None) -> Outcome:
        return Outcome(row=task.row, address=address, state=state, failure=failure, digests=digests)

    if (found := _kept(task, folder, digests)) is not None:
        return found
    with folder.hold() as held:
        if not held:
            return outcome(State.ELSEWHERE)
        if (found := _kept(task, folder, digests)) is not None:
            return found
        run = _Run(folder=folder, task=task, options=options, on_progress=on_progress, passing=passing)
        failed = run.finish({"scan": scan, "labels": labels})
        return outcome(State.COMPUTED) if failed is None else outcome(State.FAILED, failed)


def known_outcome(task: AnalysisTask) -> Outcome | None:
    """What the store has of a row whose input was read before and has not changed; else None."""
    try:
        scan, labels = (_known_digest(path, task.digests) for path in (task.scan, task.labels))
    except OSError:
        return None
    if scan is None or labels is None:
        return None
    address = address_of(scan, labels, AnalysisOptions.from_dict(task.options), task.resources)
    return _kept(task, AnalysisFolder(task.store, address), {})


def _kept(task: AnalysisTask, folder: AnalysisFolder, digests: dict[str, tuple[str, str]]) -> Outcome | None:
    state, failure = State.KEPT, None
    if folder.record() is None:
        state, failure = State.FAILED, None if task.retry else folder.failure()
        if failure is None:
            return None
    return Outcome(row=task.row, address=folder.address, state=state, failure=failure, digests=digests)


def write_lost(task: AnalysisTask, failure: FailureRecord) -> str:
    """Record the failure of a task whose process was killed; returns its address."""
    scan, labels = (_digest(path, task.digests, {}) for path in (task.scan, task.labels))
    address = address_of(scan, labels, AnalysisOptions.from_dict(task.options), task.resources)
    folder = AnalysisFolder(task.store, address)
    with folder.hold() as held:
        if held and folder.record() is None:
            folder.write_failure(failure)
    return address


@dataclass(frozen=True, kw_only=True)
class _Run:
    folder: AnalysisFolder
    task: AnalysisTask
    options: AnalysisOptions
    on_progress: ProgressCallback
    passing: tuple[type[Exception], ...]

    @property
    def _passed(self) -> tuple[type[Exception], ...]:
        return (*OF_THE_MACHINE, OutOfMemory, *self.passing)

    def finish(self, inputs: dict[str, str]) -> FailureRecord | None:
        """Compute, and write the record of the analysis or its failure. inputs: digests."""
        folder, task = self.folder, self.task
        folder.prepare()
        workspace = Workspace(folder.workspace_dir)
        try:
            run_analysis(workspace, self.options, task.resources, _request(task), self.on_progress)
        except self._passed:  # memory may be for other processes: it is tried again
            raise
        except KneeError as error:
            failure = FailureRecord.of(error)
            folder.write_failure(failure)
            return failure
        except (OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 -- a bug ends one row, not the study
            failure = FailureRecord(
                code="INTERNAL_ERROR",
                message=f"Unexpected error ({type(error).__name__}).",
                hint="Report it with the file traceback.txt in the folder of the analysis.",
            )
            folder.write_failure(failure, traceback.format_exc())
            return failure
        hand_over(workspace, folder.path, "")
        folder.write_record(record_of(folder, inputs), compact=task.compact)
        return None


def _request(task: AnalysisTask) -> Request:
    """Without the name of the input, which may be that of a patient: rows of one content are one analysis."""
    return Request(
        input_name="",
        scan=None if task.scan is None else str(task.scan.resolve()),
        labels=None if task.labels is None else str(task.labels.resolve()),
    )


def record_of(folder: AnalysisFolder, inputs: dict[str, str], version: int = 1) -> AnalysisRecord:
    """The record of an analysis whose results are in its folder. version: of its outlines."""
    results: dict[str, Any] = json.loads(RESULTS.at(folder.path).read_text(encoding="utf-8"))
    provenance: dict[str, Any] = json.loads(PROVENANCE.at(folder.path).read_text(encoding="utf-8"))
    model = provenance["model"]
    return AnalysisRecord(
        address=folder.address,
        side=results["side"],
        model={name: model[name] for name in MODEL_FACTS if name in model},
        flags=tuple(dict.fromkeys(flag["code"] for flag in results["flags"])),
        warnings=tuple(results["warnings"]),
        versions={name: provenance[name] for name in ("program", "steps", "packages", "shape_models")},
        inputs=inputs,
        version=version,
    )


def _digest(path: Path | None, known: Mapping[str, tuple[str, str]], found: dict[str, tuple[str, str]]) -> str:
    """Of a file that has not changed since, the known one. Raises OSError."""
    if path is None:
        return ""
    stamp = _stamp(path)
    digest = _known_digest(path, known)
    if digest is None:
        digest = input_digest(path)
    found[str(path)] = stamp, digest
    return digest


def _known_digest(path: Path | None, known: Mapping[str, tuple[str, str]]) -> str | None:
    """Of a file that has not changed since; a folder is always read. Raises OSError."""
    if path is None:
        return ""
    before = known.get(str(path))
    unchanged = before is not None and before[0] == _stamp(path) and path.is_file()
    return before[1] if before is not None and unchanged else None


def _stamp(path: Path) -> str:
    facts = path.stat()
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ino}"
