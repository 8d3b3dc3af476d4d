"""Scans, label maps and outlines as JSON values beside their one array, without loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side, Structure
from pipeline.flags import QualityFlag
from pipeline.grid import NO_PLANES, Grid, Planes
from pipeline.types import Alignment, LabelArray, LabelMap, Scan, Segmentation


def scan_values(scan: Scan) -> dict[str, object]:
    """All of a scan except its echoes."""
    return {
        "grid": scan.grid.to_dict(),
        "sequence": scan.sequence,
        "echo_times_ms": scan.echo_times_ms,
        "side": scan.side,
        "modality": scan.modality,
        "acquisition": asdict(scan.acquisition),
        "warnings": scan.warnings,
    }


def scan_of(values: Mapping[str, object], echoes: NDArray[np.float32]) -> Scan:
    """From `scan_values`, also after JSON. Raises KeyError, TypeError, ValueError."""
    meta: dict[str, Any] = dict(values)
    return Scan(
        echoes=echoes,
        grid=Grid.from_dict(meta["grid"]),
        sequence=PulseSequence(meta["sequence"]),
        echo_times_ms=tuple(meta["echo_times_ms"]),
        side=Side(meta["side"]) if meta["side"] else None,
        modality=meta["modality"],
        acquisition=Acquisition(**meta["acquisition"]),
        warnings=tuple(meta["warnings"]),
    )


def label_map_values(label_map: LabelMap) -> dict[str, object]:
    """All of a label map except its labels."""
    return {
        "grid": label_map.grid.to_dict(),
        "names": {str(label): name for label, name in label_map.names.items()},
        "left_out": label_map.left_out,
        "warnings": label_map.warnings,
    }


def label_map_of(values: Mapping[str, object], labels: NDArray[np.uint16]) -> LabelMap:
    """From `label_map_values`, also after JSON. Raises KeyError, TypeError, ValueError."""
    meta: dict[str, Any] = dict(values)
    return LabelMap(
        labels=labels,
        grid=Grid.from_dict(meta["grid"]),
        names={int(label): name for label, name in meta["names"].items()},
        left_out=planes_of(meta["left_out"]),
        warnings=tuple(meta["warnings"]),
    )


def segmentation_values(segmentation: Segmentation) -> dict[str, object]:
    """All of a segmentation except its labels."""
    return {
        "grid": segmentation.grid.to_dict(),
        "model_id": segmentation.model_id,
        "compartments_apart": segmentation.compartments_apart,
        "confidence": {structure.key: value for structure, value in segmentation.confidence.items()},
        "surface_entropy_bits": {s.key: value for s, value in segmentation.surface_entropy_bits.items()},
        "marrow_contrast": segmentation.marrow_contrast,
        "flags": [flag.to_dict() for flag in segmentation.flags],
        "warnings": segmentation.warnings,
        "padding": segmentation.padding,
        "edited": [structure.key for structure in sorted(segmentation.edited)],
    }


def segmentation_of(values: Mapping[str, object], labels: LabelArray) -> Segmentation:
    """From `segmentation_values`, also after JSON. Raises KeyError, TypeError, ValueError."""
    meta: dict[str, Any] = dict(values)
    return Segmentation(
        labels=labels,
        grid=Grid.from_dict(meta["grid"]),
        model_id=meta["model_id"],
        compartments_apart=meta["compartments_apart"],
        confidence={Structure[key.upper()]: value for key, value in meta["confidence"].items()},
        surface_entropy_bits={Structure[k.upper()]: v for k, v in meta.get("surface_entropy_bits", {}).items()},
        marrow_contrast=meta.get("marrow_contrast"),
        flags=tuple(QualityFlag.from_dict(flag) for flag in meta.get("flags", [])),
        warnings=tuple(meta.get("warnings", ())),
        padding=planes_of(meta.get("padding", NO_PLANES)),
        edited=frozenset(Structure[key.upper()] for key in meta.get("edited", ())),
    )


def alignment_values(alignment: Alignment) -> dict[str, object]:
    """All of an alignment."""
    return asdict(alignment) | {"matrix": alignment.matrix.tolist()}


def alignment_of(values: Mapping[str, object]) -> Alignment:
    """From `alignment_values`, also after JSON. Raises KeyError, TypeError, ValueError."""
    meta: dict[str, Any] = dict(values)
    structure = Structure(meta.get("structure", Structure.FEMUR))
    return Alignment(**meta | {"matrix": np.array(meta["matrix"]), "side": Side(meta["side"]), "structure": structure})


def outlines_shape(values: Mapping[str, object]) -> tuple[int, int, int]:
    """(z, y, x) of the labels of `segmentation_values`. Raises KeyError, TypeError, ValueError."""
    meta: dict[str, Any] = dict(values)
    z, y, x = (int(n) for n in meta["grid"]["shape"])
    return z, y, x


def planes_of(stored: Sequence[Sequence[int]]) -> Planes:
    """From JSON."""
    (a, b), (c, d), (e, f) = stored
    return (a, b), (c, d), (e, f)
