"""Segmentations as 3D Slicer writes them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from pipeline.grid import Grid


def write_seg_nrrd(path: Path, layers: np.ndarray, pairs: str, grid: Grid) -> Path:
    """layers: (layer, z, y, x); written as 3D Slicer does, the list axis first."""
    columns = [f"({','.join(map(repr, (grid.direction[:, k] * grid.spacing_mm[2 - k]).tolist()))})" for k in range(3)]
    vectors, sizes, kinds = " ".join(columns), " ".join(map(str, layers.shape[:0:-1])), "domain domain domain"
    if len(layers) > 1:
        vectors, sizes, kinds = f"none {vectors}", f"{len(layers)} {sizes}", f"list {kinds}"
    header = (
        f"NRRD0004\ntype: unsigned char\ndimension: {len(sizes.split())}\nspace: left-posterior-superior\n"
        f"sizes: {sizes}\nspace directions: {vectors}\nkinds: {kinds}\nencoding: gzip\n"
        f"space origin: ({','.join(map(repr, grid.origin_mm.tolist()))})\n{pairs}\n"
    )
    path.write_bytes(header.encode() + gzip.compress(np.ascontiguousarray(np.moveaxis(layers, 0, -1)).tobytes()))
    return path


def segment(number: int, name: str, value: int, layer: int = 0, tags: str = "") -> str:
    key = f"Segment{number}_"
    pairs = {"Name": name, "LabelValue": value, "Layer": layer, "Color": "0.5 0.1 0", "ID": f"Segment_{number}"}
    return "".join(f"{key}{name}:={value}\n" for name, value in (pairs | {"Tags": tags}).items())
