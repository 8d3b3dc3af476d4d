"""The files of a map: arrays and tables for each bone, one picture, a scene for the browser, and what was left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.anatomy import ALL, Side, Structure
from pipeline.flat_maps.bone import FlatMap
from pipeline.flat_maps.cells import Cells, cells_of
from pipeline.flat_maps.reference import ReferencePlate, Unrolling, reference_plate
from pipeline.grid import FloatArray, Grid
from pipeline.report.colours import DIVERGING, VIRIDIS
from pipeline.report.flat_map_picture import Layer, draw_flat_maps
from pipeline.report.knee_scene import GROUPS, region_channels
from pipeline.report.meshes import BoneMap
from pipeline.report.scene import Categories, Scalar, SceneMesh, write_scene
from pipeline.types import Alignment
from pipeline.workspace import atomic_file
from studies.manifest import write_text
from studies.maps.groups import Group, mapped_of
from studies.maps.names import ARRAYS, BONES, EXPLORATORY, LEFT_OUT, PICTURE, SCENE, TABLES
from studies.maps.request import MapRequest
from studies.maps.statistics import LEAST_KNEES, GroupMap, difference_of

NAMES: Final = ("first", "second")
T_RANGE: Final = (-5.0, 5.0)
LARGEST_T: Final = 30.0
"""In pictures: 16 bits hold 65 units."""

SHARE_OF_RANGE: Final = 5.0
"""Scales of difference and standard deviation, as a share of that of the quantity: 1 mm of 5 mm."""

FEW: Final = f"Fewer than {LEAST_KNEES} knees"
RIGHT: Final = Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=0.0, residual_other_mm=0.0)
"""The reference is a right knee whose frame has the directions of LPS."""

_GRID: Final = Grid(shape=(2, 2, 2), spacing_mm=(0.5, 0.5, 0.5), origin_mm=np.zeros(3), direction=np.eye(3))


@dataclass(frozen=True, kw_only=True, eq=False)
class Layered:
    """A quantity at the m points of each bone.

    name: of the arrays; ends, colours: of its scale; shown: whether the picture has it; in_scene: whether the page has
    """

    name: str
    title: str
    unit: str
    ends: tuple[float, float]
    colours: tuple[tuple[int, int, int], ...]
    values: dict[Structure, FloatArray]
    note: str = ""
    decimals: int = 2
    resolution: float = 0.001
    shown: bool = True
    in_scene: bool = True


def layers_of(request: MapRequest, groups: Sequence[Group]) -> list[Layered]:
    """Of two groups difference, t and its degrees of freedom; then mean, standard deviation and number of knees of each
    group.
    """
    mapped = mapped_of(request)
    unit, (low, high) = mapped.quantity.unit.symbol, mapped.ends
    wide = (high - low) / SHARE_OF_RANGE
    most = float(max(1, *(len(group.rows) for group in groups)))
    found: list[Layered] = []
    for name, group in zip(NAMES, groups, strict=False):
        parts = group.maps.items()
        title = group.title
        found += [
            Layered(
                name=f"{name}_mean",
                title=f"Mean, {title}",
                unit=unit,
                ends=mapped.ends,
                colours=VIRIDIS,
                values={bone: item.mean for bone, item in parts},
            ),
            Layered(
                name=f"{name}_sd",
                title=f"SD, {title}",
                unit=unit,
                ends=(0.0, wide),
                colours=VIRIDIS,
                values={bone: item.sd for bone, item in parts},
            ),
            Layered(
                name=f"{name}_n",
                title=f"Knees, {title}",
                unit="knees",
                ends=(0.0, most),
                colours=VIRIDIS,
                values={bone: item.n.astype(float) for bone, item in parts},
                decimals=0,
                resolution=1.0,
                shown=False,
            ),
        ]
    if len(groups) == 1:
        return found
    both = {bone: difference_of(*(group.maps[bone] for group in groups)) for bone in BONES}
    compared = [
        Layered(
            name="difference",
            title=f"Difference, {groups[0].title} − {groups[1].title}",
            unit=unit,
            ends=(-wide, wide),
            colours=DIVERGING,
            values={bone: item.difference for bone, item in both.items()},
        ),
        Layered(
            name="t",
            title="t (exploratory)",
            unit="",
            ends=T_RANGE,
            colours=DIVERGING,
            values={bone: item.t for bone, item in both.items()},
            note=EXPLORATORY,
        ),
        Layered(
            name="degrees_of_freedom",
            title="Degrees of freedom of t",
            unit="",
            ends=(0.0, 2 * most),
            colours=VIRIDIS,
            values={bone: item.degrees_of_freedom for bone, item in both.items()},
            in_scene=False,
            decimals=0,
            resolution=1.0,
            shown=False,
        ),
    ]
    return [*compared, *found]


def write_maps(request: MapRequest, groups: Sequence[Group], out: Path) -> None:
    """Write all files, each atomically. The same groups give the same bytes. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    layers = layers_of(request, groups)
    enough = {bone: _enough([group.maps[bone] for group in groups]) for bone in BONES}
    for bone in BONES:
        _write_arrays(out / ARRAYS[bone], bone, layers)
        write_text(out / TABLES[bone], _table(bone, layers))
    write_text(out / LEFT_OUT, _left_out(groups))
    _write_picture(out / PICTURE, layers, enough)
    meshes = [_mesh(bone, layers, enough[bone]) for bone in BONES]
    partial = out / f".{SCENE}.part"
    write_scene(partial, meshes, alignment=RIGHT, grid=_GRID)
    partial.replace(out / SCENE)


