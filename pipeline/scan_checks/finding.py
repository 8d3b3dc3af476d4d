"""What a check found in a scan."""

from __future__ import annotations

from dataclasses import dataclass

Place = tuple[int, int, int]
"""Voxel index (z, y, x) in the segmentation."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """value: in the unit of the check, larger is worse; words: what was found; place: where to look, or None."""

    value: float
    words: str
    place: Place | None = None


def worst(findings: list[Finding]) -> Finding | None:
    """The finding with the largest value; None of none."""
    return max(findings, key=lambda finding: finding.value, default=None)
