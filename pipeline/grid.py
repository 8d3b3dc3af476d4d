"""Voxel positions in patient coordinates: LPS, millimetres, float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Box = tuple[slice, slice, slice]
"""Part of an array, along its three axes."""

Planes = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Numbers of planes before the first and after the last of an array, along its three axes."""

NO_PLANES: Final[Planes] = ((0, 0), (0, 0), (0, 0))


_LPS: Final = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}


def axes_of(code: str) -> FloatArray:
    """(3, 3): column k is the LPS direction of letter k of an axis code: R right, L left, A anterior, P posterior,
    S superior, I inferior.

    Raises ValueError unless the code has each of the three directions once.
    """
    if len(code) != 3 or {_LPS.get(letter, (-1, 0))[0] for letter in code} != {0, 1, 2}:
        raise ValueError(f"an axis code needs one letter each of R/L, A/P and S/I, found {code!r}")
    axes = np.zeros((3, 3))
    for column, letter in enumerate(code):
        row, sign = _LPS[letter]
        axes[row, column] = sign
    return axes


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A regular grid in the patient's coordinates.

    shape      (z, y, x), the order of the arrays
    spacing_mm (z, y, x), the same order
    origin_mm  (3,) LPS position of the centre of voxel [0, 0, 0]
    direction  (3, 3) orthonormal; column 0 is the LPS direction of the x axis (last array axis), column 2 that of z,
               as in ITK. A determinant of -1 is allowed (left-handed storage).

    Raises ValueError if these conditions are violated: every Grid is valid.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: FloatArray
    direction: FloatArray

    def __post_init__(self) -> None:
        origin = np.array(self.origin_mm, dtype=np.float64)
        direction = np.array(self.direction, dtype=np.float64)
        shape = tuple(int(n) for n in self.shape)
        spacing = tuple(float(s) for s in self.spacing_mm)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"shape must be three positive integers (z, y, x), found {shape}")
        if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
            raise ValueError(f"spacing_mm must be three positive numbers (z, y, x), found {spacing}")
        if origin.shape != (3,) or not np.isfinite(origin).all():
            raise ValueError(f"origin_mm must be three finite numbers, found {origin}")
        if direction.shape != (3, 3) or not np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
            raise ValueError("direction must be an orthonormal (3, 3) matrix")
        origin.flags.writeable = direction.flags.writeable = False
        for name, value in (
            ("shape", shape),
            ("spacing_mm", spacing),
            ("origin_mm", origin),
            ("direction", direction),
        ):
            object.__setattr__(self, name, value)

    @property
    def affine(self) -> FloatArray:
        """(4, 4): homogeneous index (z, y, x) -> LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction[:, ::-1] * np.array(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def voxel_volume_mm3(self) -> float:
        return float(np.prod(self.spacing_mm))

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Size of the field of view along (z, y, x)."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    def to_mm(self, index: ArrayLike) -> FloatArray:
        """Voxel indices (n, 3) in (z, y, x), fractions allowed -> LPS points (n, 3) in mm."""
        matrix = self.affine
        points: FloatArray = np.asarray(index, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        return points

    def to_index(self, points_mm: ArrayLike) -> FloatArray:
        """LPS points (n, 3) in mm -> voxel indices (n, 3) in (z, y, x), as fractions."""
        matrix = self.affine
        offset = np.asarray(points_mm, dtype=np.float64) - matrix[:3, 3]
        # orthonormal columns: the inverse is the transpose divided by the squared spacing, exact to rounding
        index: FloatArray = offset @ (matrix[:3, :3] / np.array(self.spacing_mm) ** 2)
        return index

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Grid:
        """The grid of array[start[0]:stop[0], ...]."""
        return Grid(
            shape=(stop[0] - start[0], stop[1] - start[1], stop[2] - start[2]),
            spacing_mm=self.spacing_mm,
            origin_mm=self.to_mm([start])[0],
            direction=self.direction,
        )

    def part(self, box: Box) -> Grid:
        """The grid of array[box]; the slices have a start and a stop."""
        z, y, x = box
        return self.crop((z.start, y.start, x.start), (z.stop, y.stop, x.stop))

    def extended(self, planes: Planes) -> Grid:
        """The grid of an array with more planes at its faces: np.pad(array, planes)."""
        (z, z_after), (y, y_after), (x, x_after) = planes
        a, b, c = self.shape
        return self.crop((-z, -y, -x), (a + z_after, b + y_after, c + x_after))

    def turned(self, code: str) -> Grid:
        """The grid if the directions that it calls left, posterior and superior are those of an axis code (axes_of).

        Raises ValueError for a code that mirrors the image.
        """
        turn = axes_of(code)
        if np.linalg.det(turn) < 0:
            raise ValueError(f"{code} mirrors the image; expected a turn")
        return Grid(
            shape=self.shape,
            spacing_mm=self.spacing_mm,
            origin_mm=turn @ self.origin_mm,
            direction=turn @ self.direction,
        )

    def matches(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """Whether the shapes are equal and all corners agree within the tolerance."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1).T
        return bool(np.abs(self.to_mm(corners) - other.to_mm(corners)).max() <= tolerance_mm)

    def to_dict(self) -> dict[str, object]:
        """For JSON; Python writes float64 without loss."""
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "origin_mm": self.origin_mm.tolist(),
            "direction": self.direction.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Grid:
        values: dict[str, Any] = dict(data)
        return cls(
            shape=tuple(values["shape"]),
            spacing_mm=tuple(values["spacing_mm"]),
            origin_mm=np.array(values["origin_mm"]),
            direction=np.array(values["direction"]),
        )
