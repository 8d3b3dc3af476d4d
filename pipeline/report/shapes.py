"""Files of the shape fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.report.meshes import BoneMap, write_ply, write_vtp
from pipeline.report.tables import json_text
from pipeline.results_tree import SHAPE_PARAMETERS, SHAPE_PLY, SHAPE_VTP
from pipeline.types import ShapeFit, Surface

PREFIXES: Final = {"bone_and_cart": "NSM_recon", "bone_only": "NSM_bone_only_recon"}
"""File names by kind of model, compatible with scripts for the peer's results, with the same keys."""

ASSD_KEYS: Final = ("assd_bone_mm", "assd_cartilage_mm")


def write_shapes(shapes: tuple[ShapeFit, ...], files_dir: Path) -> None:
    """Write a parameter file for each model, and its reconstructed shapes as VTP and PLY."""
    for shape in shapes:
        prefix = PREFIXES[shape.kind]
        text = json_text(parameters(shape))
        SHAPE_PARAMETERS.target(files_dir, model=prefix).write_text(text, encoding="utf-8")
        for surface in shape.reconstructions:
            bare = _bare(surface)
            write_vtp(SHAPE_VTP.target(files_dir, model=prefix, structure=surface.structure.key), bare)
            write_ply(SHAPE_PLY.target(files_dir, model=prefix, structure=surface.structure.key), bare)


def parameters(shape: ShapeFit) -> dict[str, object]:
    """The peer's keys, then ours. (icp_transform x - center) / scale converts LPS mm to the model's coordinates."""
    found: dict[str, Any] = {
        "latent": shape.latent.tolist(),
        "icp_transform": shape.icp_transform.tolist(),
        "center": shape.center.tolist(),
        "scale": shape.scale,
        **dict(zip(ASSD_KEYS, shape.assd_mm, strict=False)),
    }
    if shape.bscore is not None:
        found["Bscore"] = shape.bscore
    return found | {"model": shape.model, "kind": shape.kind, "weights_sha256": shape.sha256}


def _bare(surface: Surface) -> BoneMap:
    """A surface without thickness."""
    n = len(surface.points_mm)
    return BoneMap(
        surface=surface,
        thickness_mm=np.full(n, np.nan),
        two_crossing_mm=np.full(n, np.nan),
        region=np.zeros(n, dtype=np.uint8),
        subregion=np.zeros(n, dtype=np.uint8),
    )
