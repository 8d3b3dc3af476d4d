"""Analyses of a small knee with a scan in a folder, and corrections of them, without the service."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from bench.drawn_menisci import with_drawn_menisci
from pipeline.correction import LABELS_NAME, Correction, write_document
from pipeline.edits import Edit, EditWay, changes_between
from pipeline.options import AnalysisOptions
from pipeline.parts import PREFIX
from pipeline.products import SEGMENTATION, outlines_files
from pipeline.results_tree import PROVENANCE
from pipeline.run import run_analysis
from pipeline.types import LabelArray, Request, Resources
from pipeline.workspace import Workspace
from tests.support.image_io_writers import Phantom, write_nifti
from tests.support.knees import coarse_knee
from tests.support.label_maps import write_nrrd

ECHO_TIMES_MS = (10.0, 20.0, 30.0)
REQUEST = Request(input_name="knee.nrrd", scan="scan.nii.gz", labels="knee.nrrd")
OPTIONS = AnalysisOptions(perform_nsm=False, echo_times_ms=ECHO_TIMES_MS)


def first_analysis(root: Path) -> Workspace:
    """A knee with menisci whose images have one grey value per structure, that decays from echo to echo, and noise."""
    workspace = Workspace(root)
    workspace.create()
    knee = with_drawn_menisci(coarse_knee(), frozenset(), 1)
    write_nrrd(knee, workspace.input_dir / "knee.nrrd")
    rng = np.random.default_rng(5)
    shown = 400.0 + 40 * (knee.labels % 7) + rng.normal(0, 8, knee.labels.shape)
    echoes = np.stack([shown * np.exp(-time / (30 + 2.0 * knee.labels)) for time in ECHO_TIMES_MS])
    grid = knee.grid
    scan = Phantom(np.rint(echoes).astype(np.int16), np.array(grid.spacing_mm[::-1]), grid.direction, grid.origin_mm)
    write_nifti(scan, workspace.input_dir / "scan.nii.gz")
    run_analysis(workspace, OPTIONS, Resources(), REQUEST, lambda _: None)
    return workspace


def corrected(first: Workspace, root: Path, edited: LabelArray, *, keeps_parts: bool) -> Workspace:
    """A version with edited outlines, as the service makes it. keeps_parts: of the first analysis."""
    workspace = Workspace(root, first.input_dir)
    workspace.create()
    for path in first.work_dir.iterdir():
        if path.is_file() and (keeps_parts or not path.name.startswith(f"{PREFIX}.")):
            shutil.copyfile(path, workspace.work_dir / path.name)
    outlines, _ = outlines_files(first)
    edited.tofile(workspace.work_dir / LABELS_NAME)
    edit = Edit(
        version=2,
        base=1,
        made_at="2026-01-01T00:00:00+00:00",
        way=EditWay.BROWSER,
        structures=changes_between(SEGMENTATION.load(first).labels, edited),
    )
    correction = Correction(
        labels_path=workspace.work_dir / LABELS_NAME,
        sha256=hashlib.sha256(edited.tobytes()).hexdigest(),
        outlines=outlines,
        model=json.loads(PROVENANCE.at(first.files_dir).read_text(encoding="utf-8"))["model"],
        edits=(edit,),
    )
    write_document(workspace.work_dir, correction)
    request = Request(input_name=REQUEST.input_name, scan=REQUEST.scan, labels=REQUEST.labels, corrected=True)
    run_analysis(workspace, OPTIONS, Resources(), request, lambda _: None)
    return workspace
