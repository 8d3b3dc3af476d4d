"""File format of a 3D scene for the browser: meshes with any number of named channels at their vertices.

Content of `scene.bin` (stored and sent as gzip), little-endian:

    bytes 0 to 3    "OKS1"
    bytes 4 to 7    uint32 h, length of the header
    h bytes         JSON, padded with spaces to a multiple of 4
    the rest        concatenated arrays; the header gives the start of each (`at`, in bytes from the end of the header)

The header: `side`; `axes`, rows left, superior, anterior of the knee as unit vectors in LPS; `views` (title, direction
`towards` the viewer in these axes); `layouts` (title, a 4 x 4 matrix, row by row, for each mesh, in these axes, mm);
`channels` (name, title, unit, kind, range, colours or categories, note, usable, steps); `meshes`. A bone with a flat
map has `flat`: `matrix`, row by row, from these axes (mm) to (across, up, out) in mm; `radius` of the cylinder, whose
angle is atan2(up, out), or null; `upwards`, names of both ends of `up`. Each mesh, with n vertices and m triangles:

    positions   3 columns, each 2 planes of n bytes (low bytes, then high bytes): zig-zag of the wrapped 16-bit
    difference to the previous vertex. LPS mm = origin + basis (3 x 3, row by row) * number. Along each axis of the
    grid, the error of a point is at most LARGEST_STEP_MM / 2 = 1.6 µm if the mesh is shorter than 100 mm.
    indices     3 planes of 3 m bytes: (number of vertices used before) - index. Vertices are numbered in the order of
    their first use by triangles, so that a new one is 0.
    channels    a scalar: 2 planes of n bytes; value = offset + scale * number, 65535: none. Categories: n bytes.

Vertices of an iso-surface are on the edges of its grid, so two of three coordinates along the grid axes repeat, which
makes the file small (5 bytes per vertex with its two triangles). Any other `grid` gives the same scene in a larger
file.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.flat_maps.reference import Unrolling
from pipeline.grid import FloatArray, Grid
from pipeline.parts import COMPUTED, Parts
from pipeline.report.scene_layout import anatomical_axes, layouts, views
from pipeline.types import Alignment, LabelArray

MAGIC: Final = b"OKS1"
LARGEST_STEP_MM: Final = 0.0032
"""Positions are integers in steps of at most this size, unless a mesh is longer than 65,535 of them (210 mm)."""

TOP: Final = 65535
"""Largest 16-bit number; in a scalar channel it means "no value"."""

GZIP_LEVEL: Final = 6

_NONE: Final = np.zeros((0, 3))
Rgb = tuple[int, int, int]
Unsigned = NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scalar:
    """A number at each vertex. values (n,) float64, NaN = none (the colour of the mesh is shown).

    range: ends of the colour scale; colours: equidistant stops; resolution: the step of stored values; note: shown in
    the legend; usable: False for values that must not be used; steps: channels with the same text here are one choice
    of this title, through which the viewer steps in their order.
    """

    name: str
    title: str
    unit: str
    values: FloatArray
    range: tuple[float, float]
    colours: tuple[Rgb, ...]
    missing_title: str
    resolution: float = 0.001
    decimals: int = 2
    note: str = ""
    usable: bool = True
    steps: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Categories:
    """A label at each vertex. labels (n,) uint8; entries: (label, title, colour); a label without entry is none.

    divides: the labels are regions of the plate, whose borders flat maps show
    """

    name: str
    title: str
    labels: LabelArray
    entries: tuple[tuple[int, str, Rgb], ...]
    missing_title: str
    divides: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneMesh:
    """One structure. points_mm (n, 3) LPS; faces (m, 3), outward by the right-hand rule.

    bone: key of the bone with which it moves; group: title of its group, which shares one opacity (0 to 1)
    unrolling: how its plate becomes a flat map
    """

    key: str
    title: str
    bone: str
    group: str
    colour: Rgb
    points_mm: FloatArray
    faces: NDArray[np.int64]
    channels: tuple[Scalar | Categories, ...] = ()
    opacity: float = 1.0
    shown: bool = True
    unrolling: Unrolling | None = None


def write_scene(
    path: Path, meshes: Sequence[SceneMesh], *, alignment: Alignment, grid: Grid, parts: Parts = COMPUTED
) -> None:
    """Write a scene as gzip. The same scene gives the same bytes.

    alignment gives the directions and the side of the knee; grid: that of the image, see the module docstring.
    """
    scene = encode_scene(meshes, alignment=alignment, grid=grid, parts=parts)
    path.write_bytes(gzip.compress(scene, GZIP_LEVEL, mtime=0))


def encode_scene(meshes: Sequence[SceneMesh], *, alignment: Alignment, grid: Grid, parts: Parts = COMPUTED) -> bytes:
    """The scene's bytes before gzip. Raises ValueError if a mesh or channel cannot be represented."""
    axes = anatomical_axes(alignment)
    # only bones are placed: soft tissue moves with its bone
    boxes = {mesh.key: (mesh.bone, (mesh.points_mm if mesh.key == mesh.bone else _NONE) @ axes.T) for mesh in meshes}
    encoded, entries, at = [parts.value(_mesh, mesh, grid) for mesh in meshes], [], 0
    for mesh, item in zip(meshes, encoded, strict=True):
        entries.append(item.placed(at) | _flat(mesh, axes))
        at += len(item.data)
    header = {
        "side": alignment.side.value,
        "axes": axes.tolist(),
        "views": views(alignment.side),
        "layouts": parts.value(layouts, boxes, alignment.side),
        "channels": _scales(meshes),
        "meshes": entries,
    }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([MAGIC, len(text).to_bytes(4, "little"), text, *(item.data.tobytes() for item in encoded)])


