"""The image being rendered, and the lattice on which soft tissues are computed.

Soft tissues are computed on a lattice of about 1.4 mm, where all fields are smooth, and brought to the grid by
interpolating distances, not tissue classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Box, Grid
from pipeline.types import LabelArray
from training.limb import Field
from training.signal import TISSUES, Kind, Properties, SignalModel

CELL_MM = 1.4
RAMP_MM = 0.7
"""Width of the transition between two soft tissues."""


class Lattice:
    """Nodes about every CELL_MM along the axes of a grid; its fields are interpolated linearly to the grid."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.shape = tuple(
            max(2, round((n - 1) * s / CELL_MM) + 1) for n, s in zip(grid.shape, grid.spacing_mm, strict=True)
        )
        self.axes = [np.linspace(0.0, n - 1.0, m) for n, m in zip(grid.shape, self.shape, strict=True)]
        self.cell_mm = tuple(
            (n - 1) * s / (m - 1) for n, s, m in zip(grid.shape, grid.spacing_mm, self.shape, strict=True)
        )

    def points_mm(self) -> NDArray[np.float64]:
        """(z, y, x, 3) LPS mm of the nodes."""
        index = np.stack(np.meshgrid(*self.axes, indexing="ij"), -1)
        return self.grid.to_mm(index.reshape(-1, 3)).reshape(*self.shape, 3)

    def sample(self, labels: LabelArray) -> LabelArray:
        """The labels at the nodes (nearest voxel)."""
        return labels[np.ix_(*(np.rint(a).astype(np.intp) for a in self.axes))]

    def box_of(self, wanted: NDArray[np.bool_]) -> Box | None:
        """The part of the grid that contains the wanted nodes and the cells around them; None if there are none."""
        found = ndimage.find_objects(wanted.view(np.uint8))
        if not found:
            return None
        box = []
        for place, n, m in zip(found[0], self.grid.shape, self.shape, strict=True):
            step = (n - 1) / (m - 1)
            box.append(slice(max(0, int((place.start - 1) * step)), min(n, int(np.ceil(place.stop * step)) + 1)))
        return box[0], box[1], box[2]

    def to_grid(self, values: Field, box: Box) -> Field:
        """Values at the nodes (z, y, x), interpolated onto a part of the grid."""
        for axis, part in enumerate(box):
            n, m = self.grid.shape[axis], self.shape[axis]
            where = np.arange(part.start, part.stop) * ((m - 1) / max(n - 1, 1))
            low = np.minimum(where.astype(np.intp), m - 2)
            share = (where - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(3)])
            below, above = values.take(low, axis), values.take(low + 1, axis)
            above -= below
            above *= share
            above += below
            values = above
        return values

    def noise(self, rng: np.random.Generator, cell_mm: float) -> Field:
        """Smooth random field at the nodes, mean 0, SD about 1, correlated over cell_mm."""
        white = rng.standard_normal(self.shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, [0.5 * cell_mm / c for c in self.cell_mm], mode="wrap")
        return np.asarray(smooth / smooth.std(), np.float32)


class TissueTarget(Protocol):
    """Destination of rendered soft tissues: an image, or a map of tissue classes."""

    def cover(self, box: Box, weight: Field, kind: Kind, *, texture: float = 0.0) -> None:
        """Blend a tissue into a part of the grid with the given weight (0 to 1)."""


@dataclass(kw_only=True, eq=False)
class Canvas:
    """The image being rendered: echoes (e, z, y, x), the signal model, and a grain (z, y, x) for texture.

    t2_ms holds the T2 of structures for which the caller sets it; otherwise the table of tissues applies.
    tissues: the table of tissues
    """

    echoes: NDArray[np.float32]
    model: SignalModel
    grain: Field
    t2_ms: Mapping[Structure, float] = field(default_factory=dict)
    tissues: Mapping[Kind, Properties] = field(default_factory=lambda: TISSUES)

    def level(self, kind: Kind, t2_ms: float | None = None) -> NDArray[np.float32]:
        """(e,) signal of a tissue."""
        return self.signal(self.tissues[kind], t2_ms)

    def signal(self, tissue: Properties, t2_ms: float | None = None) -> NDArray[np.float32]:
        """(e,) signal of a tissue with these properties; t2_ms replaces its T2."""
        return self.model(tissue, np.array([tissue.t2_ms if t2_ms is None else t2_ms]))[:, 0].astype(np.float32)

    def cover(self, box: Box, weight: Field, kind: Kind, *, texture: float = 0.0) -> None:
        """Blend a tissue into a part of the grid with the given weight (0 to 1)."""
        self._blend(box, weight, self.level(kind), texture)

    def insert(self, drawn: Insert) -> None:
        """Blend an insert into the image."""
        self._blend(drawn.box, drawn.share, self.signal(drawn.tissue), drawn.texture)

    def _blend(self, box: Box, weight: Field, levels: NDArray[np.float32], texture: float) -> None:
        shade = 1.0 + texture * self.grain[box] if texture else np.float32(1.0)
        for echo, level in zip(self.echoes, levels, strict=True):
            part = echo[box]
            part += weight * (level * shade - part)


@dataclass(frozen=True, kw_only=True, eq=False)
class Insert:
    """A tissue drawn into a scan in addition to the anatomy of the labels.

    box      part of the grid
    share    (z, y, x) float32 of that part: the fraction of each voxel that the tissue fills, 0 to 1
    texture  relative strength of the grain
    """

    box: Box
    share: Field
    tissue: Properties
    texture: float = 0.05


def filled(mask: NDArray[np.bool_], fluid: Properties) -> tuple[Insert, ...]:
    """Fluid in the voxels of a mask (z, y, x) of the whole grid; nothing for an empty mask."""
    found = ndimage.find_objects(mask.view(np.uint8))
    return tuple(Insert(box=box, share=mask[box].astype(np.float32), tissue=fluid, texture=0.02) for box in found)


def steps(distance: Field) -> Field:
    """Weight of the inside of a signed distance (mm): 1 inside, 0 outside, a ramp of RAMP_MM between."""
    return np.asarray(np.clip(0.5 - distance / RAMP_MM, 0.0, 1.0))
