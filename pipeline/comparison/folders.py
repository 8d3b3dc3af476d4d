"""Compares the folders of two analyses and writes the folder of the comparison; comparison.json is written last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pipeline.comparison.compare import Comparison, OnProgress, compare
from pipeline.comparison.documents import changes_csv, comparison_document
from pipeline.comparison.knee import Knee
from pipeline.comparison.names import RESULT, TABLE, VIEW
from pipeline.comparison.reproducibility import known_of
from pipeline.comparison.scene import write_comparison_scene
from pipeline.errors import NotComparable
from pipeline.products import ALIGNMENT, FLAGS, MEASUREMENTS, SEGMENTATION, SURFACES, THICKNESS
from pipeline.quantities import PRIMARY
from pipeline.report.tables import json_text
from pipeline.results_tree import PROVENANCE, ViewFile
from pipeline.segmentation.identity import ModelIdentity
from pipeline.workspace import KEPT_FOLDER, Workspace, atomic_file

COMPARED: Final = (THICKNESS, SURFACES, ALIGNMENT, MEASUREMENTS, FLAGS, SEGMENTATION)
"""What is read of an analysis, besides its provenance. The thickness refers to the surfaces."""


def read_knee(folder: Path) -> Knee:
    """A finished analysis: the folder of a job, or one that the command line wrote.

    Raises NotComparable if it is incomplete.
    """
    workspace, files = Workspace(folder / KEPT_FOLDER), folder
    if not workspace.work_dir.is_dir():
        workspace, files = Workspace(folder), Workspace(folder).files_dir
    try:
        outlines = SEGMENTATION.load(workspace)
        provenance = json.loads(PROVENANCE.at(files).read_text(encoding="utf-8"))
        return Knee(
            maps=tuple(item for item in THICKNESS.load(workspace) if item.method == PRIMARY),
            alignment=ALIGNMENT.load(workspace),
            measurements=MEASUREMENTS.load(workspace),
            flags=FLAGS.load(workspace),
            model=ModelIdentity.from_dict(provenance["model"]["identity"]),
            options=provenance["options"],
            grid=outlines.grid,
            edited=outlines.edited,
        )
    except (FileNotFoundError, KeyError):  # KeyError: made by a version that recorded less
        raise NotComparable(
            "An analysis is incomplete; expected a finished one.", hint="Run it again, then compare."
        ) from None


def compare_folders(
    first: Path, second: Path, target: Path, on_progress: OnProgress = lambda _, __: None
) -> Comparison:
    """Compare the analyses in two folders and write the results into `target`. Raises NotComparable."""
    on_progress(0.0, "Reading both analyses")
    knees = read_knee(first), read_knee(second)
    comparison = compare(*knees, known_of(*knees), lambda share, what: on_progress(0.05 + 0.65 * share, what))
    on_progress(0.75, "Writing the comparison")
    target.mkdir(parents=True, exist_ok=True)
    write_comparison_scene(ViewFile.SCENE.at(target / VIEW), comparison, knees[0].grid)
    for name, text in (
        (TABLE, changes_csv(comparison.changes)),
        (RESULT, json_text(comparison_document(comparison))),
    ):
        with atomic_file(target / name) as stream:
            stream.write(text.encode())
    return comparison
