"""Flat maps as files: one npz and one CSV per bone, and one picture of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import PLATE_ON, REGION_SCHEME, SUBREGION_SCHEME, TABLE_ORDER, Scheme, Side
from pipeline.flat_maps.bone import FlatMap, flat_map
from pipeline.grid import FloatArray
from pipeline.parts import COMPUTED, Parts
from pipeline.quantities import PRIMARY, THC, Quantity
from pipeline.relaxation import RELAXATIONS
from pipeline.report.colours import GREYS, THICKNESS_RANGE_MM, VIRIDIS
from pipeline.report.flat_map_picture import Layer, draw_flat_maps
from pipeline.report.measured_knee import Shown
from pipeline.results_tree import FLAT_MAP, FLAT_MAP_TABLE, FLAT_MAPS_PICTURE
from pipeline.t2.on_surface import t2_on_surface
from pipeline.types import LabelArray, ThicknessMap
from pipeline.uses import Uses


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """A quantity with a value at every point. name: of its column; title: in the picture; ends: of its colours."""

    name: str
    title: str
    quantity: Quantity
    ends: tuple[float, float]


THICKNESS: Final = Mapped(name="thickness_mm", title="Thickness", quantity=THC, ends=THICKNESS_RANGE_MM)
LAYERS: Final = {
    layer.id: Mapped(name=f"{layer.id.lower()}_ms", title=layer.short, quantity=layer, ends=known.surface_ms)
    for known in RELAXATIONS
    for layer in (known.deep, known.superficial)
}
MAPPED: Final = (THICKNESS, *LAYERS.values())


def write_flat_maps(knee: Shown, files_dir: Path, parts: Parts = COMPUTED) -> None:
    """Of every bone with cartilage that fits the reference. Raises OSError if a file cannot be written."""
    maps = knee_maps(knee, parts)
    for item in maps:
        bone = item.structure.key
        parts.file(_write_arrays, FLAT_MAP.target(files_dir, bone=bone), item, knee.alignment.side)
        parts.file(_write_table, FLAT_MAP_TABLE.target(files_dir, bone=bone), item)
    if maps:
        parts.file(draw_flat_maps, FLAT_MAPS_PICTURE.target(files_dir), maps, _layers(maps, knee))


def _write_arrays(path: Path, item: FlatMap, side: Side) -> None:
    np.savez_compressed(path, allow_pickle=False, **map_arrays(item, side))


def _write_table(path: Path, item: FlatMap) -> None:
    path.write_text(map_table(item), encoding="utf-8", newline="\n")


def knee_maps(knee: Shown, parts: Parts = COMPUTED) -> tuple[FlatMap, ...]:
    """The flat maps of a knee, in the order of the bones."""
    of_bones = (item for item in knee.thickness if item.method is PRIMARY)
    maps = (parts.value(flat_map, item, knee.alignment, dict(_values(item, knee))) for item in of_bones)
    return tuple(item for item in maps if item is not None)


def _values(item: ThicknessMap, knee: Shown) -> Iterator[tuple[str, FloatArray]]:
    yield THICKNESS.name, item.thickness_mm
    if knee.t2 is not None:
        found = t2_on_surface(item.surface, item.thickness_mm, knee.t2, knee.subregions)
        shown = knee.t2.relaxation
        yield LAYERS[shown.deep.id].name, found.deep
        yield LAYERS[shown.superficial.id].name, found.superficial


def axis_names(item: FlatMap) -> tuple[str, str]:
    """Of columns and rows: `medial_mm`, `anterior_deg`."""
    return "medial_mm", f"{item.frame.upwards[0]}_{item.frame.unit}"


def map_arrays(item: FlatMap, side: Side) -> Mapping[str, NDArray[np.generic]]:
    """The content of an npz; docs/reference/flat-maps.md explains it."""
    across, up = axis_names(item)
    cells, there = item.cells, item.reference
    return {
        across: cells.across,
        up: cells.up,
        "area_mm2": cells.area_mm2.astype(np.float32),
        **{name: values.astype(np.float32) for name, values in item.values.items()},
        "region": item.region,
        "subregion": item.subregion,
        "vertex": cells.vertex,
        "reference_points_mm": there.surface.points_mm.astype(np.float32),
        "reference_region": there.region,
        "reference_subregion": there.subregion,
        "reference_vertex": item.vertex,
        **{f"reference_{name}": values.astype(np.float32) for name, values in item.at_reference.items()},
        "lps_to_reference": item.pose.matrix,
        "reference_to_map": item.frame.matrix,
        "radius_mm": np.array(np.nan if item.frame.radius_mm is None else item.frame.radius_mm),
        "scale": np.array(item.scale),
        "residual_mm": np.array(item.pose.residual_mm),
        "outside_mm2": np.array(cells.outside_mm2),
        "side": np.array(side.value),
    }


def map_table(item: FlatMap) -> str:
    """CSV: one line per cell with bone, from the lowest row, each from lateral to medial. Empty: no value."""
    rows, columns = np.nonzero(item.cells.area_mm2 > 0)
    plate = PLATE_ON[item.structure]
    names = [_names(scheme, plate, labels[rows, columns]) for scheme, labels in _labels(item)]
    texts = [
        _texts(item.cells.across[columns], 2),
        _texts(item.cells.up[rows], 2),
        _texts(item.cells.area_mm2[rows, columns], 4),
        *(_texts(values[rows, columns], 3) for values in item.values.values()),
        *names,
    ]
    head = (*axis_names(item), "area_mm2", *item.values, REGION_SCHEME.id, SUBREGION_SCHEME.id)
    return "\n".join([",".join(head), *map(",".join, zip(*texts, strict=True)), ""])


def _labels(item: FlatMap) -> tuple[tuple[Scheme, LabelArray], ...]:
    return (REGION_SCHEME, item.region), (SUBREGION_SCHEME, item.subregion)


def _names(scheme: Scheme, plate: str, labels: LabelArray) -> list[str]:
    """Names of regions as in the tables; empty for none."""
    known = {region.label: region.name for region in scheme.numbered if region.plate == plate}
    return [known.get(label, "") for label in labels.tolist()]


def _texts(values: FloatArray, digits: int) -> list[str]:
    return ["" if value != value else f"{value:.{digits}f}" for value in values.tolist()]


def _layers(maps: tuple[FlatMap, ...], knee: Shown) -> tuple[Layer, ...]:
    uses, layers = Uses(flags=knee.flags), []
    for mapped in MAPPED:
        if any(mapped.name in item.values for item in maps):
            ban = uses.ban(mapped.quantity, TABLE_ORDER)
            layers.append(
                Layer(
                    name=mapped.name,
                    title=mapped.title,
                    unit=mapped.quantity.unit.symbol,
                    ends=mapped.ends,
                    colours=GREYS if ban else VIRIDIS,
                    note=ban,
                    gaps=any((np.isnan(item.values[mapped.name]) & (item.cells.area_mm2 > 0)).any() for item in maps),
                )
            )
    return tuple(layers)
