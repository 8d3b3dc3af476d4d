"""One picture of every family: slices of generated scans beside their labels.

python -m training.generator.contact_sheet LABEL_MAP --output SHEET.png [--numbering oai] [--seed 1]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.anatomy import NUMBERINGS, Structure
from training.generator.anatomy import Anatomy, Condition, draw_condition, make_anatomy
from training.generator.families import FAMILIES, Plane, draw_protocol
from training.generator.scan import GeneratedScan, make_scan
from training.knee_unet.specimen import read_expert_map

TILE = 300
SHOWN_SLICES = (0.28, 0.5, 0.7)


def tiles_of(scan: GeneratedScan) -> NDArray[np.uint8]:
    """(TILE, n * TILE, 3): three slices of a scan, the last one also with its labels; anterior left, superior up."""
    top = float(np.quantile(scan.image, 0.985)) + 1e-6
    shown = []
    for share in SHOWN_SLICES:
        number = int(share * (len(scan.image) - 1))
        grey = (255 * np.clip(scan.image[number] / top, 0, 1)).astype(np.uint8)
        shown.append((np.repeat(grey[..., None], 3, 2), scan.labels[number]))
    coloured = shown[0][0].copy()
    for structure in Structure:
        where = shown[0][1] == structure
        colour = np.array(structure.colour, np.float32)
        coloured[where] = (0.6 * coloured[where] + 0.4 * colour).astype(np.uint8)
    return np.concatenate([_tile(picture, scan) for picture in (*(p for p, _ in shown), coloured)], 1)


def _tile(picture: NDArray[np.uint8], scan: GeneratedScan) -> NDArray[np.uint8]:
    """The slice at TILE pixels, turned so that superior (or anterior, in axial slices) is up."""
    turned = picture[::-1]
    if scan.protocol.plane is Plane.SAGITTAL:
        turned = turned[:, ::-1]
    rows, columns = (n * mm for n, mm in zip(turned.shape[:2], scan.grid.spacing_mm[1:], strict=True))
    size = TILE / max(rows, columns)
    small = Image.fromarray(np.ascontiguousarray(turned)).resize((int(columns * size), int(rows * size)))
    canvas = np.zeros((TILE, TILE, 3), np.uint8)
    canvas[: small.height, : small.width] = np.asarray(small)
    return canvas


def sheet(anatomy: Anatomy, seed: int) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """(rows of tiles, seconds per scan): one row per family."""
    rows, seconds = [], {}
    for number, family in enumerate(FAMILIES):
        protocol = draw_protocol(np.random.default_rng((seed, number)), family)
        start = time.perf_counter()
        scan = make_scan(anatomy, protocol, seed, artefacts=())
        seconds[family] = time.perf_counter() - start
        rows.append(tiles_of(scan))
    half = (len(rows) + 1) // 2
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    return np.concatenate([np.concatenate(rows[:half], 0), np.concatenate(rows[half:], 0)], 1), seconds


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("map", type=Path, help="label map of a knee")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--numbering", default="oai", choices=sorted(NUMBERINGS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--healthy", action="store_true", help="a healthy extended knee instead of a random one")
    arguments = parser.parse_args()
    knee = read_expert_map(arguments.map, arguments.numbering)
    condition = Condition() if arguments.healthy else draw_condition(np.random.default_rng(arguments.seed))
    anatomy = make_anatomy(knee, condition, arguments.seed, name=arguments.map.name)
    for finding in anatomy.contains:
        print(f"{finding.name}: {finding.amount:.2f} {finding.unit}")
    picture, seconds = sheet(anatomy, arguments.seed)
    Image.fromarray(picture).save(arguments.output)
    print({family: round(value, 2) for family, value in seconds.items()})


if __name__ == "__main__":
    main()
