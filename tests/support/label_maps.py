"""Label maps on disk."""

import io
import zipfile
from functools import lru_cache

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from tests.support.knees import tibia_unsplit, turned_knee

OAI = np.array([0, 1, 3, 5, 2, 4, 4, 6, 0, 0], dtype=np.uint8)
"""Canonical label -> label of the numbering `oai`."""


def write_nrrd(segmentation, path):
    image = sitk.GetImageFromArray(segmentation.labels)
    grid = segmentation.grid
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_mm.tolist())
    image.SetDirection(grid.direction.reshape(-1).tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


@lru_cache(maxsize=1)
def coarse_knee() -> dict[str, bytes]:
    """A coarse knee as label map in the numbering `oai`, a scan on its grid, and both in a zip."""
    knee = tibia_unsplit(turned_knee())
    labels = OAI[knee.labels[:, ::2, ::2]]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ knee.grid.affine[:, [2, 1, 0, 3]] @ np.diag([2, 2, 1, 1])
    noise = np.random.default_rng(1).normal(100, 20, labels.shape) + 40.0 * labels
    images = {"labels": labels.T, "scan": noise.astype(np.float32).T}
    found = {name: nib.Nifti1Image(data, affine).to_bytes() for name, data in images.items()}
    both = io.BytesIO()
    with zipfile.ZipFile(both, "w") as archive:
        for name, data in found.items():
            archive.writestr(f"{name}.nii", data)
    return found | {"both": both.getvalue()}
