"""README.txt: what each file of the results is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.report.colours import THICKNESS_RANGE_MM
from pipeline.report.tables import CSV_COLUMNS, DECIMALS, PEER_METHOD
from pipeline.types import AnalysisResult

NOTICE: Final = "Research use only. Not for clinical diagnosis."

FILES: Final = (
    ("report.html", "everything on one page; opens in any browser, needs no network"),
    ("results.csv", f"every measurement, one a line: {', '.join(CSV_COLUMNS)}"),
    ("results.json", "the same at full precision, with warnings, quality flags, steps, side and options"),
    ("provenance.json", "input digest, options, models and weights digests, package versions, seconds a step"),
    ("segmentation/labels.nii.gz", "label map, NIfTI"),
    ("segmentation/labels.nrrd", "the same label map with its geometry at full precision, NRRD"),
    ("segmentation/subregions.nii.gz", "cartilage only, each voxel with the number of its region"),
    ("segmentation/labels.itksnap.txt", "names and colours of the labels for ITK-SNAP"),
    ("segmentation/labels.slicer.ctbl", "names and colours of the labels for 3D Slicer"),
    ("surfaces", "bones as .vtp (ParaView, 3D Slicer) and .ply, with thickness and region at every vertex"),
    ("t2/t2map.nii.gz", "T2 in ms; 0 where no fit was made"),
    ("t2/r2map.nii.gz", "quality of that fit (coefficient of determination)"),
    ("t2/results.csv", "the T2 rows of results.csv"),
    ("shape", "coordinates in the shape model, and the surface it reconstructs"),
    ("qc/overlay.png", "slices with the outlines of what was found: look here first"),
    ("qc/surfaces.png", "bones coloured by cartilage thickness, {:g} to {:g} mm".format(*THICKNESS_RANGE_MM)),
    ("openmsk/thickness_results.json", f"mean, std, median by KneePipeline's names ({PEER_METHOD} estimator)"),
)
"""Every file or folder there can be, with its meaning."""


def readme_text(result: AnalysisResult, files_dir: Path) -> str:
    """The text; it names the files that are there, and not the input, whose name may be a patient's."""
    listed = [(name, meaning) for name, meaning in FILES if (files_dir / name).exists()]
    width = max((len(name) for name, _ in listed), default=0) + 2
    model = result.provenance.model
    cite = [f"Segmentation: {model['citation']}"] if model.get("citation") else []
    lines = [
        f"Knee MRI analysis: {result.alignment.side.value} knee",
        NOTICE,
        "",
        "Files",
        *(f"  {name:{width}}{meaning}" for name, meaning in listed),
        "",
        "Coordinates",
        "  LPS, millimetres: x to the patient's left, y to the back, z to the head. NIfTI files say the same in RAS,",
        "  as their format asks for (x and y with the opposite sign).",
        "",
        "Numbers",
        f"  results.csv has {DECIMALS} decimals; an empty value with n = 0 means that there was nothing to measure.",
        "  ThC     cartilage thickness where there is cartilage, weighted by area",
        "  ThCtAB  the same over the total area of subchondral bone, denuded bone counted as 0",
        "  tAB     total area of subchondral bone; dAB its denuded share in per cent",
        "  method  union: bone surface to the end of bone-or-cartilage (primary);",
        "          two_crossing: both crossings of the cartilage label (the estimator of pymskt and KneePipeline)",
        "  thickness_mm at a vertex is NaN outside the cartilage plate and 0 where the plate is denuded;",
        "  region is the label number of the region, 0 outside the plate.",
        "",
        "Please cite",
        "  Eckstein F et al. Proposal for a nomenclature for magnetic resonance imaging based measures of articular",
        "  cartilage in osteoarthritis. Osteoarthritis and Cartilage 2006; 14: 974-983.",
        *(f"  {line}" for line in cite),
        "",
    ]
    return "\n".join(lines)
