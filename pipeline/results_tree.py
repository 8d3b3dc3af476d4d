"""The results tree: a table of all files that an analysis can produce.

Writers, README.txt, the download page, the REST interface, the research copy and docs/results.md read it. Paths are
those of the results zip, below its top folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final

from pipeline.file_kinds import FileKind, input_stem

ARCHIVE_ROOT: Final = "knee_results"
"""Top folder inside the zip. It does not contain the name of the upload, which may be that of a patient."""

CSV: Final = "text/csv"
GZIP: Final = "application/gzip"
HTML: Final = "text/html"
JSON: Final = "application/json"
PLAIN: Final = "text/plain"
PNG: Final = "image/png"
BINARY: Final = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file of the results, or several whose names follow one pattern.

    path        relative to the results tree; a name in braces is a placeholder, e.g. `surfaces/{bone}.vtp` meaning
    displayed description media_type  for HTTP compressed  its content is already compressed: stored in the zip and sent
    without further compression research    kept if the user consented to research: labels, surfaces and measurements;
    never voxels, pictures of them, or the digest of the upload condition   when it exists; empty: always
    """

    path: str
    meaning: str
    media_type: str
    compressed: bool = False
    research: bool = False
    condition: str = ""

    def at(self, files_dir: Path, **names: str) -> Path:
        """Its path below `files_dir`, with names for the placeholders. Raises KeyError if one is missing."""
        return files_dir / self.path.format(**names)

    def target(self, files_dir: Path, **names: str) -> Path:
        """As `at`, for writing: its folder is created."""
        path = self.at(files_dir, **names)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def found(self, files_dir: Path) -> list[Path]:
        """Its existing files, sorted."""
        return sorted(path for path in files_dir.glob(re.sub(r"{\w+}", "*", self.path)) if path.is_file())

    def matches(self, name: str) -> bool:
        """Whether a path of the tree (with `/`) is one of its files."""
        return self._pattern.fullmatch(name) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.path)))

    @property
    def folder(self) -> str:
        """Top folder of the tree that it is in; empty for a file at the top."""
        return self.path.partition("/")[0] if "/" in self.path else ""


REPORT: Final = Artifact(
    path="report.html", meaning="everything on one page; opens in any browser, needs no network", media_type=HTML
)
MEASUREMENTS: Final = Artifact(
    path="results.csv", meaning="every measurement, one per row", media_type=CSV, research=True
)
RESULTS: Final = Artifact(
    path="results.json",
    meaning="the measurements at full precision, with warnings, quality flags, steps, side and options",
    media_type=JSON,
    research=True,
)
OAI_TABLE: Final = Artifact(
    path="oai_variables.csv",
    meaning="one row with the names of the Osteoarthritis Initiative's tables (kMRI_QCart_Eckstein), without the visit",
    media_type=CSV,
    research=True,
)
PROVENANCE: Final = Artifact(
    path="provenance.json",
    meaning="version and commit of the program, versions of the steps, digest of the input, options, models and "
    "digests of their weights, package versions, seconds per step",
    media_type=JSON,
)
EDITS: Final = Artifact(
    path="edits.json",
    meaning="corrections of the outlines from version 1 to this one: time, reader, note, voxels added and removed per "
    "structure",
    media_type=JSON,
    condition="where a reader has corrected the outlines",
)
README: Final = Artifact(path="README.txt", meaning="meaning of each file, coordinate system", media_type=PLAIN)
LABELS_NIFTI: Final = Artifact(
    path="segmentation/labels.nii.gz", meaning="label map, NIfTI", media_type=GZIP, compressed=True, research=True
)
LABELS_NRRD: Final = Artifact(
    path="segmentation/labels.nrrd",
    meaning="the same label map with its geometry at full precision, NRRD",
    media_type=BINARY,
    compressed=True,
    research=True,
)
SUBREGIONS: Final = Artifact(
    path="segmentation/subregions.nii.gz",
    meaning="cartilage only, each voxel with the number of its region",
    media_type=GZIP,
    compressed=True,
    research=True,
)
DIVIDED: Final = Artifact(
    path="segmentation/subregions_fine.nii.gz",
    meaning="cartilage only, each voxel with the number of its subregion (cMT, ccMF, ...)",
    media_type=GZIP,
    compressed=True,
    research=True,
)
ITKSNAP_TABLE: Final = Artifact(
    path="segmentation/labels.itksnap.txt",
    meaning="names and colours of the labels for ITK-SNAP",
    media_type=PLAIN,
    research=True,
)
SLICER_TABLE: Final = Artifact(
    path="segmentation/labels.slicer.ctbl",
    meaning="names and colours of the labels for 3D Slicer",
    media_type=PLAIN,
    research=True,
)
SURFACE_VTP: Final = Artifact(
    path="surfaces/{bone}.vtp",
    meaning="bone surface with thickness and region at every vertex, for ParaView and 3D Slicer",
    media_type=BINARY,
    compressed=True,
    research=True,
    condition="for every bone that was segmented",
)
SURFACE_PLY: Final = Artifact(
    path="surfaces/{bone}.ply",
    meaning="the same surface for other programs",
    media_type=BINARY,
    research=True,
    condition="for every bone that was segmented",
)
FLAT_MAP: Final = Artifact(
    path="maps/{bone}_map.npz",
    meaning="unrolled plate in the frame of the reference knee: area, thickness, T2 or T1rho and region of every cell, "
    "and the values at the numbered vertices of the reference",
    media_type=BINARY,
    compressed=True,
    research=True,
    condition="for every bone with cartilage that fits the reference knee",
)
FLAT_MAP_TABLE: Final = Artifact(
    path="maps/{bone}_map.csv",
    meaning="the cells of the same map as text, one per row",
    media_type=CSV,
    research=True,
    condition="for every bone with cartilage that fits the reference knee",
)
FLAT_MAPS_PICTURE: Final = Artifact(
    path="maps/flat_maps.png",
    meaning="the unrolled plates with thickness, T2 or T1rho and the borders of their regions",
    media_type=PNG,
    compressed=True,
    condition="where a bone fits the reference knee",
)
T2_MAP: Final = Artifact(
    path="t2/t2map.nii.gz",
    meaning="T2 in ms; 0 where no fit was made",
    media_type=GZIP,
    compressed=True,
    condition="where T2 was fitted",
)
R2_MAP: Final = Artifact(
    path="t2/r2map.nii.gz",
    meaning="quality of that fit (coefficient of determination)",
    media_type=GZIP,
    compressed=True,
    condition="where T2 was fitted to an echo train",
)
T2_MEASUREMENTS: Final = Artifact(
    path="t2/results.csv", meaning="the T2 rows of results.csv", media_type=CSV, condition="where T2 was fitted"
)
T1RHO_MAP: Final = replace(
    T2_MAP,
    path="t1rho/t1rhomap.nii.gz",
    meaning="T1rho in ms; 0 where no fit was made",
    condition="where T1rho was fitted",
)
T1RHO_R2_MAP: Final = replace(R2_MAP, path="t1rho/r2map.nii.gz", condition="where T1rho was fitted")
T1RHO_MEASUREMENTS: Final = replace(
    T2_MEASUREMENTS,
    path="t1rho/results.csv",
    meaning="the T1rho rows of results.csv",
    condition="where T1rho was fitted",
)
SHAPE_PARAMETERS: Final = Artifact(
    path="shape/{model}_params.json",
    meaning="coordinates of the knee in a shape model, with the error of the fit",
    media_type=JSON,
    condition="for every shape model that was fitted",
)
SHAPE_VTP: Final = Artifact(
    path="shape/{model}_{structure}.vtp",
    meaning="surface that the shape model reconstructs",
    media_type=BINARY,
    compressed=True,
    condition="for every shape model that was fitted",
)
SHAPE_PLY: Final = Artifact(
    path="shape/{model}_{structure}.ply",
    meaning="the same surface for other programs",
    media_type=BINARY,
    condition="for every shape model that was fitted",
)
OVERLAY: Final = Artifact(
    path="qc/overlay.png",
    meaning="slices with the outlines of what was found: look here first",
    media_type=PNG,
    compressed=True,
)
EXTRUSION_PICTURE: Final = Artifact(
    path="qc/extrusion.png",
    meaning="coronal sections of the menisci with their extrusion",
    media_type=PNG,
    compressed=True,
    condition="where the extrusion of a meniscus was measured",
)
SURFACES_PICTURE: Final = Artifact(
    path="qc/surfaces.png",
    meaning="bones coloured by cartilage thickness",
    media_type=PNG,
    compressed=True,
)
PEER_RESULTS: Final = Artifact(
    path="openmsk/thickness_results.json",
    meaning="mean, std and median thickness under the names that KneePipeline and OpenMSK use",
    media_type=JSON,
)

