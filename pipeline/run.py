"""The one orchestrator: worker, command line and benchmarks all call run_analysis.

A step whose inputs, options and model have not changed since it last finished here is not run again, so an analysis
that was cut short goes on where it was, and ends with the same numbers as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from threadpoolctl import threadpool_limits

from pipeline.errors import KneeError, OutOfMemory
from pipeline.options import AnalysisOptions
from pipeline.progress import Progress, StepRecord, StepState
from pipeline.segmentation.registry import model
from pipeline.steps import STEPS, Context, Step
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace

METHOD_VERSION: Final = 2
"""Raised when a change can move a number: work of an older version is then not taken up again."""

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """How an analysis ended: warnings, what each step did, and the results zip."""

    warnings: tuple[str, ...]
    steps: tuple[StepRecord, ...]
    archive_name: str
    archive_bytes: int


def run_analysis(
    workspace: Workspace,
    options: AnalysisOptions,
    resources: Resources,
    request: Request,
    on_progress: ProgressCallback,
) -> RunSummary:
    """Run every step that applies, in order.

    Raises OptionsError where there is no such model; the KneeError of a required step (facts["step"] names it). A
    failed optional step becomes a warning.
    """
    model(options.segmentation_model, resources)
    workspace.create()
    context = Context(
        workspace=workspace,
        options=options,
        resources=resources,
        request=request,
        input_sha256=_input_digest(workspace, request),
    )
    # the matrices here are small: more BLAS threads only spin, and let the last bit depend on the number of cores
    with threadpool_limits(limits=1, user_api="blas"):
        return _Run(context=context, on_progress=on_progress).to_the_end()


class _Run:
    """State of one pass over STEPS: what each has done so far, and its fingerprint."""

    def __init__(self, *, context: Context, on_progress: ProgressCallback) -> None:
        self.context = context
        self.on_progress = on_progress
        self.ledger = _Ledger(context.workspace)
        self.records = [StepRecord(name=s.name, title=s.title, state=StepState.WAITING) for s in STEPS]

    def to_the_end(self) -> RunSummary:
        for index, step in enumerate(STEPS):
            self.context.steps = tuple(self.records)
            fingerprint = self.ledger.fingerprint(step, self.context)
            known = self.ledger.finished(step, fingerprint)
            self.records[index] = known or self._run(index, step)
            self.ledger.note(step, fingerprint, self.records[index])
        self._report(len(STEPS) - 1, 1.0)
        summary = self.context.workspace.read_json("report")
        return RunSummary(
            warnings=self.context.warnings(),
            steps=tuple(self.records),
            archive_name=summary["archive_name"],
            archive_bytes=summary["archive_bytes"],
        )

    def _run(self, index: int, step: Step) -> StepRecord:
        record = self.records[index]
        for product in step.produces:  # of an earlier run with other options: no later step may take it for today's
            self.context.workspace.discard(product)
        if reason := step.applies(self.context):
            return replace(record, state=StepState.SKIPPED, reason=reason)
        self.records[index] = replace(record, state=StepState.RUNNING)
        self._report(index, 0.0)
        started = time.perf_counter()
        self.context.report = lambda fraction: self._report(index, fraction)
        try:
            step.run(self.context)
        except MemoryError as error:
            failure: KneeError = OutOfMemory(
                f"{step.title}: the machine ran out of memory; expected about 3 GB free.",
                hint="Crop the scan to the knee, or run on a machine with more memory.",
            )
            failure.__cause__ = error
        except KneeError as error:
            failure = error
        else:
            return replace(record, state=StepState.DONE, seconds=time.perf_counter() - started)
        failure.facts.setdefault("step", step.name)
        if step.required:
            raise failure
        seconds = time.perf_counter() - started
        return replace(record, state=StepState.FAILED, seconds=seconds, reason=failure.message)

    def _report(self, index: int, fraction: float) -> None:
        shares = [step.share for step in STEPS]
        done = sum(shares[:index]) + shares[index] * min(max(fraction, 0.0), 1.0)
        step = STEPS[index]
        self.on_progress(
            Progress(
                name=step.name,
                title=step.title,
                index=index + 1,
                total=len(STEPS),
                percent=int(100 * done / sum(shares)),
                steps=tuple(self.records),
            )
        )


class _Ledger:
    """work/steps.json: what has been finished here, and from what it was made."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.entries: dict[str, dict[str, Any]] = workspace.read_json("steps") if workspace.has("steps") else {}
        self.made_from: dict[str, str] = {}

    def fingerprint(self, step: Step, context: Context) -> str:
        """A digest of all that decides what the step will produce."""
        parts = {
            "step": step.name,
            "version": METHOD_VERSION,
            "input": context.input_sha256,
            "request": asdict(replace(context.request, input_name="")) if step.name != "report" else None,
            "options": {name: getattr(context.options, name) for name in step.uses},
            "identity": step.identity(context),
            "needs": [self.made_from.get(product, "") for product in step.needs],
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
        self.made_from.update(dict.fromkeys(step.produces, digest))
        return digest

    def finished(self, step: Step, fingerprint: str) -> StepRecord | None:
        entry = self.entries.get(step.name)
        if entry is None or entry["fingerprint"] != fingerprint:
            return None
        record = StepRecord(**entry["record"] | {"state": StepState(entry["record"]["state"])})
        if record.state is StepState.SKIPPED:
            return record
        complete = record.state is StepState.DONE and all(self.workspace.has(product) for product in step.produces)
        return record if complete else None

    def note(self, step: Step, fingerprint: str, record: StepRecord) -> None:
        self.entries[step.name] = {"fingerprint": fingerprint, "record": asdict(record)}
        self.workspace.write_json("steps", self.entries)


def _input_digest(workspace: Workspace, request: Request) -> str:
    """sha256 over the input files; kept, because the upload may be gone on a retry."""
    paths = [workspace.input_dir / name for name in (request.scan, request.labels) if name is not None]
    if not all(path.exists() for path in paths) and workspace.has("input"):
        return str(workspace.read_json("input")["sha256"])
    digest = hashlib.sha256()
    for path in paths:
        for file in _files(path):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    workspace.write_json("input", {"sha256": digest.hexdigest()})
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    elif path.exists():
        yield path
