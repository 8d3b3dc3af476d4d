"""A small study of label maps, which are measured in seconds: three visits, a copy, a bad file and a missing one."""

from __future__ import annotations

import fcntl
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from kneebox import main
from pipeline.anatomy import Structure
from studies.run import STORE
from studies.tables.write import TABLES
from tests.support.knees import coarse_knee, joint_of
from tests.support.label_maps import write_nrrd
from tests.support.processes import SHARED_DIR

YEARS: Final = (0.0, 1.0, 2.5)
MANIFEST: Final = "manifest.csv"
OPTIONS: Final = ("--no-nsm", "--accept", "SAME_CONTENT")
COMPLETE: Final = 4
"""Rows with results; they are three analyses."""


def tables(out: Path) -> dict[str, bytes]:
    """Content of the tables of a study."""
    return {name: (out / name).read_bytes() for name in TABLES}


def analysed_study() -> Path:
    """The folder of a small study, with the results of the command line in `out`: made once for all processes of a test
    run.
    """
    folder = SHARED_DIR / "small_study"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            manifest = write_study(folder)
            assert main(["study", "run", str(manifest), str(folder / "out"), *OPTIONS]) == 1
            (folder / "done").touch()
    return folder


def give_analyses(data_dir: Path) -> None:
    """Copy the analyses of the small study to a service, which then computes none of them again.

    For tests of something else: tests/jobs/test_studies.py asserts that a worker computes the same.
    """
    shutil.copytree(analysed_study() / "out" / STORE, data_dir / STORE, dirs_exist_ok=True)


def write_study(folder: Path) -> Path:
    """The manifest, with its files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    knee = joint_of(coarse_knee())
    lines = ["labels;subject;visit;side;time;sex;age;group;value"]
    for visit, years in enumerate(YEARS):
        labels = knee.labels.copy()
        plate = np.argwhere(labels == Structure.FEMORAL_CARTILAGE)
        lost = plate[np.random.default_rng(visit).permutation(len(plate))[: 40 * visit]]
        labels[tuple(lost.T)] = 0
        write_nrrd(replace(knee, labels=labels), folder / f"v{visit}.nrrd")
        lines.append(f"v{visit}.nrrd;S0;V{visit:02d};;{years};f;{60 + visit},5;case;x")
    (folder / "copy.nrrd").write_bytes((folder / "v0.nrrd").read_bytes())
    write_nrrd(replace(knee, labels=np.zeros_like(knee.labels)), folder / "background.nrrd")
    lines += ["copy.nrrd;S1;V00;;;m;;control;y", "background.nrrd;S2;V00;;;;;control;z", "gone.nrrd;S3;V00;;;;;case;z"]
    path = folder / MANIFEST
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
