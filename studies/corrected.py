"""A version with outlines that a reader has corrected, kept in the store as an analysis.

It keeps the correction too, so that a further one can begin with it when the job that made it has been deleted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Final

from pipeline.comparison.folders import COMPARED
from pipeline.correction import DOCUMENT_NAME, LABELS_NAME, read_correction
from pipeline.results_tree import PROVENANCE, RESULTS
from pipeline.workspace import Workspace, link_or_copy
from studies.analysis import record_of
from studies.identity import ADDRESS_DIGITS
from studies.store import AnalysisFolder

CORRECTION: Final = (LABELS_NAME, DOCUMENT_NAME)
"""Files of the correction, in the folder of the work."""


def keep_version(workspace: Workspace, before: AnalysisFolder, version: int, *, compact: bool) -> str | None:
    """Keep the results of a version in the store of the analysis that was corrected; returns its address.

    workspace  of the version, with complete results; before: the analysis that the row had; version: number of the new
    one. The address is a digest of the earlier analysis, of the corrected outlines, of every edit and of the versions
    of the steps. None: another process keeps it now. Raises FileNotFoundError if one of them no longer exists,
    CorrectionMissing.
    """
    earlier = before.record()
    if earlier is None:
        raise FileNotFoundError("the analysis that was corrected is no longer in the store")
    folder = AnalysisFolder(before.path.parent, _address(workspace, before.address))
    if folder.record() is not None:
        return folder.address
    with folder.hold() as held:
        if not held:
            return None
        if folder.record() is None:
            folder.prepare()
            _fill(workspace, folder)
            record = record_of(folder, earlier.inputs, version)
            folder.write_record(record, compact=compact)
    return folder.address


def has_correction(folder: AnalysisFolder) -> bool:
    """Whether the outlines of an analysis in the store are those of a reader."""
    return (Workspace(folder.workspace_dir).work_dir / DOCUMENT_NAME).is_file()


def hand_on(folder: AnalysisFolder, work_dir: Path) -> None:
    """Put the correction of an analysis in the store into the folder of the work of another one."""
    source = Workspace(folder.workspace_dir).work_dir
    for name in CORRECTION:
        shutil.copyfile(source / name, work_dir / name)


def _address(workspace: Workspace, before: str) -> str:
    correction = read_correction(workspace.work_dir)
    provenance: dict[str, Any] = json.loads(PROVENANCE.at(workspace.files_dir).read_text(encoding="utf-8"))
    edits = [edit.to_dict() for edit in correction.edits]
    parts = [before, correction.sha256, edits, provenance["steps"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:ADDRESS_DIGITS]


def _fill(workspace: Workspace, folder: AnalysisFolder) -> None:
    """Link the results tree, and of the work what comparisons and a further correction need."""
    RESULTS.at(workspace.files_dir).stat()  # raises, if the version was deleted meanwhile
    for path in sorted(workspace.files_dir.rglob("*")):
        if path.is_file():
            _link(path, folder.path / path.relative_to(workspace.files_dir))
    kept = {product.name for product in COMPARED}
    target = Workspace(folder.workspace_dir).work_dir
    for path in sorted(workspace.work_dir.iterdir()):
        if path.is_file() and (path.name.split(".")[0] in kept or path.name in CORRECTION):
            _link(path, target / path.name)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    link_or_copy(source, target)
