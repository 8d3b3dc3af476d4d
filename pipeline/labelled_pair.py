"""A scan and its outlines as a pair of a labelled set in the layout of nnU-Net (docs/how-to/validate.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import Structure
from pipeline.file_kinds import FileKind
from pipeline.padding import without_planes
from pipeline.products import SCAN, SEGMENTATION
from pipeline.report.volumes import write_nifti
from pipeline.turned_knee import turned
from pipeline.validation.layouts import NAMES_FILE
from pipeline.workspace import Workspace

SCANS_FOLDER: Final = "imagesTr"
LABELS_FOLDER: Final = "labelsTr"


def write_pair(workspace: Workspace, folder: Path, name: str, turn: str = "") -> bool:
    """Write imagesTr/{name}_0000.nii.gz and labelsTr/{name}.nii.gz, on one grid; False if its scan is gone.

    turn: the option of the analysis. Raises OSError.
    """
    if not SCAN.exists(workspace) or not SEGMENTATION.exists(workspace):
        return False
    outlines = SEGMENTATION.load(workspace)
    scan = without_planes(turned(SCAN.load(workspace), turn), outlines.padding)
    ending = FileKind.NIFTI.extensions[0]
    for kind, stem, array in (
        (SCANS_FOLDER, f"{name}_0000", scan.anatomical),
        (LABELS_FOLDER, name, outlines.labels),
    ):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write_nifti(folder / kind / f"{stem}{ending}", np.ascontiguousarray(array), outlines.grid)
    return True


def write_names(folder: Path) -> None:
    """Write the description with the names of the labels."""
    labels = {"background": 0} | {structure.key: int(structure) for structure in Structure}
    document = {
        "channel_names": {"0": "MRI"},
        "labels": labels,
        "numTraining": len(list((folder / LABELS_FOLDER).iterdir())),
        "file_ending": FileKind.NIFTI.extensions[0],
    }
    (folder / NAMES_FILE).write_text(json.dumps(document, indent=1), encoding="utf-8")
