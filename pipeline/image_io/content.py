"""Rejects empty scans."""

from __future__ import annotations

from pipeline.errors import EmptyImage
from pipeline.types import Scan


def require_content(scan: Scan) -> None:
    """Raise EmptyImage if every voxel of every echo has the same value."""
    low, high = float(scan.echoes.min()), float(scan.echoes.max())
    if low == high:
        raise EmptyImage(
            f"Image is empty: all {scan.echoes.size:,} voxels have the value {low:g}; expected an MR image of a knee.",
            hint="Check the export: the voxels may have been lost.",
            value=low,
        )
