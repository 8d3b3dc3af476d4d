"""3D pictures of the bones, coloured by cartilage thickness, in one row on a transparent PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.anatomy import TABLE_ORDER, Side, Structure
from pipeline.grid import FloatArray
from pipeline.parts import COMPUTED, Parts
from pipeline.quantities import THC
from pipeline.report.colours import BONE, GREYS, THICKNESS_RANGE_MM, VIRIDIS, thickness_rgb
from pipeline.report.meshes import BoneMap
from pipeline.report.raster import occlusion, rasterise
from pipeline.types import Alignment
from pipeline.uses import Uses

PIXELS_PER_MM: Final = 4.5
"""Resolution of the final picture, which pages show at half its size."""

SUPERSAMPLING: Final = 2
TALLEST_MM: Final = 84.0
"""A longer shaft is cut at this height, so that the joint fills the picture."""

MARGIN_PX: Final = 44
GAP_PX: Final = 36
CAPTION_PX: Final = 64
INK: Final = (126, 137, 148, 255)
"""Captions: legible on white and on black."""

LIGHT: Final = np.array([-0.42, 0.55, 0.72])
"""Direction to the light in (right, up, towards the viewer)."""

AO_RADIUS_MM: Final = 3.0
AO_REACH_MM: Final = 9.0
AO_DARKEST: Final = 0.55
"""Ambient occlusion: points 9 mm behind their 3 mm surroundings are 55 % darker."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One picture: a bone, and the directions `right` and `up` of the picture in the frame of the reference knee."""

    structure: Structure
    title: str
    right: tuple[int, int, int]
    up: tuple[int, int, int]


VIEWS: Final = (
    View(structure=Structure.FEMUR, title="Femur, from below", right=(1, 0, 0), up=(0, -1, 0)),
    View(structure=Structure.FEMUR, title="Femur, from the front", right=(1, 0, 0), up=(0, 0, 1)),
    View(structure=Structure.TIBIA, title="Tibia, from above", right=(-1, 0, 0), up=(0, -1, 0)),
    View(structure=Structure.PATELLA, title="Patella, from behind", right=(-1, 0, 0), up=(0, 0, 1)),
)
"""In the reference frame of a right knee (+x medial, +y posterior, +z superior); a left knee is shown mirrored."""

LETTERS: Final = (("M", "L"), ("P", "A"), ("S", "I"))
"""Names of the positive and negative direction of each axis of the reference frame."""


def camera_axes(view: View, alignment: Alignment) -> FloatArray:
    """(3, 3): rows right, up and towards the viewer as unit vectors in LPS."""
    linear = alignment.matrix[:3, :3]
    frame = linear / np.cbrt(abs(np.linalg.det(linear)))
    right, up = np.array(view.right, dtype=np.float64), np.array(view.up, dtype=np.float64)
    towards = np.cross(right, up)
    if alignment.side is Side.LEFT:
        # the reference frame mirrors a left knee; reversing `right` shows its true side
        right = np.where(np.arange(3) == 0, -right, right)
        towards = np.where(np.arange(3) == 0, -towards, towards)
    axes: FloatArray = np.stack([right, up, towards]) @ frame
    return axes


def render(
    bone: BoneMap, axes: FloatArray, pixels_per_mm: float, scale: Sequence[tuple[int, int, int]] = VIRIDIS
) -> NDArray[np.uint8]:
    """(rows, columns, 4) RGBA of a bone seen along -axes[2], its shaft cut at TALLEST_MM. scale: of thickness."""
    local = bone.surface.points_mm @ axes.T
    low, high = local[:, :2].min(axis=0), local[:, :2].max(axis=0)
    low, high = _cut_shaft(bone.surface.structure, low, high)
    shape = tuple(int(np.ceil(n * pixels_per_mm)) for n in (high - low)[::-1])
    points_px = np.stack([local[:, 0] - low[0], high[1] - local[:, 1]], axis=1) * pixels_per_mm
    seen = rasterise(points_px, local[:, 2], bone.surface.faces, (shape[0], shape[1]))
    shaded = thickness_rgb(bone.thickness_mm, scale) * _light(bone.surface.normals @ axes.T)[:, None]
    vertex = np.concatenate([shaded, local[:, 2:]], axis=1).astype(np.float32)
    corners = bone.surface.faces[seen.faces]
    weights = seen.weights.astype(np.float32)
    pixel = np.zeros((len(corners), 4), dtype=np.float32)
    for k in range(3):
        pixel += weights[:, k, None] * vertex[corners[:, k]]
    depth = np.full(shape[0] * shape[1], np.nan, dtype=np.float32)
    depth[seen.pixels] = pixel[:, 3]
    hidden = occlusion(depth.reshape(shape), AO_RADIUS_MM * pixels_per_mm, AO_REACH_MM).reshape(-1)[seen.pixels]
    picture = np.zeros((len(depth), 4), dtype=np.uint8)
    picture[seen.pixels, :3] = np.clip(pixel[:, :3] * (1.0 - AO_DARKEST * hidden[:, None]), 0, 255)
    picture[seen.pixels, 3] = 255
    return picture.reshape(*shape, 4)


