"""The correction of one version: the whole label array as the reader left it, and every edit since version 1.

Both are in work/, so that a repeated run and later versions have them: correction.raw (uint8, C order of (z, y, x)) and
correction.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import Structure
from pipeline.edits import Edit, edited_structures
from pipeline.errors import CorrectionMissing
from pipeline.image_codec import outlines_shape, segmentation_of
from pipeline.types import LabelArray, Segmentation
from pipeline.workspace import write_json

DOCUMENT_NAME: Final = "correction.json"
LABELS_NAME: Final = "correction.raw"
"""Names of the files in work/."""

STEP: Final = "correct"
"""Name of the step that reads them."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """labels_path: of LABELS_NAME, sha256 its digest.

    outlines  of the version that was corrected, as JSON values without its labels (image_codec)
    model     what made the outlines of version 1, as in its provenance
    edits     from version 1 to this one
    """

    labels_path: Path
    sha256: str
    outlines: Mapping[str, object]
    model: Mapping[str, object]
    edits: tuple[Edit, ...]

    @property
    def edited(self) -> frozenset[Structure]:
        """Structures that a reader has changed in this version or one that it was made from."""
        return edited_structures(self.edits)

    @property
    def decisive(self) -> object:
        """What determines the measurements, as JSON values."""
        return [self.sha256, sorted(self.edited)]


def read_correction(work_dir: Path) -> Correction:
    """Raises CorrectionMissing if a file is missing or damaged."""
    try:
        data = json.loads((work_dir / DOCUMENT_NAME).read_text(encoding="utf-8"))
        if not (work_dir / LABELS_NAME).is_file():
            raise FileNotFoundError
        return Correction(
            labels_path=work_dir / LABELS_NAME,
            sha256=str(data["sha256"]),
            outlines=dict(data["outlines"]),
            model=dict(data["model"]),
            edits=tuple(Edit.from_dict(edit) for edit in data["edits"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _missing() from error


def write_document(work_dir: Path, correction: Correction) -> None:
    """Write correction.json; the labels are there already."""
    document = {
        "sha256": correction.sha256,
        "outlines": dict(correction.outlines),
        "model": dict(correction.model),
        "edits": [edit.to_dict() for edit in correction.edits],
    }
    write_json(work_dir / DOCUMENT_NAME, document)


def corrected_outlines(correction: Correction) -> Segmentation:
    """The outlines as the reader left them. Raises CorrectionMissing if the labels are not those that were saved."""
    z, y, x = outlines_shape(correction.outlines)
    try:
        labels: LabelArray = np.fromfile(correction.labels_path, dtype=np.uint8)
    except FileNotFoundError:
        raise _missing() from None
    if hashlib.sha256(labels.data).hexdigest() != correction.sha256 or labels.size != z * y * x:
        raise _missing()
    outlines = segmentation_of(correction.outlines, labels.reshape(z, y, x))
    return replace(outlines, compartments_apart=True, edited=correction.edited)


def _missing() -> CorrectionMissing:
    return CorrectionMissing("The corrected outlines of this version are missing or damaged.")