def _scales(meshes: Sequence[SceneMesh]) -> list[dict[str, Any]]:
    """Each channel once, as described by the first mesh with it."""
    found: dict[str, dict[str, Any]] = {}
    for channel in (channel for mesh in meshes for channel in mesh.channels):
        if channel.name in found:
            continue
        scale: dict[str, Any] = {"name": channel.name, "title": channel.title, "missing": channel.missing_title}
        if isinstance(channel, Scalar):
            scale |= {
                "kind": "scalar",
                "unit": channel.unit,
                "range": channel.range,
                "colours": channel.colours,
                "decimals": channel.decimals,
                "note": channel.note,
                "usable": channel.usable,
            }
            scale |= {"steps": channel.steps} if channel.steps else {}
        else:
            entries = [{"label": label, "title": title, "colour": colour} for label, title, colour in channel.entries]
            scale |= {"kind": "categories", "entries": entries, "divides": channel.divides}
        found[channel.name] = scale
    return list(found.values())


def _flat(mesh: SceneMesh, axes: FloatArray) -> dict[str, Any]:
    """The entry `flat` of a mesh that can be unrolled."""
    if mesh.unrolling is None:
        return {}
    matrix, frame = mesh.unrolling.matrix.copy(), mesh.unrolling.frame
    matrix[:3, :3] = matrix[:3, :3] @ axes.T
    return {"flat": {"matrix": matrix.reshape(-1).tolist(), "radius": frame.radius_mm, "upwards": frame.upwards}}


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedMesh:
    """facts: the entry of the header without places. data (n,) uint8: its arrays; starts, and `at` of channels: where
    they begin in the data.
    """

    facts: dict[str, object]
    starts: dict[str, int]
    channels: dict[str, dict[str, float]]
    data: NDArray[np.uint8]

    def placed(self, at: int) -> dict[str, object]:
        """The entry of the header if the data begin at this place."""
        channels = {name: channel | {"at": channel["at"] + at} for name, channel in self.channels.items()}
        return self.facts | {name: start + at for name, start in self.starts.items()} | {"channels": channels}


