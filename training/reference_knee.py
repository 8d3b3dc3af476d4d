"""The reference knee: an average right knee computed from expert label maps.

    python -m training.reference_knee LABEL_FOLDER

reads one visit per knee from LABEL_FOLDER (`<knee>_<visit>.nii.gz`, numbering `oai`). It aligns all knees by similarity
ICP of femur and tibia (left knees as mirror images), then by a smooth warp driven by the bones alone, so that cartilage
keeps its thickness, and averages the signed distances of each structure. Writes
models/reference_knee/labels.nrrd: canonical labels in the frame of the reference (mm): +x medial (the patient's left,
it is a right knee), +y posterior, +z superior; the origin lies midway between the centres of the posterior condyles.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import BONES, CARTILAGE_OF, PLATE_ON, Structure
from pipeline.grid import Grid
from training.expert_maps import PLATE_OF, Knee, bone_points, one_visit_each, read_knee
from training.registration import (
    MIRROR,
    FloatArray,
    KernelWarp,
    Points,
    align_either_side,
    apply,
    centred_start,
    trees_of,
)

TARGET = Path("models/reference_knee/labels.nrrd")
SPACING_MM = 0.5
COARSE_MM = 1.0
BOX_LOW_MM = np.array([-56.0, -70.0, -84.0])
BOX_HIGH_MM = np.array([56.0, 44.0, 68.0])
"""Box in which the average is computed, in the reference frame (x, y, z)."""
BAND_MM = 10.0
PLATE_BAND_MM = 1.0
"""Signed distances are clipped here: beyond it only the sign matters. Inside a plate they reach about 1 mm, outside
they can reach centimetres; with the same limit on both sides, the average edge is where half of the knees have it.
"""
DISTANCE_STEPS = 1000
"""Distances are summed as integers in 1/1000 mm, so that the order of summation does not change the result."""
WIDTHS_MM = (25.0, 18.0, 13.0, 10.0, 8.0, 8.0)
REACH_MM = 8.0


def whole_bones(points: Points) -> Points:
    """Femur and tibia points, covered and denuded together, for the similarity fit."""
    return {b: np.concatenate([points[b, True], points[b, False]]) for b in (Structure.FEMUR, Structure.TIBIA)}


def reference_grid(spacing_mm: float) -> Grid:
    """A grid with identity directions over the box of the reference frame."""
    shape = np.round((BOX_HIGH_MM - BOX_LOW_MM) / spacing_mm).astype(int)[::-1] + 1
    return Grid(shape=tuple(shape), spacing_mm=(spacing_mm,) * 3, origin_mm=BOX_LOW_MM, direction=np.eye(3))


def sample_knee(
    knee: Knee, matrix: FloatArray, grid: Grid, warp: KernelWarp | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Labels of a knee on the reference grid, and a mask of the voxels inside its image.

    matrix (4, 4): the knee's LPS mm -> reference mm; warp: displacement in the reference frame, applied first. Edge
    voxels are repeated outside the image, so that a cut shaft continues.
    """
    z, y, x = (grid.origin_mm[2 - k] + grid.spacing_mm[k] * np.arange(n) for k, n in enumerate(grid.shape))
    back = np.linalg.inv(knee.grid.affine) @ np.linalg.inv(matrix)
    places = np.stack(np.broadcast_arrays(x, y[:, None], z[:, None, None]), -1).astype(np.float32)
    if warp is not None:
        places += warp.on_axes(x, y, z)
    index = np.rint(places @ back[:3, :3].T.astype(np.float32) + back[:3, 3].astype(np.float32)).astype(np.int32)
    top = np.array(knee.grid.shape) - 1
    inside = ((index >= 0) & (index <= top)).all(-1)
    i, j, k = np.moveaxis(np.clip(index, 0, top), -1, 0)
    return knee.labels[i, j, k], np.asarray(inside)


def signed_distance(mask: NDArray[np.bool_], spacing_mm: float, band_mm: float) -> NDArray[np.int16]:
    """Distance to the boundary in 1/1000 mm, negative inside, clipped at band_mm; zero midway between inside and
    outside.
    """
    field = np.full(mask.shape, round(band_mm * DISTANCE_STEPS), np.int16)
    found = ndimage.find_objects(mask.view(np.uint8))
    if not found:
        return field
    pad = int(band_mm / spacing_mm) + 2
    box = tuple(slice(max(0, s.start - pad), s.stop + pad) for s in found[0])
    part = mask[box]
    distance = ndimage.distance_transform_edt(~part) - ndimage.distance_transform_edt(part)
    field[box] = np.rint(np.clip(distance * spacing_mm, -band_mm, band_mm) * DISTANCE_STEPS)
    return field


