"""Scans and label maps as JSON values beside their one array, without loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side
from pipeline.grid import Grid, Planes
from pipeline.types import LabelMap, Scan


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


def planes_of(stored: Sequence[Sequence[int]]) -> Planes:
    """From JSON."""
    (a, b), (c, d), (e, f) = stored
    return (a, b), (c, d), (e, f)
