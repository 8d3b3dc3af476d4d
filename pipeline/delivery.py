"""Results appear whole: written beside, renamed into place, manifest last."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from pipeline.report import write_archive, write_report, write_view
from pipeline.results_tree import ARCHIVE_ROOT, archive_name
from pipeline.types import AnalysisResult
from pipeline.workspace import Workspace, write_json


def deliver(result: AnalysisResult, workspace: Workspace) -> None:
    """Write the results tree, its zip and, last, the manifest whose presence means that the analysis is complete."""
    workspace.manifest_path.unlink(missing_ok=True)
    partial = workspace.results_dir / ".files.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shutil.rmtree(workspace.view_dir, ignore_errors=True)
    with ThreadPoolExecutor(1) as beside:  # most of either is compression, which lets the other go on
        view = beside.submit(write_view, result, workspace.view_dir)
        write_report(result, partial)
        view.result()
    shutil.rmtree(workspace.files_dir, ignore_errors=True)
    partial.rename(workspace.files_dir)
    write_archive(workspace.files_dir, workspace.archive_path, root=ARCHIVE_ROOT)
    with workspace.archive_path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    manifest = {
        "archive_name": archive_name(result.input_name),
        "archive_bytes": workspace.archive_path.stat().st_size,
        "archive_sha256": digest,
        "warnings": list(result.warnings),
        "steps": [asdict(step) for step in result.steps],
    }
    workspace.write_json("report", manifest)
    write_json(workspace.manifest_path, manifest)