ARTIFACTS: Final = (
    REPORT,
    MEASUREMENTS,
    RESULTS,
    OAI_TABLE,
    PROVENANCE,
    EDITS,
    README,
    LABELS_NIFTI,
    LABELS_NRRD,
    SUBREGIONS,
    DIVIDED,
    ITKSNAP_TABLE,
    SLICER_TABLE,
    SURFACE_VTP,
    SURFACE_PLY,
    FLAT_MAP,
    FLAT_MAP_TABLE,
    FLAT_MAPS_PICTURE,
    T2_MAP,
    R2_MAP,
    T2_MEASUREMENTS,
    T1RHO_MAP,
    T1RHO_R2_MAP,
    T1RHO_MEASUREMENTS,
    SHAPE_PARAMETERS,
    SHAPE_VTP,
    SHAPE_PLY,
    OVERLAY,
    SURFACES_PICTURE,
    EXTRUSION_PICTURE,
    PEER_RESULTS,
)
"""All possible files, in display order."""


class ViewFile(StrEnum):
    """Files that the viewers of the pages read; not part of the zip. Stored as gzip, and sent so."""

    SCENE = "scene.bin"
    SLICES = "slices.json"
    SCAN = "scan.bin"
    LABELS = "labels.bin"
    SUBREGIONS = "subregions.bin"
    T2 = "t2.bin"
    DISTRIBUTIONS = "distributions.json"

    @property
    def media_type(self) -> str:
        return JSON if self.endswith(".json") else BINARY

    def at(self, view_dir: Path) -> Path:
        """Its path on disk."""
        return view_dir / f"{self}.gz"


def view_file_in(view_dir: Path, name: str) -> Path | None:
    """The view file that a request names; None if there is no such file."""
    path = next((known.at(view_dir) for known in ViewFile if known == name), None)
    return path if path is not None and path.is_file() else None


def artifact_of(name: str) -> Artifact | None:
    """The entry for a path of the tree (with `/`); None for a file that is not in the table."""
    return next((artifact for artifact in ARTIFACTS if artifact.matches(name)), None)


def archive_name(input_name: str) -> str:
    """Name of the results zip, `{input stem}_results.zip`, for the user's name of the input."""
    return f"{input_stem(input_name)}_results{FileKind.ZIP.extensions[0]}"
