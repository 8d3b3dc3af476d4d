"""Record of the finished steps of a workspace and their inputs: work/steps.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from pipeline.options import AnalysisOptions
from pipeline.product import Given
from pipeline.progress import StepRecord, StepState
from pipeline.step import Step
from pipeline.workspace import Workspace, write_json

STEPS_NAME: Final = "steps.json"
"""Name of the file in work/."""


class Ledger:
    """Finished steps, each with its fingerprint."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._path = workspace.work_dir / STEPS_NAME
        self._entries: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self._entries = json.loads(self._path.read_text(encoding="utf-8"))
        self._made_from: dict[str, str] = {}

    def fingerprint(
        self,
        step: Step,
        options: AnalysisOptions,
        identity: object,
        given: Mapping[Given[Any], object],  # Any: facts of every type
    ) -> str:
        """A digest of everything that determines the products of a step, including the versions of earlier steps.


        given: of each fact, the part that can change a product.
        """
        parts = {
            "step": step.name,
            "version": step.version,
            "options": {name: getattr(options, name) for name in step.options},
            "identity": identity,
            "reads": {
                source.name: given.get(source) if isinstance(source, Given) else self._made_from.get(source.name)
                for source in step.reads
            },
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
        self._made_from.update({product.name: digest for product in step.produces})
        return digest

    def finished(self, step: Step, fingerprint: str) -> StepRecord | None:
        """The record of a step that does not have to run again; otherwise None."""
        entry = self._entries.get(step.name)
        if entry is None or entry["fingerprint"] != fingerprint:
            return None
        record = StepRecord(**entry["record"] | {"state": StepState(entry["record"]["state"])})
        if record.state is StepState.SKIPPED:
            return record
        complete = all(product.exists(self._workspace) for product in step.produces)
        return record if record.state is StepState.DONE and complete else None

    def forget(self, step: Step) -> None:
        """Remove the record of a step that is about to run again."""
        if self._entries.pop(step.name, None) is not None:
            write_json(self._path, self._entries)

    def note(self, step: Step, fingerprint: str, record: StepRecord) -> None:
        """Record how a step ended."""
        self._entries[step.name] = {"fingerprint": fingerprint, "record": asdict(record)}
        write_json(self._path, self._entries)
