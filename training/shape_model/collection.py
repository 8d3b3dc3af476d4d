"""Femora of expert label maps for the shape model: surfaces as the pipeline makes them, and alignments.

python -m training.shape_model.collection FOLDER OUTPUT writes one .npz per map; existing files are not replaced.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.alignment import align_knee
from pipeline.anatomy import NUMBERINGS, Side, Structure
from pipeline.image_io import read_label_map
from pipeline.labels import canonical_labels
from pipeline.surface import bone_surface
from pipeline.types import Alignment, Surface

PARTS = (Structure.FEMUR, Structure.FEMORAL_CARTILAGE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Femur:
    """One visit of one knee: name (knee number, visit), surfaces in LPS mm, alignment to the reference knee."""

    name: str
    bone: Surface
    cartilage: Surface
    alignment: Alignment

    @property
    def knee(self) -> str:
        """The knee's number; its visits share it."""
        return self.name.split("_")[0]


def read_femur(path: Path) -> Femur:
    """Surfaces and alignment of an expert label map in the numbering `oai`."""
    segmentation = canonical_labels(read_label_map(path), NUMBERINGS["oai"])
    bone, cartilage = (bone_surface(segmentation, part) for part in PARTS)
    return Femur(name=path.name.removesuffix(".nii.gz"), bone=bone, cartilage=cartilage, alignment=align_knee(bone))


def save_femur(femur: Femur, path: Path) -> None:
    """Write one .npz atomically."""
    arrays = {
        f"{part.key}_{name}": getattr(surface, name)
        for part, surface in zip(PARTS, (femur.bone, femur.cartilage), strict=True)
        for name in ("points_mm", "faces", "normals", "vertex_areas_mm2")
    }
    alignment = femur.alignment
    residuals = [alignment.residual_mm, alignment.residual_other_mm]
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, matrix=alignment.matrix, side=str(alignment.side), residuals=residuals, **arrays)
    unfinished.replace(path)


def load_femur(path: Path) -> Femur:
    """Read a file written by `save_femur`."""
    with np.load(path) as stored:
        bone, cartilage = (
            Surface(
                points_mm=stored[f"{part.key}_points_mm"],
                faces=stored[f"{part.key}_faces"],
                normals=stored[f"{part.key}_normals"],
                vertex_areas_mm2=stored[f"{part.key}_vertex_areas_mm2"],
                structure=part,
            )
            for part in PARTS
        )
        residual, other = (float(value) for value in stored["residuals"])
        alignment = Alignment(
            matrix=stored["matrix"],
            side=Side(str(stored["side"])),
            residual_mm=residual,
            residual_other_mm=other,
        )
    return Femur(name=path.stem, bone=bone, cartilage=cartilage, alignment=alignment)


def load_femora(folder: Path) -> tuple[Femur, ...]:
    """Every femur in a folder, sorted by name."""
    return tuple(load_femur(path) for path in sorted(folder.glob("*.npz")) if not path.stem.endswith(".part"))


def collect(maps: Path, output: Path) -> None:
    """Convert every label map of a folder that has not been converted."""
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(maps.glob("*.nii.gz")):
        target = output / f"{path.name.removesuffix('.nii.gz')}.npz"
        if not target.exists():
            save_femur(read_femur(path), target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    collect(given.maps, given.output)


if __name__ == "__main__":
    main()