def _mesh(mesh: SceneMesh, grid: Grid) -> EncodedMesh:
    arrays: list[bytes] = []

    def put(data: bytes) -> int:
        at = sum(len(array) for array in arrays)
        arrays.append(data)
        return at

    n = len(mesh.points_mm)
    if not len(mesh.faces) or mesh.faces.min() < 0 or mesh.faces.max() >= n:
        raise ValueError(f"{mesh.key}: at least one face is expected, with vertices 0 to {n - 1}")
    order, faces = by_first_use(mesh.faces, n)
    origin, basis, numbers = quantised(mesh.points_mm[order], grid)
    differences = np.diff(numbers.astype(np.int32), axis=0, prepend=np.zeros((1, 3), dtype=np.int32)).astype(np.int16)
    channels: dict[str, dict[str, float]] = {}
    for channel in mesh.channels:
        data = channel.values if isinstance(channel, Scalar) else channel.labels
        if len(data) != n:
            raise ValueError(f"{mesh.key}, {channel.name}: expected {n} values, one per vertex, found {len(data)}")
        if isinstance(channel, Scalar):
            offset, packed = _numbers(channel, order, mesh.key)
            channels[channel.name] = {"at": put(planes(packed, 2)), "offset": offset, "scale": channel.resolution}
        else:
            channels[channel.name] = {"at": put(channel.labels[order].tobytes())}
    facts: dict[str, object] = {
        "key": mesh.key,
        "title": mesh.title,
        "bone": mesh.bone,
        "group": mesh.group,
        "colour": mesh.colour,
        "opacity": mesh.opacity,
        "shown": mesh.shown,
        "vertices": len(order),
        "triangles": len(faces),
        "origin": origin.tolist(),
        "basis": basis.reshape(-1).tolist(),
    }
    starts = {
        "positions": put(b"".join(planes(zigzag(differences[:, axis]), 2) for axis in range(3))),
        "indices": put(planes(back_references(faces), 3)),
    }
    data = np.frombuffer(b"".join(arrays), dtype=np.uint8)
    return EncodedMesh(facts=facts, starts=starts, channels=channels, data=data)


def _numbers(channel: Scalar, order: NDArray[np.int64], key: str) -> tuple[float, Unsigned]:
    """(offset, (n,) integers) of a scalar's values in the given order; TOP for missing values."""
    values = channel.values[order]
    there = np.isfinite(values)
    least = float(values[there].min()) if there.any() else 0.0
    offset = 0.0 if least >= 0 else float(np.floor(least / channel.resolution)) * channel.resolution
    numbers = np.rint((np.where(there, values, offset) - offset) / channel.resolution)
    if numbers.max(initial=0) >= TOP:
        span = TOP * channel.resolution
        raise ValueError(f"{key}, {channel.name}: values must span less than {span:g} {channel.unit}")
    return offset, np.where(there, numbers, TOP).astype(np.uint32)


def by_first_use(faces: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(order, faces): the used vertices of n in the order of first use by triangles, and the renumbered triangles."""
    used, first = np.unique(faces.reshape(-1), return_index=True)
    order = used[np.argsort(first, kind="stable")]
    place = np.zeros(n, dtype=np.int64)
    place[order] = np.arange(len(order))
    return order, place[faces]


def quantised(points_mm: FloatArray, grid: Grid) -> tuple[FloatArray, FloatArray, NDArray[np.uint16]]:
    """(origin (3,), basis (3, 3), numbers (n, 3)): points_mm = origin + numbers @ basis.T, to half a step per axis.
    The basis is along the grid axes. A step is the grid spacing, halved until it is small enough, so that grid lines
    are integers.
    """
    local = (points_mm - grid.origin_mm) @ grid.direction
    spacing = np.array(grid.spacing_mm[::-1])
    step = spacing / 2.0 ** np.ceil(np.log2(spacing / LARGEST_STEP_MM))
    low = np.floor(local.min(axis=0) / step)
    extent = local.max(axis=0) / step - low
    step = step * np.maximum(1.0, np.exp2(np.ceil(np.log2(np.maximum(extent, 1.0) / (TOP - 1)))))
    low = np.floor(local.min(axis=0) / step)
    numbers = np.rint(local / step - low).astype(np.uint16)
    return grid.origin_mm + grid.direction @ (low * step), grid.direction * step, numbers


def zigzag(values: NDArray[np.int16]) -> Unsigned:
    """0, -1, 1, -2 ... -> 0, 1, 2, 3 ...: small numbers of either sign have small codes."""
    return (((values << 1) ^ (values >> 15)).astype(np.uint16)).astype(np.uint32)


def back_references(faces: NDArray[np.int64]) -> Unsigned:
    """(3 m,): for each index, its distance from the next new vertex."""
    flat = faces.reshape(-1)
    known = np.concatenate([[0], np.maximum.accumulate(flat)[:-1] + 1])
    return np.asarray(known - flat, dtype=np.uint32)


def planes(values: Unsigned, count: int) -> bytes:
    """All lowest bytes, then all next ones, which compress better. Raises ValueError if a number needs more bytes."""
    if values.max(initial=0) >= 1 << (8 * count):
        raise ValueError(f"numbers must be below {1 << (8 * count)}, found {values.max()}")
    return b"".join(((values >> (8 * plane)) & 255).astype(np.uint8).tobytes() for plane in range(count))
