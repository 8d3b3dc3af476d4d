"""The peer's side of the comparison; runs in the peer's environment (see requirements-peer.txt).

    .venv-peer/bin/python bench/peer_run.py LABELS OUT_DIR [menisci]

Without `menisci`, calls mskt as the pipeline built on it does: bone variance 0.5 mm², cartilage variance 0.3125 mm²,
10,000 vertices per bone, thickness, then the region of each vertex from a label map with femoral sub-regions. LABELS
must be in mskt's numbering. Writes OUT_DIR/peer.json and OUT_DIR/peer_subregions.nrrd (canonical numbering).

With `menisci`, calls mskt's analysis of menisci with its default settings on a tibia made in the same way, and on
menisci with mskt's default smoothing. LABELS needs only the tibia, its plates and the menisci. Writes
OUT_DIR/peer_menisci.json, and the tibia with the plate of every vertex as OUT_DIR/peer_tibia.npz.

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
from typing import Any

import numpy as np
import SimpleITK as sitk

BONE_VARIANCE_MM2 = 0.5
CARTILAGE_VARIANCE_MM2 = 0.3125
VERTICES = 10_000
MIDDLE_SHARE = 0.1
"""mskt's default part of a plate, from front to back, in which it measures extrusion."""

BONES = {
    "femur": (5, [1], {11: "anterior", 12: "medial_weight_bearing", 13: "lateral_weight_bearing"}
              | {14: "medial_posterior", 15: "lateral_posterior"}),
    "tibia": (6, [2, 3], {2: "medial", 3: "lateral"}),
    "patella": (7, [4], {4: "all"}),
}  # fmt: skip
"""Bone -> its label, the labels of its cartilage, and region label -> our region name."""

PLATE = {"femur": "femoral_cartilage", "tibia": "tibial_cartilage", "patella": "patellar_cartilage"}
MENISCI = {"medial": (10, 2, -1.0), "lateral": (9, 3, 1.0)}
"""Compartment -> label of its meniscus and of its plate, and the direction of outwards along mskt's axis."""

TO_CANONICAL = {2: 5, 3: 6, 4: 7, 5: 1, 6: 2, 7: 3} | {r: r for r in range(11, 16)}


def bone_mesh(bone: str, labels: sitk.Image, subregions: sitk.Image) -> Any:
    """The peer's surface of a bone, with thickness and the region of every vertex."""
    from pymskt.mesh import BoneMesh

    label, cartilage, _ = BONES[bone]
    mesh = BoneMesh(seg_image=labels, label_idx=label, list_cartilage_labels=cartilage, bone=bone)
    mesh.create_mesh(smooth_image_var=BONE_VARIANCE_MM2)
    mesh.resample_surface(clusters=VERTICES)
    mesh.fix_mesh()
    mesh.calc_cartilage_thickness(image_smooth_var_cart=CARTILAGE_VARIANCE_MM2)
    mesh.seg_image = subregions
    for plate in mesh.list_cartilage_meshes:
        plate.fix_mesh()
    mesh.assign_cartilage_regions()
    return mesh


def measure_bone(bone: str, labels: sitk.Image, subregions: sitk.Image) -> dict[str, dict[str, float]]:
    """`plate/region` -> mean (mm), std (mm) and n of the peer's thickness on one bone."""
    mesh = bone_mesh(bone, labels, subregions)
    thickness = np.array(mesh.get_scalar("thickness (mm)"))
    region = np.array(mesh.get_scalar("labels"))
    found = {}
    for number, name in BONES[bone][2].items():
        values = thickness[region == number]
        found[f"{PLATE[bone]}/{name}"] = {
            "mean": float(np.nanmean(values)),
            "std": float(np.nanstd(values)),
            "n": len(values),
        }
    return found