def summed_distances(
    jobs: list[tuple[Knee, FloatArray, KernelWarp | None]], grid: Grid
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Sums over knees: distances (9, z, y, x) of each bone, its plate and their union; and the number of images per
    voxel.
    """
    total = np.zeros((3 * len(BONES), *grid.shape), np.int32)
    reached = np.zeros(grid.shape, np.int32)
    for knee, matrix, warp in jobs:
        labels, inside = sample_knee(knee, matrix, grid, warp)
        reached += inside
        for n, bone in enumerate(BONES):
            is_bone, is_plate = labels == bone, labels == PLATE_OF[bone]
            total[3 * n] += signed_distance(is_bone, grid.spacing_mm[0], BAND_MM)
            total[3 * n + 1] += signed_distance(is_plate, grid.spacing_mm[0], PLATE_BAND_MM)
            total[3 * n + 2] += signed_distance(is_bone | is_plate, grid.spacing_mm[0], BAND_MM)
    return total, reached


def average(
    knees: list[Knee], matrices: list[FloatArray], warps: Iterable[KernelWarp | None], grid: Grid, workers: int
) -> NDArray[np.uint8]:
    """Labels of the mean shape: the zero level of the averaged signed distances.  A voxel inside the union of bone and
    cartilage but in neither is assigned to the nearer one, so that there is no gap. Cropped to the region covered by at
    least half of the images.
    """
    jobs = list(zip(knees, matrices, warps, strict=True))
    with ProcessPoolExecutor(workers) as pool:
        sums = list(pool.map(partial(summed_distances, grid=grid), [jobs[k::workers] for k in range(workers)]))
    total, reached = (np.sum([part[k] for part in sums], axis=0) for k in range(2))
    labels = np.zeros(grid.shape, np.uint8)
    for n, bone in enumerate(BONES):
        alone, plate, both = (
            ndimage.gaussian_filter(total[3 * n + k].astype(np.float32), 0.35 / grid.spacing_mm[0]) for k in range(3)
        )
        solid = np.minimum(np.minimum(alone, plate), both) < 0
        labels[solid & (alone <= plate)] = bone
        labels[solid & (alone > plate)] = PLATE_OF[bone]
    labels[reached < 0.5 * len(knees)] = 0
    return tidy(labels)


def tidy(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the largest component of every bone, of the femoral and patellar plate, and the two largest tibial ones."""
    result = np.zeros_like(labels)
    for structure in (*BONES, *PLATE_OF.values()):
        pieces, found = ndimage.label(labels == structure)
        sizes = np.bincount(pieces.ravel(), minlength=found + 1)[1:]
        wanted = 2 if structure is PLATE_OF[Structure.TIBIA] else 1
        for piece in np.argsort(sizes)[::-1][:wanted]:
            result[pieces == piece + 1] = structure
    return result


def condyle_centre(points: FloatArray) -> FloatArray:
    """(3,) centre of the least-squares sphere through the posterior half of a condyle's covered points."""
    back = points[points[:, 1] > 0.5 * (points[:, 1].min() + points[:, 1].max())]
    solution = np.linalg.lstsq(np.c_[2.0 * back, np.ones(len(back))], (back**2).sum(1), rcond=None)[0]
    return np.asarray(solution[:3])


def anatomical_frame(labels: NDArray[np.uint8], grid: Grid) -> FloatArray:
    """(4, 4): the frame of a coarse average -> the reference frame. Medial is the side of the tibial plate that is
    longer in the anteroposterior direction. Superior is as in the scans; x points from the lateral to the medial
    condyle; a left knee becomes its mirror image.
    """
    pieces, _ = ndimage.label(labels == PLATE_OF[Structure.TIBIA])
    plates = sorted((grid.to_mm(np.argwhere(pieces == k)) for k in (1, 2)), key=lambda p: float(np.ptp(p[:, 1])))
    lateral, medial = plates
    turn = np.eye(4)
    if medial[:, 0].mean() < lateral[:, 0].mean():
        turn[:3, :3] = MIRROR
    middle = float(np.mean([p[:, 0].mean() for p in plates]))
    covered = bone_points(labels, grid, count=10**6)[Structure.FEMUR, True]
    right = condyle_centre(apply(turn, covered[covered[:, 0] < middle]))
    left = condyle_centre(apply(turn, covered[covered[:, 0] >= middle]))
    axis = left - right if left[0] > right[0] else right - left
    angle = np.arctan2(axis[1], axis[0])
    c, s = np.cos(angle), np.sin(angle)
    frame = np.eye(4)
    frame[:3, :3] = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    frame[:3, 3] = -frame[:3, :3] @ (0.5 * (left + right))
    return frame @ turn


def split_plates(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Label the tibial component on the +x side medial and the other one lateral."""
    pieces, _ = ndimage.label(labels == Structure.MEDIAL_TIBIAL_CARTILAGE)
    centres = ndimage.center_of_mass(pieces > 0, pieces, (1, 2))
    result = labels.copy()
    result[pieces == 1 + int(np.argmin([c[2] for c in centres]))] = Structure.LATERAL_TIBIAL_CARTILAGE
    return result


def unit_size(matrices: list[FloatArray]) -> list[FloatArray]:
    """The similarities with a common scale so that their geometric mean scale is 1: the average has the mean size."""
    scale = np.exp(np.mean([np.log(abs(np.linalg.det(m[:3, :3]))) / 3.0 for m in matrices]))
    return [np.diag([1 / scale, 1 / scale, 1 / scale, 1.0]) @ m for m in matrices]


def align_all(knees: list[Knee], template: Points) -> list[FloatArray]:
    """A similarity transform per knee onto the template, or of its mirror image if that fits better."""
    matrices = []
    for knee in knees:
        same, same_mm, other, other_mm = align_either_side(whole_bones(knee.points), whole_bones(template))
        matrices.append(same if same_mm <= other_mm else other)
    return unit_size(matrices)


def warps_to(template: Points, knees: list[Knee], matrices: list[FloatArray]) -> list[KernelWarp]:
    """A warp per knee from the template's covered and denuded bone to the knee's, minus the mean warp."""
    warps = []
    for knee, matrix in zip(knees, matrices, strict=True):
        warp = KernelWarp(BOX_LOW_MM, BOX_HIGH_MM)
        own = trees_of({key: apply(matrix, p) for key, p in knee.points.items()})
        warp.fit(template, own, widths_mm=WIDTHS_MM, reach_mm=REACH_MM)
        warps.append(warp)
    mean = np.mean([w.displacement for w in warps], axis=0)
    for warp in warps:
        warp.displacement -= mean
    return warps


def build(knees: list[Knee], *, workers: int, report: Callable[[str], None]) -> tuple[NDArray[np.uint8], Grid]:
    """Canonical labels and grid of the average knee."""
    coarse, fine = reference_grid(COARSE_MM), reference_grid(SPACING_MM)
    first = whole_bones(knees[0].points)
    start = centred_start(first, trees_of({k: np.zeros((1, 3)) for k in first}), linear=np.eye(3))
    template: Points = {key: apply(start, p) for key, p in knees[0].points.items()}
    matrices: list[FloatArray] = []
    nothing: list[KernelWarp | None] = [None] * len(knees)
    for turn in range(3):
        matrices = align_all(knees, template)
        labels = average(knees, matrices, nothing, coarse, workers)
        frame = anatomical_frame(labels, coarse)
        matrices = [frame @ m for m in matrices]
        template = {key: apply(frame, p) for key, p in bone_points(labels, coarse, count=2500).items()}
        report(f"similarity round {turn + 1}: mirrored {sum(np.linalg.det(m[:3, :3]) < 0 for m in matrices)}")
    labels = average(knees, matrices, nothing, coarse, workers)
    for turn in range(2):
        template = bone_points(labels, coarse, count=2500)
        warps = warps_to(template, knees, matrices)
        grid = coarse if turn == 0 else fine
        labels = average(knees, matrices, warps, grid, workers)
        report(f"warp round {turn + 1}: mean length {np.mean([np.abs(w.displacement).mean() for w in warps]):.2f} mm")
    return split_plates(labels), fine


def plate_thickness(labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float], bone: Structure) -> float:
    """Volume of a cartilage plate divided by its interface area with the bone: a proxy of mean thickness, mm."""
    plates = np.isin(labels, [int(p) for p in CARTILAGE_OF[bone]])
    is_bone = labels == bone
    area = 0.0
    for axis in range(3):
        c, b = np.moveaxis(plates, axis, 0), np.moveaxis(is_bone, axis, 0)
        faces = np.count_nonzero(c[1:] & b[:-1]) + np.count_nonzero(c[:-1] & b[1:])
        area += faces * float(np.prod(spacing_mm)) / spacing_mm[axis]
    return float(plates.sum() * np.prod(spacing_mm) / area)


def write_labels(labels: NDArray[np.uint8], grid: Grid, path: Path) -> None:
    """Write a compressed NRRD in LPS."""
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_mm.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="label maps, <knee>_<visit>.nii.gz")
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--knees", type=int, default=32, help="maximum number of knees")
    arguments = parser.parse_args()
    knees = [read_knee(path) for path in one_visit_each(arguments.folder)[: arguments.knees]]
    print(f"{len(knees)} knees read", flush=True)
    labels, grid = build(knees, workers=arguments.workers, report=partial(print, flush=True))
    write_labels(labels, grid, arguments.target)
    for bone, plate in PLATE_ON.items():
        cohort = [plate_thickness(k.labels, k.grid.spacing_mm, bone) for k in knees]
        print(f"{plate}: {plate_thickness(labels, grid.spacing_mm, bone):.2f} mm, cohort {np.mean(cohort):.2f} mm")


if __name__ == "__main__":
    main()
