"""The sample knee: a synthetic DESS scan with its true labels.  python -m training.sample deforms the reference knee by
a smooth random warp, resamples it to an oblique sagittal grid of the Osteoarthritis Initiative's size, and renders it.
Writes samples/sample_knee.nii.gz (int16) and samples/sample_knee_labels.nii.gz (uint8,
canonical). The same seed gives the same bytes. NIfTI does not store the side: it is a right knee.
"""

from __future__ import annotations

import argparse
import gzip
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.joint import with_whole_shafts
from training.registration import KernelWarp
from training.render import Scanner, render_dess

REFERENCE = Path("models/reference_knee/labels.nrrd")
TARGET = Path("samples")
SEED = 20
SHAPE = (160, 384, 384)
SPACING_MM = (0.7, 0.36458333, 0.36458333)
OBLIQUE_DEG = (6.0, 2.5, -1.5)
"""Rotation of the slices about the longitudinal axis (z), the left-right axis (x) and the anteroposterior axis (y)."""
CENTRE_MM = (-1.0, -4.0, 2.0)
"""Centre of the field of view in the reference frame."""
BEND_MM = 1.3
BEND_WIDTH_MM = 22.0
STEP = 6
"""Grey values are multiples of it: this reduces the noise and with it the size of the compressed file."""
CARTILAGE_GREY = 100.0
SCANNER = Scanner(noise=2.0, bias=0.10)


def read_reference(path: Path = REFERENCE) -> tuple[LabelArray, Grid]:
    """The labels of the reference knee and their grid."""
    image = sitk.ReadImage(str(path))
    labels = sitk.GetArrayFromImage(image)
    grid = Grid(
        shape=labels.shape,
        spacing_mm=image.GetSpacing()[::-1],
        origin_mm=np.array(image.GetOrigin()),
        direction=np.array(image.GetDirection()).reshape(3, 3),
    )
    return labels, grid


def sagittal_grid() -> Grid:
    """Slices from left to right, rows from top to bottom, columns from front to back; oblique; LPS."""
    a, b, c = np.radians(OBLIQUE_DEG)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_y = np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    columns_rows_slices = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    direction = about_z @ about_x @ about_y @ columns_rows_slices
    half = 0.5 * (np.array(SHAPE) - 1) * np.array(SPACING_MM)
    origin = np.array(CENTRE_MM) - direction @ half[::-1]
    return Grid(shape=SHAPE, spacing_mm=SPACING_MM, origin_mm=origin, direction=direction)


def random_bend(grid: Grid, rng: np.random.Generator) -> KernelWarp:
    """A smooth random displacement over the field of view: SD BEND_MM along each axis, correlated over about
    BEND_WIDTH_MM.
    """
    corners = grid.to_mm(np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T)
    warp = KernelWarp(corners.min(0), corners.max(0), cell_mm=5.0)
    for axis in range(3):
        white = rng.standard_normal(warp.shape)
        smooth = ndimage.gaussian_filter(white, BEND_WIDTH_MM / warp.cell_mm, mode="wrap")
        warp.displacement[:, axis] = (BEND_MM * smooth / smooth.std()).ravel()
    return warp


def resample(labels: LabelArray, source: Grid, target: Grid, warp: KernelWarp) -> LabelArray:
    """Labels on the target grid: per voxel the largest of the smoothed, interpolated structures."""
    shares = []
    for structure, box in zip(Structure, ndimage.find_objects(labels), strict=False):
        if box is not None:
            wide = tuple(slice(max(0, s.start - 3), s.stop + 3) for s in box)
            mask = (labels[wide] == structure).astype(np.float32)
            smooth = ndimage.gaussian_filter(mask, 0.5 / source.spacing_mm[0], mode="nearest", truncate=3.0)
            shares.append((structure, np.array([[s.start] for s in wide]), smooth))
    result = np.zeros(target.shape, np.uint8)
    near = _near(labels, source, target, float(np.linalg.norm(warp.displacement, axis=1).max()))
    for k in range(target.shape[0]):
        rows = np.argwhere(near[k])
        points = target.to_mm(np.c_[np.full(len(rows), k), rows])
        places = source.to_index(points + warp.at(points)).T
        best = np.zeros(len(rows), np.float32)
        rest = np.ones(len(rows), np.float32)
        winner = np.zeros(len(rows), np.uint8)
        for structure, start, share in shares:
            local = places - start
            inside = np.flatnonzero(((local >= 0) & (local <= np.array([[n - 1] for n in share.shape]))).all(0))
            value = ndimage.map_coordinates(share, local[:, inside], order=1, output=np.float32)
            stronger = inside[value > best[inside]]
            winner[stronger] = structure
            best[inside] = np.maximum(best[inside], value)
            rest[inside] -= value
        winner[rest > best] = 0
        result[k, rows[:, 0], rows[:, 1]] = winner
    return result


def _near(labels: LabelArray, source: Grid, target: Grid, reach_mm: float) -> NDArray[np.bool_]:
    """Voxels of the target that may be labelled after a displacement of at most reach_mm; the others are background."""
    step = np.linalg.inv(source.affine) @ target.affine
    size = [2 * (int(np.ceil(reach_mm / s)) + 4) + 1 for s in source.spacing_mm]  # 4: smoothing and rounding
    wide = ndimage.maximum_filter((labels > 0).view(np.uint8), size)
    found = ndimage.affine_transform(wide, step[:3, :3], step[:3, 3], output_shape=target.shape, order=0)
    return np.asarray(found > 0)


def make_sample(reference: Path = REFERENCE) -> tuple[NDArray[np.int16], LabelArray, Grid]:
    """(scan, labels, grid) of the sample knee; (z, y, x)."""
    labels, source = read_reference(reference)
    grid = sagittal_grid()
    true = with_whole_shafts(resample(labels, source, grid, random_bend(grid, np.random.default_rng(SEED))), grid)
    signal = render_dess(true, grid, SEED, scanner=SCANNER)
    signal *= CARTILAGE_GREY / float(np.median(signal[true == Structure.FEMORAL_CARTILAGE]))
    grey = np.minimum(np.rint(signal / STEP) * STEP, 1020).astype(np.int16)
    return grey, true, grid


def nifti_image(volume: NDArray[np.int16] | LabelArray, grid: Grid) -> nib.Nifti1Image:
    """A NIfTI-1 image of (z, y, x)."""
    lps = np.eye(4)
    lps[:3, :3] = grid.direction * np.array(grid.spacing_mm)[::-1]
    lps[:3, 3] = grid.origin_mm
    image = nib.Nifti1Image(volume.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"synthetic knee, nobody's; made by training.sample"
    image.set_qform(image.affine, code=1)
    image.set_sform(image.affine, code=1)
    return image


def nifti_bytes(volume: NDArray[np.int16] | LabelArray, grid: Grid) -> bytes:
    """A gzipped NIfTI-1 of (z, y, x), without a timestamp, so that equal voxels give equal bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as stream:
        stream.write(nifti_image(volume, grid).to_bytes())
    return packed.getvalue()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=TARGET)
    target: Path = parser.parse_args().target
    target.mkdir(parents=True, exist_ok=True)
    scan, labels, grid = make_sample()
    for name, volume in (("sample_knee.nii.gz", scan), ("sample_knee_labels.nii.gz", labels)):
        size = (target / name).write_bytes(nifti_bytes(volume, grid))
        print(f"{target / name}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