def _cut_shaft(structure: Structure, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Keep the joint end of the bone if the picture would be taller than TALLEST_MM."""
    if high[1] - low[1] <= TALLEST_MM:
        return low, high
    if structure is Structure.TIBIA:
        return np.array([low[0], high[1] - TALLEST_MM]), high
    return low, np.array([high[0], low[1] + TALLEST_MM])


def _light(normals: FloatArray) -> FloatArray:
    """(k,) brightness: ambient, a light above on the left, and a weak one next to the viewer."""
    unit = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    lamp = np.clip(unit @ (LIGHT / np.linalg.norm(LIGHT)), 0.0, 1.0)
    return np.asarray(0.42 + 0.42 * lamp + 0.26 * np.clip(unit[:, 2], 0.0, 1.0))


def _tile(bone: BoneMap, axes: FloatArray, scale: Sequence[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """(rows, columns, 4) RGBA of one view at the final resolution."""
    image = Image.fromarray(render(bone, axes, PIXELS_PER_MM * SUPERSAMPLING, scale), "RGBA")
    return np.array(image.reduce(SUPERSAMPLING))


def write_thumbnails(
    bones: tuple[BoneMap, ...], alignment: Alignment, path: Path, uses: Uses, parts: Parts = COMPUTED
) -> None:
    """Write all VIEWS of existing bones at one scale, with direction letters, a colour bar and a scale bar.

    Thickness that must not be used is grey, and the reason is in the picture.
    """
    ban = uses.ban(THC, TABLE_ORDER)
    scale = GREYS if ban else VIRIDIS
    tiles = []
    for view in VIEWS:
        for bone in bones:
            if bone.surface.structure is view.structure:
                pixels = parts.value(_tile, bone, camera_axes(view, alignment), scale)
                tiles.append((view, Image.fromarray(pixels, "RGBA")))
    height = max((tile.height for _, tile in tiles), default=200)
    width = sum(tile.width for _, tile in tiles) + (2 * MARGIN_PX + GAP_PX) * len(tiles) + 200
    sheet = Image.new("RGBA", (width, height + 2 * MARGIN_PX + CAPTION_PX), (0, 0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    left = 0
    for view, tile in tiles:
        _place(sheet, draw, view, tile, left, height, alignment.side)
        left += tile.width + 2 * MARGIN_PX + GAP_PX
    _colour_bar(sheet, draw, left + 24, height, scale)
    draw.text((MARGIN_PX, 4), ban, fill=INK, font=ImageFont.load_default(28))
    sheet.save(path, compress_level=6)


def _place(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, view: View, tile: Image.Image, left: int, height: int, side: Side
) -> None:
    """One picture with its caption below and a letter on each edge."""
    top = MARGIN_PX + (height - tile.height) // 2
    sheet.paste(tile, (left + MARGIN_PX, top))
    middle_x, middle_y = left + MARGIN_PX + tile.width / 2, top + tile.height / 2
    mirrored = side is Side.LEFT and view.right[0] != 0
    right, start = _letters(view.right)[::-1] if mirrored else _letters(view.right)
    up, down = _letters(view.up)
    font = ImageFont.load_default(24)
    for letter, at in (
        (up, (middle_x, top - 22)),
        (down, (middle_x, top + tile.height + 22)),
        (start, (left + 20, middle_y)),
        (right, (left + tile.width + 2 * MARGIN_PX - 20, middle_y)),
    ):
        draw.text(at, letter, fill=INK, font=font, anchor="mm")
    caption = (middle_x, height + 2 * MARGIN_PX + CAPTION_PX // 2)
    draw.text(caption, view.title, fill=INK, font=ImageFont.load_default(28), anchor="mm")


def _letters(direction: tuple[int, int, int]) -> tuple[str, str]:
    """Letters of a direction along an axis of the reference frame and of its opposite."""
    axis = int(np.argmax(np.abs(direction)))
    positive, negative = LETTERS[axis]
    return (positive, negative) if direction[axis] > 0 else (negative, positive)


def _colour_bar(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    left: int,
    height: int,
    scale: Sequence[tuple[int, int, int]],
) -> None:
    """The thickness scale, the colour of bone, and a 20 mm scale bar."""
    low, high = THICKNESS_RANGE_MM
    length = min(height, 420)
    top = MARGIN_PX + (height - length) // 2
    ramp = thickness_rgb(np.repeat(np.linspace(high, low, length)[:, None], 28, axis=1).reshape(-1), scale)
    sheet.paste(Image.fromarray(ramp.reshape(length, 28, 3), "RGB"), (left, top))
    font = ImageFont.load_default(24)
    for value in range(int(low), int(high) + 1):
        y = top + length - (value - low) / (high - low) * length
        draw.text((left + 44, y), f"{value} mm" if value == int(high) else f"{value}", fill=INK, font=font, anchor="lm")
    draw.rectangle((left, top + length + 22, left + 28, top + length + 50), fill=(*BONE, 255))
    draw.text((left + 44, top + length + 36), "bone", fill=INK, font=font, anchor="lm")
    y = height + 2 * MARGIN_PX + CAPTION_PX // 2
    draw.line((left, y + 18, left + 20 * PIXELS_PER_MM, y + 18), fill=INK, width=4)
    draw.text((left + 10 * PIXELS_PER_MM, y - 4), "20 mm", fill=INK, font=font, anchor="mm")
