"""make real-scan: a model's outlines on every slice of a real scan, as one picture in the folder of its card.

    python -m training.knee_unet.real_scan SCAN [--model nnunet_fullres] [--picture FILE.png]

There is no ground truth for such a scan: the picture is for visual inspection, and the card states the findings. It
contains pixel data only, and nothing from the header.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from pipeline.image_io import read_scan
from pipeline.planes import axis_order
from pipeline.report.contact_sheet import draw_slice
from pipeline.report.slices import Slice
from pipeline.segmentation import segment
from pipeline.segmentation.registry import model
from pipeline.types import Resources, Scan, Segmentation

COLUMNS: Final = 6
PIXELS_PER_MM: Final = 2.2
AROUND_MM: Final = 12.0
"""Margin around the segmented region."""
COLOURS: Final = 64


def thick_slices(scan: Scan, found: Segmentation) -> list[Slice]:
    """Every slice (across the largest voxel side) with a segmented structure, cropped to the segmented region."""
    along = int(np.argmax(scan.grid.spacing_mm))
    image, labels = np.moveaxis(scan.anatomical, along, 0), np.moveaxis(found.labels, along, 0)
    spacing = [mm for axis, mm in enumerate(scan.grid.spacing_mm) if axis != along]
    places = np.argwhere(labels > 0)
    if not len(places):
        raise SystemExit("No structure was segmented in this scan.")
    margins = [round(AROUND_MM / mm) for mm in spacing]
    rows, columns = (
        slice(max(0, int(places[:, k + 1].min()) - m), int(places[:, k + 1].max()) + m + 1)
        for k, m in enumerate(margins)
    )
    upright = _upright(scan, along)
    return [
        Slice(
            labels=labels[k, rows, columns][upright],
            image=np.ascontiguousarray(image[k, rows, columns][upright]),
            spacing_mm=(spacing[0], spacing[1]),
            letters=("", "", "", ""),
            caption="",
        )
        for k in range(int(places[:, 0].min()), int(places[:, 0].max()) + 1)
    ]


def _upright(scan: Scan, along: int) -> tuple[slice, slice]:
    """Orientation of a slice with rows downwards and columns towards posterior or the patient's left."""
    remaining = [axis for axis in range(3) if axis != along]
    vertical = axis_order(scan.grid)[2]
    directions = scan.grid.direction[:, ::-1]
    down, right = directions[2, vertical], directions[:, next(a for a in remaining if a != vertical)]
    turned = slice(None, None, -1) if down > 0 else slice(None)
    return turned, slice(None, None, -1) if right[int(np.abs(right).argmax())] < 0 else slice(None)


def sheet(slices: list[Slice]) -> Image.Image:
    """The slices tiled in rows of COLUMNS, in scan order."""
    values = np.concatenate([item.image.reshape(-1)[::3] for item in slices if item.image is not None])
    low, high = (float(v) for v in np.percentile(values, (1.0, 99.6)))
    tiles = [draw_slice(item, PIXELS_PER_MM, (low, high)) for item in slices]
    width, height = tiles[0].size
    picture = Image.new("RGB", (COLUMNS * width, -(-len(tiles) // COLUMNS) * height))
    for k, tile in enumerate(tiles):
        picture.paste(tile, (k % COLUMNS * width, k // COLUMNS * height))
    return picture


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--model", default="nnunet_fullres", help="nnunet_fullres or nnunet_cascade")
    parser.add_argument("--picture", type=Path, help="default: real_scan.png in the folder of the model's card")
    given = parser.parse_args()
    scan = read_scan(given.scan)
    found = segment(scan, given.model, Resources(), lambda _: None)
    path = given.picture or model(given.model, Resources()).card.folder / "real_scan.png"
    flat = sheet(thick_slices(scan, found)).quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    flat.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
