"""Selects the geometry of a NIfTI header: sform, qform, or the voxel sizes (pixdim) alone.  A header states the
geometry up to three times, and programs that edit one often leave the others unchanged: registration to a template
scales or shears the sform, a viewer mirrors only one transform. Distances decide: a transform whose voxel sizes
contradict the other two is not used. Every difference beyond rounding gives a warning that states both values.

Definition of the fields: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h (methods 1, 2 and 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from nibabel.nifti1 import Nifti1Header

from pipeline.errors import UnreadableImage
from pipeline.grid import FloatArray
from pipeline.image_io.geometry import SHEAR_TOLERANCE, lps_from_ras

UNIT_MM: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""NIfTI's codes for unknown, metre, millimetre, micrometre."""

SAME_SIZE: Final = 2e-3
"""Maximum relative difference of two voxel sizes attributed to rounding."""

QUATERNION_TOLERANCE: Final = 1e-3
"""Tolerance for b² + c² + d² above 1 due to rounding; the quaternion is then normalised, as in the NIfTI library."""

_AXES: Final = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True, kw_only=True, eq=False)
class NiftiGeometry:
    """steps_mm (3, 3) voxel steps as columns, origin_mm (3,), both LPS; warnings: contradictions and assumptions."""

    steps_mm: FloatArray
    origin_mm: FloatArray
    warnings: tuple[str, ...]


def read_geometry(header: Nifti1Header) -> NiftiGeometry:
    """The geometry of a NIfTI header.

    Raises UnreadableImage if the unit is unknown, the sform is not finite, or the quaternion is not a rotation and
    there is no other geometry.
    """
    unit = int(header["xyzt_units"]) & 0x07
    if unit not in UNIT_MM:
        raise UnreadableImage(f"NIfTI header is damaged: unknown unit of length {unit}; expected m, mm or um.")
    affine, warnings = _chosen(header)
    lps = lps_from_ras(affine)
    return NiftiGeometry(steps_mm=lps[:3, :3] * UNIT_MM[unit], origin_mm=lps[:3, 3] * UNIT_MM[unit], warnings=warnings)


def _chosen(header: Nifti1Header) -> tuple[FloatArray, tuple[str, ...]]:
    """(4, 4) index -> RAS in the header's unit, and warnings."""
    sform = header.get_sform() if int(header["sform_code"]) > 0 else None
    if sform is not None and not np.isfinite(sform).all():
        raise UnreadableImage(
            "Header contains no usable geometry: its sform holds a value that is not a number.",
            hint="Export the image again.",
        )
    qform = _qform(header)
    if sform is not None and qform is not None:
        return _of_two(np.asarray(sform, dtype=np.float64), qform)
    if sform is not None:
        return np.asarray(sform, dtype=np.float64), _size_warnings(np.asarray(sform), _voxel_sizes(header))
    if qform is not None:
        return qform, ()
    if int(header["qform_code"]) > 0:
        raise UnreadableImage("NIfTI header is damaged: its orientation (qform) is not a rotation.")
    base: FloatArray = header.get_base_affine()
    return base, (
        "NIfTI header gives no orientation (sform and qform codes are 0); spacing alone was used, "
        "and the side cannot be trusted.",
    )


def _voxel_sizes(header: Nifti1Header) -> FloatArray | None:
    """(3,) absolute pixdim; None if zero or not a number."""
    sizes: FloatArray = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    return sizes if np.isfinite(sizes).all() and (sizes > 0).all() else None


def _qform(header: Nifti1Header) -> FloatArray | None:
    """(4, 4) from quaternion, offset and pixdim (method 2); None if the code is 0 or the values are invalid."""
    sizes = _voxel_sizes(header)
    if int(header["qform_code"]) <= 0 or sizes is None:
        return None
    vector = np.array([float(header[f"quatern_{name}"]) for name in "bcd"])
    offset = np.array([float(header[f"qoffset_{name}"]) for name in "xyz"])
    length = float(vector @ vector)
    if not (np.isfinite(vector).all() and np.isfinite(offset).all()) or length > 1 + QUATERNION_TOLERANCE:
        return None
    if length > 1:
        vector = vector / np.sqrt(length)
    b, c, d = vector
    a = np.sqrt(max(0.0, 1.0 - float(vector @ vector)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * (sizes * (1.0, 1.0, handedness))
    affine[:3, 3] = offset
    return affine


def _of_two(sform: FloatArray, qform: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    """The sform if both give the same distances, else the qform, which agrees with pixdim by construction."""
    if not _rigid(sform) or not _same_size(_sizes(sform), _sizes(qform)):
        described = f"voxels of {_words(_sizes(sform))}" + ("" if _rigid(sform) else " with axes not at right angles")
        return qform, (
            f"NIfTI header contradicts itself: sform says {described}, qform and pixdim say "
            f"{_words(_sizes(qform))}; the qform was used.",
        )
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        return sform, (
            f"NIfTI header contradicts itself: by its sform the axes run to {_orientation(sform)}, by its qform to "
            f"{_orientation(qform)}, which is the mirror image; the sform was used, and the side cannot be trusted.",
        )
    if _orientation(sform) != _orientation(qform):
        return sform, (
            f"NIfTI header contradicts itself: by its sform the axes run to {_orientation(sform)}, by its qform to "
            f"{_orientation(qform)}; the sform was used.",
        )
    return sform, ()


def _size_warnings(sform: FloatArray, sizes: FloatArray | None) -> tuple[str, ...]:
    if sizes is None or _same_size(_sizes(sform), sizes):
        return ()
    return (
        f"NIfTI header contradicts itself: sform says voxels of {_words(_sizes(sform))}, pixdim says {_words(sizes)}; "
        "there is no qform to decide, and the sform was used. Check the voxel size.",
    )


def _sizes(affine: FloatArray) -> FloatArray:
    sizes: FloatArray = np.linalg.norm(affine[:3, :3], axis=0)
    return sizes


def _same_size(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.allclose(one, other, rtol=SAME_SIZE, atol=0))


def _rigid(affine: FloatArray) -> bool:
    """Whether the axes are at right angles."""
    sizes = _sizes(affine)
    if not np.isfinite(affine).all() or sizes.min() <= 0:
        return False
    direction = affine[:3, :3] / sizes
    return float(np.abs(direction.T @ direction - np.eye(3)).max()) <= SHEAR_TOLERANCE


def _words(sizes: FloatArray) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes) + " mm"


def _orientation(affine: FloatArray) -> str:
    """`RAS`: the anatomical direction of each array axis."""
    steps = affine[:3, :3]
    axes = np.abs(steps).argmax(axis=0)
    return "".join(_AXES[axis][0 if steps[axis, column] > 0 else 1] for column, axis in enumerate(axes))
