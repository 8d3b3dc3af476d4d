"""From a scan, or a label map, to a picture of cartilage thickness on the bones.

    python examples/thickness_map.py                                  # the sample's label map, a few seconds
    python examples/thickness_map.py --scan scan.nii.gz               # with the built-in network
    python examples/thickness_map.py --labels map.nii.gz --numbering oai

It prints the quality flags and the mean thickness of each region that may be used, and writes thickness.png. Research
use only. Not for clinical diagnosis.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # not needed where the package is installed

from pipeline.alignment import align_knee
from pipeline.anatomy import NUMBERINGS, Structure
from pipeline.flags import QualityFlag, Use, settled
from pipeline.image_io import read_label_map, read_scan
from pipeline.labels import canonical_labels
from pipeline.measure import measure_thickness
from pipeline.model_flags import model_flags
from pipeline.quality import quality_flags
from pipeline.quantities import PRIMARY, THC
from pipeline.regions import split_compartments, subregions
from pipeline.segmentation import registry, segment
from pipeline.surface import bone_surfaces
from pipeline.thickness import thickness_of_bones
from pipeline.types import Alignment, Measurement, Resources, Segmentation, ThicknessMap

SAMPLE: Final = ROOT / "samples" / "sample_knee_labels.nii.gz"
SMOOTHING_MM2: Final = 0.3125
"""Variance of the Gaussian of the second estimator (two_crossing); the primary one (union) does not use it."""

VIEWS: Final = {
    Structure.FEMUR: ("femur from below", 0, 1),
    Structure.TIBIA: ("tibia from above", 0, 1),
    Structure.PATELLA: ("patella from behind", 0, 2),
}
"""Title, and the two axes of the reference frame (0 medial, 1 posterior, 2 superior) that the picture shows."""


def segment_scan(path: Path, model: str) -> Segmentation:
    """Outline bones and cartilage with a network: labels (z, y, x) uint8 on the grid of the scan."""
    scan = read_scan(path)
    return segment(scan, model, Resources(), lambda share: print(f"\rsegmentation {share:4.0%}", end="", flush=True))


def read_labels(path: Path, numbering: str) -> Segmentation:
    """An existing label map, converted to the numbering of Kneebox."""
    return canonical_labels(read_label_map(path), NUMBERINGS[numbering])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """maps: one per bone, thickness_mm (n,) per vertex of its surface; rows: with the use that the flags leave them."""

    alignment: Alignment
    maps: tuple[ThicknessMap, ...]
    rows: tuple[Measurement, ...]
    flags: tuple[QualityFlag, ...]


def measure(segmentation: Segmentation, model: str | None) -> Measured:
    """Thickness with its quality flags. model: the network that outlined it; None for a label map."""
    surfaces = bone_surfaces(segmentation)
    alignment = align_knee(next(surface for surface in surfaces if surface.structure is Structure.FEMUR))
    segmentation = split_compartments(segmentation, alignment)
    regions = subregions(segmentation, alignment)
    every = thickness_of_bones(surfaces, segmentation, regions, SMOOTHING_MM2)
    maps = tuple(item for item in every if item.method == PRIMARY)
    rows = tuple(row for item in maps for row in measure_thickness(item))
    found = quality_flags(segmentation, regions, alignment, rows, stated_side=None)
    if model is not None:
        found += model_flags(segmentation, registry.model(model, Resources()).card)
    flags = settled(found, {(row.quantity, row.structure, row.region) for row in rows})
    return Measured(alignment=alignment, maps=maps, rows=tuple(row.judged(flags) for row in rows), flags=flags)


def plot(alignment: Alignment, maps: tuple[ThicknessMap, ...], path: Path) -> None:
    """One panel per bone: bone in grey, cartilage coloured by thickness in mm."""
    figure, axes = plt.subplots(1, len(maps), figsize=(4.5 * len(maps), 4.5), layout="constrained", squeeze=False)
    for axis, item in zip(axes[0], maps, strict=True):
        title, across, up = VIEWS[item.surface.structure]
        points = item.surface.points_mm @ alignment.matrix[:3, :3].T + alignment.matrix[:3, 3]
        covered = np.isfinite(item.thickness_mm)
        axis.scatter(points[~covered, across], points[~covered, up], s=5, color="0.85")
        dots = axis.scatter(
            points[covered, across], points[covered, up], s=5, c=item.thickness_mm[covered], vmin=0, vmax=5
        )
        axis.set(title=title, aspect="equal", xlim=(-48, 48), xlabel="mm (medial to the right)")
    figure.colorbar(dots, ax=axes[0], label="cartilage thickness (mm)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> int:
    """Exit status 0: the picture is written."""
    parser = argparse.ArgumentParser(description="Cartilage thickness of one knee, as numbers and as a picture.")
    parser.add_argument("--scan", type=Path, help="segment this scan with a network (NIfTI, NRRD, DICOM, zip)")
    parser.add_argument("--model", default="nnunet_fullres", help="network for --scan")
    parser.add_argument("--labels", type=Path, default=SAMPLE, help="without --scan: the label map to measure")
    parser.add_argument("--numbering", choices=sorted(NUMBERINGS), default="canonical", help="numbering of --labels")
    parser.add_argument("--output", type=Path, default=Path("thickness.png"))
    given = parser.parse_args()

    segmentation = segment_scan(given.scan, given.model) if given.scan else read_labels(given.labels, given.numbering)
    found = measure(segmentation, given.model if given.scan else None)
    print(f"\n{found.alignment.side} knee", *(flag.summary for flag in found.flags), sep="\n")
    for row in found.rows:
        if (row.quantity, row.statistic) == (THC.id, THC.main) and row.use != Use.NO:
            print(f"{row.structure:20} {row.region:24} {row.value:5.2f} {row.unit}")
    mpl.use("agg")
    plot(found.alignment, found.maps, given.output)
    print(given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
