"""The folder of results that the command line gives to people: the results tree, and what a comparison needs."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.comparison.folders import COMPARED
from pipeline.workspace import Workspace


def hand_over(workspace: Workspace, output: Path, archive_name: str) -> None:
    """Move the results tree to `output`, and keep of the workspace only what a comparison needs.

    archive_name: of the zip beside the tree; empty: the zip is deleted
    """
    for item in sorted(workspace.files_dir.iterdir()):
        target = output / item.name
        if target.is_dir():
            shutil.rmtree(target)
        item.replace(target)
    if archive_name:
        workspace.archive_path.replace(output / archive_name)
    kept = {product.name for product in COMPARED}
    for folder in (workspace.input_dir, workspace.results_dir):
        shutil.rmtree(folder)
    for path in workspace.work_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name.split(".")[0] not in kept:
            path.unlink()
