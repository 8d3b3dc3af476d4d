"""The peer's side of the comparison; runs in the peer's environment (see requirements-peer.txt).

    .venv-peer/bin/python bench/peer_run.py LABELS OUT_DIR

Calls mskt as the pipeline built on it does: bone variance 0.5 mm², cartilage variance 0.3125 mm², 10,000 vertices per
bone, thickness, then the region of each vertex from a label map with femoral sub-regions. LABELS must be in mskt's
numbering. Writes OUT_DIR/peer.json and OUT_DIR/peer_subregions.nrrd (canonical numbering).

mskt aligns every knee to an example knee that it downloads. This program replaces the download by LABELS, so that the
alignment is the identity, as for mskt's example.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

BONE_VARIANCE_MM2 = 0.5
CARTILAGE_VARIANCE_MM2 = 0.3125
VERTICES = 10_000

BONES = {
    "femur": (5, [1], {11: "anterior", 12: "medial_weight_bearing", 13: "lateral_weight_bearing"}
              | {14: "medial_posterior", 15: "lateral_posterior"}),
    "tibia": (6, [2, 3], {2: "medial", 3: "lateral"}),
    "patella": (7, [4], {4: "all"}),
}  # fmt: skip
"""Bone -> its label, the labels of its cartilage, and region label -> our region name."""

PLATE = {"femur": "femoral_cartilage", "tibia": "tibial_cartilage", "patella": "patellar_cartilage"}
TO_CANONICAL = {2: 5, 3: 6, 4: 7, 5: 1, 6: 2, 7: 3} | {r: r for r in range(11, 16)}


def measure_bone(bone: str, labels: sitk.Image, subregions: sitk.Image) -> dict[str, dict[str, float]]:
    """`plate/region` -> mean (mm), std (mm) and n of the peer's thickness on one bone."""
    from pymskt.mesh import BoneMesh

    label, cartilage, regions = BONES[bone]
    mesh = BoneMesh(seg_image=labels, label_idx=label, list_cartilage_labels=cartilage, bone=bone)
    mesh.create_mesh(smooth_image_var=BONE_VARIANCE_MM2)
    mesh.resample_surface(clusters=VERTICES)
    mesh.fix_mesh()
    mesh.calc_cartilage_thickness(image_smooth_var_cart=CARTILAGE_VARIANCE_MM2)
    mesh.seg_image = subregions
    for plate in mesh.list_cartilage_meshes:
        plate.fix_mesh()
    mesh.assign_cartilage_regions()
    thickness = np.array(mesh.get_scalar("thickness (mm)"))
    region = np.array(mesh.get_scalar("labels"))
    found = {}
    for number, name in regions.items():
        values = thickness[region == number]
        found[f"{PLATE[bone]}/{name}"] = {
            "mean": float(np.nanmean(values)),
            "std": float(np.nanstd(values)),
            "n": len(values),
        }
    return found


def canonical(subregions: sitk.Image) -> sitk.Image:
    """The peer's label map with femoral sub-regions, in our numbering."""
    native = sitk.GetArrayFromImage(subregions)
    table = np.zeros(256, dtype=np.uint8)
    for theirs, ours in TO_CANONICAL.items():
        table[theirs] = ours
    image = sitk.GetImageFromArray(table[native])
    image.CopyInformation(subregions)
    return image


def main(labels_path: Path, out_dir: Path) -> None:
    """Measure, and write results and cost."""
    from pymskt.image.cartilage_processing import get_knee_segmentation_with_femur_subregions

    with tempfile.TemporaryDirectory() as scratch:
        tempfile.tempdir = scratch
        reference = Path(scratch) / "pymskt_data" / "right_knee_example.nrrd"
        reference.parent.mkdir()
        shutil.copyfile(labels_path, reference)
        labels = sitk.ReadImage(str(labels_path))
        start = time.process_time()
        subregions = get_knee_segmentation_with_femur_subregions(labels)
        split = time.process_time()
        regions: dict[str, dict[str, float]] = {}
        for bone in BONES:
            regions |= measure_bone(bone, labels, subregions)
        stop = time.process_time()
        tempfile.tempdir = None
    sitk.WriteImage(canonical(subregions), str(out_dir / "peer_subregions.nrrd"), useCompression=True)
    cost = {
        "regions": regions,
        "cpu_subregions_s": split - start,
        "cpu_meshes_s": stop - split,
        "cpu_s": stop - start,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
    }
    (out_dir / "peer.json").write_text(json.dumps(cost, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
