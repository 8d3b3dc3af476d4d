"""The picture of the extrusion: for each meniscus, the coronal section through the middle of its tibial plate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from pipeline.anatomy import MENISCUS_ON, Region, Side, Structure
from pipeline.grid import FloatArray
from pipeline.menisci import Extrusion, columns_of, extrusion_of
from pipeline.parts import COMPUTED, Parts
from pipeline.plateau import MEDIAL, Plateau, plateau_of
from pipeline.quantities import MENISCUS_EXTRUSION, PRIMARY
from pipeline.report.contact_sheet import GAP_PX, annotate, draw_slice, grey_window, palette_png
from pipeline.report.measured_knee import Shown
from pipeline.report.slices import Slice

STEP_MM: Final = 0.25
BELOW_MM: Final = 14.0
ABOVE_MM: Final = 18.0
"""Extent of a section below and above the centre of both plates."""

INSIDE_MM: Final = 24.0
BEYOND_MM: Final = 12.0
"""Extent of a section inwards and outwards from the edge of the plate."""

PX_PER_MM: Final = 18.0
LINE_PX: Final = 4
LINE: Final = (255, 176, 0)


def write_extrusion(knee: Shown, path: Path, parts: Parts = COMPUTED) -> bool:
    """Write both sections next to each other; False (and no file) if no extrusion was measured.

    Plate's edge and reach of the meniscus are vertical lines, the distance is between them.
    """
    found = _sections(knee, parts)
    if not found:
        return False
    window = grey_window([item.image for item, _, _ in found if item.image is not None])
    tiles = [_drawn(item, extrusion, outwards, window) for item, extrusion, outwards in found]
    width = sum(tile.width for tile in tiles) + GAP_PX * (len(tiles) + 1)
    sheet = Image.new("RGB", (width, max(tile.height for tile in tiles) + 2 * GAP_PX))
    left = GAP_PX
    for tile in tiles:
        sheet.paste(tile, (left, GAP_PX))
        left += tile.width + GAP_PX
    path.write_bytes(palette_png(sheet))
    return True


def _sections(knee: Shown, parts: Parts) -> list[tuple[Slice, Extrusion, float]]:
    """Of each measured meniscus, in the order of the picture (the patient's left on the right)."""
    tibia = next(
        (m for m in knee.thickness if m.surface.structure is Structure.TIBIA and m.method is PRIMARY),
        None,
    )
    plateau = None if tibia is None else plateau_of(tibia, knee.alignment.side)
    if plateau is None:
        return []
    found = []
    for meniscus, region in MENISCUS_ON.items():
        if meniscus in knee.segmentation.boxes:
            extrusion = extrusion_of(columns_of(meniscus, knee.segmentation, plateau, parts), plateau, region)
            if extrusion is not None:
                found.append(_section(knee, plateau, meniscus, region, extrusion))
    return sorted(found, key=lambda section: section[2])


def _section(
    knee: Shown, plateau: Plateau, meniscus: Structure, region: Region, extrusion: Extrusion
) -> tuple[Slice, Extrusion, float]:
    """The labels and the scan along the medial and superior axes, and +1 if outwards is to the right, else -1."""
    medially = np.sign(plateau.points_mm[plateau.plate(region), MEDIAL].mean())
    to_the_right = 1.0 if knee.alignment.side is Side.RIGHT else -1.0
    outwards = float(medially * to_the_right)
    along = np.arange(extrusion.edge_mm - INSIDE_MM, extrusion.edge_mm + BEYOND_MM, STEP_MM)[:: int(outwards)]
    up = np.arange(ABOVE_MM, -BELOW_MM, -STEP_MM)
    place = np.stack(np.broadcast_arrays(medially * along[None, :], extrusion.middle_mm, up[:, None]), axis=-1)
    points = plateau.to_lps(place.reshape(-1, 3))
    shape = (len(up), len(along))
    segmentation = knee.segmentation
    labels = _at(segmentation.labels, segmentation.grid.to_index(points), 0).reshape(shape)
    image = None
    if knee.scan is not None:
        image = _at(knee.scan.anatomical, knee.scan.grid.to_index(points), 1).reshape(shape).astype(np.float32)
    value = f"{MENISCUS_EXTRUSION.format(extrusion.mm)} {MENISCUS_EXTRUSION.unit.symbol}"
    item = Slice(
        labels=labels,
        image=image,
        spacing_mm=(STEP_MM, STEP_MM),
        letters=("S", "L", "I", "R"),
        caption=f"{meniscus.title}: {value}",
    )
    return item, extrusion, outwards


def _at(values: NDArray[Any], index: FloatArray, order: int) -> NDArray[Any]:
    """(n,) values of an array at voxel indices (n, 3); 0 outside."""
    sampled: NDArray[Any] = ndimage.map_coordinates(values, index.T, order=order, mode="constant", cval=0)
    return sampled


def _drawn(item: Slice, extrusion: Extrusion, outwards: float, window: tuple[float, float]) -> Image.Image:
    tile = draw_slice(item, PX_PER_MM, window)
    draw = ImageDraw.Draw(tile)

    def column(outward_mm: float) -> float:
        beyond = (outward_mm - extrusion.edge_mm + INSIDE_MM) * PX_PER_MM
        return beyond if outwards > 0 else tile.width - beyond

    edge, reach = column(extrusion.edge_mm), column(extrusion.reach_mm)
    level = (ABOVE_MM - extrusion.height_mm) * PX_PER_MM
    for x in (edge, reach):
        draw.line((x, level - 5 * PX_PER_MM, x, level + 5 * PX_PER_MM), fill=LINE, width=LINE_PX)
    draw.line((edge, level, reach, level), fill=LINE, width=LINE_PX)
    annotate(draw, item, (0, 0, tile.width, tile.height))
    return tile
