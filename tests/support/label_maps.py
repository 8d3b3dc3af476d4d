"""Label maps on disk."""

import SimpleITK as sitk


def write_nrrd(segmentation, path):
    image = sitk.GetImageFromArray(segmentation.labels)
    grid = segmentation.grid
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_mm.tolist())
    image.SetDirection(grid.direction.reshape(-1).tolist())
    sitk.WriteImage(image, str(path), useCompression=True)
