"""`python -m pipeline.editing_archive PARENT FOLDER TARGET TURN`: the zip for a correction in another program.

PARENT: id of the process that waits for it; FOLDER: the workspace of a finished analysis; TARGET: the zip; TURN: the
option of the analysis.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.linux import die_with_parent
from pipeline.padding import without_planes
from pipeline.products import SCAN, SEGMENTATION
from pipeline.report.editing import write_editing
from pipeline.turned_knee import turned
from pipeline.workspace import Workspace, atomic_file


def make_archive(folder: Path, target: Path, turn: str = "") -> None:
    """Write the zip of an analysis. Raises FileNotFoundError if its products are gone, OSError."""
    workspace = Workspace(folder)
    outlines = SEGMENTATION.load(workspace)
    scan = None
    if SCAN.exists(workspace):
        scan = without_planes(turned(SCAN.load(workspace), turn), outlines.padding)
    with atomic_file(target) as stream:
        write_editing(scan, outlines, stream)


def main(words: list[str]) -> int:
    """Returns the exit status."""
    parent, folder, target, turn = words
    die_with_parent(int(parent))
    make_archive(Path(folder), Path(target), turn)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