def _enough(maps: Sequence[GroupMap]) -> FloatArray:
    """(m,): 1 where every group has LEAST_KNEES, else NaN: pictures show nothing there."""
    there = np.all([item.n >= LEAST_KNEES for item in maps], axis=0)
    return np.where(there, 1.0, np.nan)


def _write_arrays(path: Path, bone: Structure, layers: Sequence[Layered]) -> None:
    there = reference_plate(bone)
    arrays = {layer.name: layer.values[bone].astype(np.float32) for layer in layers}
    with atomic_file(path) as stream:
        np.savez_compressed(
            stream,
            allow_pickle=False,
            reference_points_mm=there.surface.points_mm.astype(np.float32),
            reference_faces=there.surface.faces.astype(np.int32),
            reference_region=there.region,
            reference_subregion=there.subregion,
            **arrays,
        )


def _table(bone: Structure, layers: Sequence[Layered]) -> str:
    """One line for each point at which a group has a value."""
    there = reference_plate(bone)
    known = np.flatnonzero(np.any([np.nan_to_num(layer.values[bone]) != 0 for layer in layers], axis=0))
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    points = ("medial_mm", "posterior_mm", "superior_mm")
    writer.writerow(["point", *points, "region", "subregion", *(layer.name for layer in layers)])
    places = there.surface.points_mm
    for point in known:
        writer.writerow(
            [
                *(int(point), *(f"{value:.2f}" for value in places[point])),
                *(int(there.region[point]), int(there.subregion[point])),
                *(_text(layer.values[bone][point], layer.decimals) for layer in layers),
            ]
        )
    return stream.getvalue()


def _text(value: float, decimals: int) -> str:
    return "" if np.isnan(value) else f"{value:.{decimals + 2 if decimals else 0}f}"


def _left_out(groups: Sequence[Group]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["row", "subject", "side", "group", "bone", "reason"])
    for group in groups:
        writer.writerows(
            [item.row, item.subject, item.side, item.group, item.bone or ALL, item.reason] for item in group.left_out
        )
    return stream.getvalue()


def _shown(layer: Layered, bone: Structure, enough: FloatArray) -> FloatArray:
    values = layer.values[bone] if layer.name.endswith("_n") else layer.values[bone] * enough
    return np.clip(values, -LARGEST_T, LARGEST_T) if layer.name == "t" else values


def _write_picture(path: Path, layers: Sequence[Layered], enough: dict[Structure, FloatArray]) -> None:
    shown = [layer for layer in layers if layer.shown]
    maps = tuple(_flat(bone, shown, enough[bone]) for bone in BONES)
    drawn = tuple(
        Layer(
            name=layer.name,
            title=layer.title,
            unit=layer.unit or "no unit",
            ends=layer.ends,
            colours=layer.colours,
            note=layer.note,
            gaps=any(np.isnan(item.values[layer.name][item.cells.area_mm2 > 0]).any() for item in maps),
        )
        for layer in shown
    )
    partial = path.with_name(f".{path.name}.part.png")
    draw_flat_maps(partial, maps, drawn)
    partial.replace(path)


def _flat(bone: Structure, layers: Sequence[Layered], enough: FloatArray) -> FlatMap:
    """The reference with the values of the layers in its cells."""
    there = reference_plate(bone)
    cells = _cells(there)
    return FlatMap(
        structure=bone,
        pose=RIGHT,
        cells=cells,
        values={layer.name: cells.mean_of(_shown(layer, bone, enough)) for layer in layers},
        region=_at(there.region, cells),
        subregion=_at(there.subregion, cells),
        vertex=np.arange(len(there.region), dtype=np.int32),
        at_reference={},
    )


def _cells(there: ReferencePlate) -> Cells:
    plate = np.isfinite(there.thickness_mm)
    return cells_of(there.surface, plate, there.frame.coordinates(there.surface.points_mm), there.frame)


def _at(labels: np.ndarray, cells: Cells) -> np.ndarray:
    return np.where(cells.vertex >= 0, labels[cells.vertex], 0).astype(np.uint8)


def _mesh(bone: Structure, layers: Sequence[Layered], enough: FloatArray) -> SceneMesh:
    there = reference_plate(bone)
    channels: list[Scalar | Categories] = [
        Scalar(
            name=layer.name,
            title=layer.title,
            unit=layer.unit,
            values=_shown(layer, bone, enough),
            range=layer.ends,
            colours=layer.colours,
            missing_title=FEW,
            resolution=layer.resolution,
            decimals=layer.decimals,
            note=layer.note,
        )
        for layer in layers
        if layer.in_scene
    ]
    nowhere = np.full(len(there.region), np.nan)
    regions = BoneMap(
        surface=there.surface,
        thickness_mm=nowhere,
        two_crossing_mm=nowhere,
        region=there.region,
        subregion=there.subregion,
    )
    return SceneMesh(
        key=bone.key,
        title=bone.title,
        bone=bone.key,
        group=GROUPS[bone.tissue],
        colour=bone.colour,
        points_mm=there.surface.points_mm,
        faces=there.surface.faces,
        channels=(*channels, *region_channels(regions)),
        unrolling=Unrolling(matrix=there.frame.matrix, frame=there.frame),
    )