def analyse_menisci(tibia: Any, labels: sitk.Image, smooth: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The peer's results with its default settings, and its surfaces of the menisci. smooth: its default is True."""
    from pymskt.mesh.mesh_meniscus import MeniscusMesh, analyze_meniscal_metrics

    menisci = {}
    for name, (label, _, _) in MENISCI.items():
        menisci[name] = MeniscusMesh(seg_image=labels, label_idx=label, meniscus_type=name)
        menisci[name].create_mesh(smooth_image=smooth)
    plates = [plate for _, plate, _ in MENISCI.values()]
    return analyze_meniscal_metrics(tibia, *menisci.values(), *plates), menisci


def coverage_by_vertex(tibia: Any, name: str) -> float:
    """Coverage (%) as the peer found it at each vertex of a plate, weighted by a third of the vertex's triangles.

    The peer adds the areas of the triangles of which all three vertices are in the plate, or are covered.
    """
    points, faces = np.array(tibia.points), faces_of(tibia)
    a, b, c = (points[faces[:, k]] for k in range(3))
    third = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    areas = sum(np.bincount(faces[:, k], third, len(points)) for k in range(3))
    plate = np.array(tibia.get_scalar("labels")) == MENISCI[name][1]
    covered = plate & (np.array(tibia.get_scalar(f"{name[:3]}_men_above")) > 0)
    return float(100 * areas[covered].sum() / areas[plate].sum())


def faces_of(mesh: Any) -> np.ndarray:
    """(m, 3): the vertices of every triangle."""
    return np.array(mesh.faces, dtype=np.int64).reshape(-1, 4)[:, 1:]


def measure_menisci(labels: sitk.Image) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Coverage, extrusion and its two ends of both menisci, with the axes; and the tibia they were measured on.

    `edge` and `reach` (mm) are the extreme points of plate and meniscus in the middle tenth, along the axis from medial
    to lateral, outwards and from the origin of the image; extrusion is their difference. `by_vertex` and `unsmoothed`
    are coverage weighted by vertex, with the peer's menisci, and with menisci of which the labels are not smoothed.
    """
    tibia = bone_mesh("tibia", labels, labels)
    results, menisci = analyse_menisci(tibia, labels, smooth=True)
    region, points = np.array(tibia.get_scalar("labels")), np.array(tibia.points)
    across, along, superior = (np.array(results[f"{axis}_axis"]) for axis in ("ml", "ap", "is"))
    found: dict[str, Any] = {"across": across.tolist(), "superior": superior.tolist()}
    for name, (_, label, outwards) in MENISCI.items():
        plate = points[region == label]
        place = plate @ along
        middle, half = (place.min() + place.max()) / 2, MIDDLE_SHARE * np.ptp(place) / 2
        edge, reach = (
            float((outwards * (of @ across))[np.abs(of @ along - middle) <= half].max())
            for of in (plate, np.array(menisci[name].points))
        )
        found[name] = {
            "extrusion": float(results[f"{name}_extrusion_mm"]),
            "reach": reach,
            "edge": edge,
            "coverage": float(results[f"{name}_coverage_percent"]),
            "area": float(results[f"{name}_total_area_mm2"]),
            "by_vertex": coverage_by_vertex(tibia, name),
        }
    analyse_menisci(tibia, labels, smooth=False)
    for name in MENISCI:
        found[name]["unsmoothed"] = coverage_by_vertex(tibia, name)
    return found, {"points_mm": points.astype(float), "faces": faces_of(tibia), "region": region.astype(np.uint8)}


def canonical(subregions: sitk.Image) -> sitk.Image:
    """The peer's label map with femoral sub-regions, in our numbering."""
    native = sitk.GetArrayFromImage(subregions)
    table = np.zeros(256, dtype=np.uint8)
    for theirs, ours in TO_CANONICAL.items():
        table[theirs] = ours
    image = sitk.GetImageFromArray(table[native])
    image.CopyInformation(subregions)
    return image


def menisci_main(labels_path: Path, out_dir: Path) -> None:
    """Measure the menisci, and write the results and the tibia."""
    found, tibia = measure_menisci(sitk.ReadImage(str(labels_path)))
    (out_dir / "peer_menisci.json").write_text(json.dumps(found, indent=1))
    np.savez(out_dir / "peer_tibia.npz", **tibia)


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
    chosen = menisci_main if sys.argv[3:] == ["menisci"] else main
    chosen(Path(sys.argv[1]), Path(sys.argv[2]))
