"""Runs an analysis; used by worker, command line and benchmarks.

A step whose inputs, options, model and version have not changed since it last finished is not repeated, so an
interrupted analysis resumes and gives the same numbers as an uninterrupted one.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from pipeline.blas import one_blas_thread
from pipeline.correction import read_correction
from pipeline.digest import sha256_of_inputs
from pipeline.errors import KneeError, OutOfMemory
from pipeline.ledger import Ledger
from pipeline.options import AnalysisOptions
from pipeline.product import Given, Product
from pipeline.products import CORRECTION, DELIVERY, INPUT_NAME, MODEL, RECORDS, RESOURCES, UPLOAD, Upload
from pipeline.progress import Progress, StepRecord, StepState
from pipeline.segmentation import describe
from pipeline.segmentation.identity import GIVEN
from pipeline.segmentation.registry import model
from pipeline.step import Inputs, OnFraction, Step
from pipeline.steps import STEPS
from pipeline.types import Request, Resources
from pipeline.workspace import Workspace, write_json

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
    steps: tuple[Step, ...] = STEPS,
) -> RunSummary:
    """Run every step that applies, in order. The last one produces DELIVERY.

    Raises OptionsError if the model does not exist; CorrectionMissing; the KneeError of a required step (facts["step"]
    names it). A failed optional step becomes a warning.
    """
    records = run_steps(workspace, options, resources, request, on_progress, steps)
    manifest = DELIVERY.load(workspace).manifest
    return RunSummary(
        warnings=manifest.warnings,
        steps=records,
        archive_name=manifest.archive_name,
        archive_bytes=manifest.archive_bytes,
    )


@one_blas_thread
def run_steps(
    workspace: Workspace,
    options: AnalysisOptions,
    resources: Resources,
    request: Request,
    on_progress: ProgressCallback,
    steps: tuple[Step, ...],
) -> tuple[StepRecord, ...]:
    """Run some of the steps, in order; their products are in the workspace. Raises as `run_analysis` does."""
    model(options.segmentation_model, resources)
    workspace.create()
    steps = tuple(step for step in steps if step.belongs(request))
    with ThreadPoolExecutor(1) as beside:
        described = beside.submit(_model, options, resources, request)
        for step in steps:
            beside.submit(step.prepare)
        facts = _Facts(workspace=workspace, resources=resources, request=request, model=described)
        return _Run(workspace, options, facts, on_progress, steps).finish(beside)


class _Facts:
    """Facts known before the first step, and those parts that can change a product."""

    def __init__(
        self, *, workspace: Workspace, resources: Resources, request: Request, model: Future[dict[str, Any]]
    ) -> None:
        upload = _upload(workspace, request)
        correction = read_correction(workspace.work_dir) if request.corrected else None
        self.records: tuple[StepRecord, ...] = ()
        self.values: dict[Given[Any], Callable[[], Any]] = {
            UPLOAD: lambda: upload,
            INPUT_NAME: lambda: request.input_name,
            RESOURCES: lambda: resources,
            MODEL: model.result,
            RECORDS: lambda: self.records,
            CORRECTION: lambda: correction,
        }
        self._parts: dict[Given[Any], object] = {
            UPLOAD: (upload.sha256, request.scan, request.labels),
            INPUT_NAME: request.input_name,
            CORRECTION: None if correction is None else correction.decisive,
        }

    def decisive(self) -> dict[Given[Any], object]:
        """For fingerprints. For resources and model, the `identity` of the step is used."""
        return self._parts | {RECORDS: [(record.name, record.state, record.reason) for record in self.records]}


class _Run:
    """State of one pass over the steps: records and fingerprints so far."""

    def __init__(
        self,
        workspace: Workspace,
        options: AnalysisOptions,
        facts: _Facts,
        on_progress: ProgressCallback,
        steps: tuple[Step, ...],
    ) -> None:
        self.steps = steps
        self.workspace = workspace
        self.options = options
        self.facts = facts
        self.on_progress = on_progress
        self.ledger = Ledger(workspace)
        self.records = [StepRecord(name=s.name, title=s.title, state=StepState.WAITING) for s in steps]
        self.started: dict[str, Future[StepRecord]] = {}
        self.loaded: dict[Product[Any], Any] = {}

    def finish(self, beside: Executor) -> tuple[StepRecord, ...]:
        """beside: runs the `early` steps."""
        shutil.rmtree(self.workspace.scratch_dir, ignore_errors=True)  # left by a killed run
        for index, step in enumerate(self.steps):
            self._start_early(index, beside)
            self.facts.records = tuple(self.records)
            fingerprint = self._fingerprint(step)
            self.records[index] = self.ledger.finished(step, fingerprint) or self._run(index, step)
            self.ledger.note(step, fingerprint, self.records[index])
        shutil.rmtree(self.workspace.scratch_dir, ignore_errors=True)
        self._report_progress(len(self.steps) - 1, 1.0)
        return tuple(self.records)

    def _fingerprint(self, step: Step) -> str:
        identity = step.identity(self._inputs(step))
        return self.ledger.fingerprint(step, self.options, identity, self.facts.decisive())

    def _start_early(self, index: int, beside: Executor) -> None:
        """Start the `early` steps after this one whose inputs are complete."""
        missing = {product for step in self.steps[index:] for product in step.produces}
        for late, step in enumerate(self.steps[index + 1 :], index + 1):
            ready = step.early and step.name not in self.started and missing.isdisjoint(step.reads)
            if ready and self.ledger.finished(step, self._fingerprint(step)) is None:
                self.ledger.forget(step)
                self.started[step.name] = beside.submit(self._outcome, step, self.records[late], lambda _: None)

    def _run(self, index: int, step: Step) -> StepRecord:
        """Run a step, or await one that was started early. Raises the KneeError of a required step."""
        record = self.records[index]

        def show(fraction: float) -> None:
            self.records[index] = replace(record, state=StepState.RUNNING)
            self._report_progress(index, fraction)

        started = self.started.get(step.name)
        if started is None:
            return self._outcome(step, record, show)
        show(0.0)
        return started.result()

    def _outcome(self, step: Step, record: StepRecord, on_fraction: OnFraction) -> StepRecord:
        for product in step.produces:  # from an earlier run with other options: later steps must not use it
            product.discard(self.workspace)
            self.loaded.pop(product, None)
        if reason := step.applies(self._inputs(step)):
            return replace(record, state=StepState.SKIPPED, reason=reason)
        on_fraction(0.0)
        started = time.perf_counter()
        try:
            self._produce(step, on_fraction)
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

    def _produce(self, step: Step, on_fraction: OnFraction) -> None:
        """Run a step, then store what it returns."""
        inputs = self._inputs(step, on_fraction)
        inputs.scratch_dir.mkdir(parents=True)
        try:
            outputs = step.run(inputs)
            returned = tuple(output.product for output in outputs)
            if returned != step.produces:
                raise TypeError(f"step {step.name} returned {[p.name for p in returned]}, not what it `produces`")
            for output in outputs:
                output.save(self.workspace)
            inputs.parts.forget_unused()
            self.workspace.forget_arrays()
        finally:
            shutil.rmtree(inputs.scratch_dir, ignore_errors=True)

    def _inputs(self, step: Step, on_fraction: OnFraction = lambda _: None) -> Inputs:
        return Inputs(step, self.workspace, self.options, self.facts.values, on_fraction, self.loaded)

    def _report_progress(self, index: int, fraction: float) -> None:
        shares = [step.share for step in self.steps]
        done = sum(shares[:index]) + shares[index] * min(max(fraction, 0.0), 1.0)
        step = self.steps[index]
        self.on_progress(
            Progress(
                name=step.name,
                title=step.title,
                index=index + 1,
                total=len(self.steps),
                percent=int(100 * done / sum(shares)),
                steps=tuple(self.records),
            )
        )


def _model(options: AnalysisOptions, resources: Resources, request: Request) -> dict[str, Any]:
    """The value of MODEL. Raises the ModelError of a model that cannot run."""
    if request.labels is not None:
        return {"identity": GIVEN}
    return describe(options.segmentation_model, resources)


def _upload(workspace: Workspace, request: Request) -> Upload:
    """The value of UPLOAD. Its digest is kept in work/input.json, because the upload may be gone on a retry."""
    scan, labels = (workspace.input_dir / name if name is not None else None for name in (request.scan, request.labels))
    paths = list(dict.fromkeys(path for path in (scan, labels) if path is not None))
    kept = workspace.work_dir / "input.json"
    if not all(path.exists() for path in paths) and kept.exists():
        sha256 = str(json.loads(kept.read_text(encoding="utf-8"))["sha256"])
    else:
        sha256 = sha256_of_inputs(paths)
        write_json(kept, {"sha256": sha256})
    return Upload(scan=scan, labels=labels, sha256=sha256)
