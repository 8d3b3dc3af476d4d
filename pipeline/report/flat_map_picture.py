"""Flat maps as one picture on a transparent PNG: a row for each quantity, a column for each bone, all at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.flat_maps.bone import FlatMap
from pipeline.flat_maps.frame import DEGREES
from pipeline.grid import FloatArray
from pipeline.report.colours import BONE, value_rgb
from pipeline.report.thumbnails import INK
from pipeline.types import LabelArray

T = TypeVar("T", bound=np.generic)

PIXELS_PER_MM: Final = 6.0
"""Pages show the picture at half its size."""

MARGIN_MM: Final = 4.0
"""Around the plate of the reference, which every picture shows, so that pictures of knees lie on one another."""

SIDE_PX: Final = 116
TOP_PX: Final = 40
CAPTION_PX: Final = 52
NOTE_PX: Final = 44
"""Above each row, if a quantity must not be used."""

BAR_PX: Final = 276
TICK_DEG: Final = 30.0
BORDERS: Final = ((255, 255, 255), (24, 28, 32))
"""On dark and on bright colours."""

BRIGHT: Final = 150.0
"""Mean of red, green and blue of a bright colour."""

LINES_PX: Final = (3, 1)
"""Width of the borders of regions and of subregions."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One quantity.

    name: in FlatMap.values; ends: of the scale of colours; note: why it must not be used, or empty; gaps: whether there
    are cells without a value
    """

    name: str
    title: str
    unit: str
    ends: tuple[float, float]
    colours: Sequence[tuple[int, int, int]]
    note: str = ""
    gaps: bool = False


@dataclass(frozen=True, kw_only=True)
class Window:
    """The cells that are shown: first and last row and column, the last one excluded."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    def of(self, values: NDArray[T]) -> NDArray[T]:
        """The part of (r, c) values, first row on top."""
        return values[slice(*self.rows), slice(*self.columns)][::-1]


def window_of(item: FlatMap) -> Window:
    """Around the plate of the reference, and larger where the knee's own plate is."""
    there, cells = item.reference, item.cells
    places = item.frame.coordinates(there.surface.points_mm[np.isfinite(there.thickness_mm)])
    rows, columns = np.nonzero(cells.area_mm2 > 0)
    ends = []
    for axis, at, own, margin in (
        (cells.up, rows, 1, MARGIN_MM / item.frame.mm_per_unit),
        (cells.across, columns, 0, MARGIN_MM),
    ):
        low, high = np.searchsorted(axis, [places[:, own].min() - margin, places[:, own].max() + margin])
        ends.append((max(0, min(int(low), int(at.min()) - 1)), min(len(axis), max(int(high), int(at.max()) + 2))))
    return Window(rows=ends[0], columns=ends[1])


def draw_flat_maps(path: Path, maps: tuple[FlatMap, ...], layers: tuple[Layer, ...]) -> None:
    """Write the picture. Raises OSError if it cannot be written."""
    windows = [window_of(item) for item in maps]
    tiles = [[draw_map(item, window, layer) for item, window in zip(maps, windows, strict=True)] for layer in layers]
    widths = [tile.width for tile in tiles[0]]
    height = max(tile.height for tile in tiles[0])
    note_px = NOTE_PX if any(layer.note for layer in layers) else 0
    row_px = note_px + height + 2 * TOP_PX + CAPTION_PX
    size = sum(widths) + 2 * SIDE_PX * len(widths) + BAR_PX, row_px * len(layers)
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    for row, (layer, line) in enumerate(zip(layers, tiles, strict=True)):
        left = SIDE_PX
        for item, window, tile in zip(maps, windows, line, strict=True):
            top = row * row_px + note_px + TOP_PX + (height - tile.height) // 2
            sheet.paste(tile, (left, top))
            _letters(draw, item, (left, top, left + tile.width, top + tile.height))
            if item.frame.unit == DEGREES:
                _angles(draw, item, window, left, (top, tile.height))
            caption = (left + tile.width / 2, (row + 1) * row_px - CAPTION_PX / 2)
            draw.text(caption, item.structure.title, fill=INK, font=_font(28), anchor="mm")
            left += tile.width + 2 * SIDE_PX
        _bar(sheet, draw, layer, (left - SIDE_PX // 2, row * row_px + note_px + TOP_PX, height), maps[0].scale)
        draw.text((SIDE_PX, row * row_px + 2), layer.note, fill=INK, font=_font(28))
    sheet.save(path, compress_level=6)


def draw_map(item: FlatMap, window: Window, layer: Layer) -> Image.Image:
    """RGBA of one map at PIXELS_PER_MM, with the borders of both schemes; transparent outside the plate."""
    inside = window.of(item.cells.area_mm2) > 0
    size = _size(item, inside.shape)
    values = window.of(item.values[layer.name])
    rgb = value_rgb(values.reshape(-1), layer.ends, layer.colours, BONE).reshape(*values.shape, 3)
    cells = np.concatenate([rgb, np.where(inside, 255, 0)[..., None].astype(np.uint8)], axis=2)
    picture = np.array(Image.fromarray(cells, "RGBA").resize(size, Image.Resampling.NEAREST))
    bright = picture[..., :3].mean(axis=2) > BRIGHT
    for labels, width in zip((item.subregion, item.region), LINES_PX[::-1], strict=True):
        border = _border(_enlarged(window.of(labels), size), width)
        picture[border, :3] = np.where(bright[border, None], BORDERS[1], BORDERS[0])
    return Image.fromarray(picture, "RGBA")


def _size(item: FlatMap, shape: tuple[int, ...]) -> tuple[int, int]:
    """(columns, rows) in pixels: true lengths along the cylinder or in the plane."""
    across = item.cells.across[1] - item.cells.across[0]
    up = (item.cells.up[1] - item.cells.up[0]) * item.frame.mm_per_unit
    return round(shape[1] * across * PIXELS_PER_MM), round(shape[0] * up * PIXELS_PER_MM)


def _enlarged(labels: NDArray[np.generic], size: tuple[int, int]) -> LabelArray:
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint8), "L").resize(size, Image.Resampling.NEAREST)
    return np.array(image)


def _border(labels: LabelArray, width: int) -> NDArray[np.bool_]:
    """Pixels with two regions around them, not with the outside."""
    found = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        for step in range(-(width // 2), width // 2 + 1) if width > 1 else (1,):
            beside = np.roll(labels, step, axis=axis)
            found |= (labels != beside) & (labels > 0) & (beside > 0)
    return found


def _letters(draw: ImageDraw.ImageDraw, item: FlatMap, box: tuple[int, int, int, int]) -> None:
    """Lateral and medial on the sides, the ends of the second coordinate above and below."""
    left, top, right, bottom = box
    middle = (left + right) / 2, (top + bottom) / 2
    up, down = (word[0].upper() for word in item.frame.upwards)
    for letter, at in (
        ("L", (left - 16, middle[1])),
        ("M", (right + 18, middle[1])),
        (up, (middle[0], top - 16)),
        (down, (middle[0], bottom + 16)),
    ):
        draw.text(at, letter, fill=INK, font=_font(24), anchor="mm")


def _angles(draw: ImageDraw.ImageDraw, item: FlatMap, window: Window, left: int, place: tuple[int, int]) -> None:
    """Marks every TICK_DEG on the left. place: top and height of the map in pixels."""
    up, step = item.cells.up, item.cells.up[1] - item.cells.up[0]
    low, high = up[window.rows[0]] - step / 2, up[window.rows[1] - 1] + step / 2
    for angle in np.arange(np.ceil(low / TICK_DEG) * TICK_DEG, high, TICK_DEG):
        y = place[0] + place[1] * (high - angle) / (high - low)
        draw.line((left - 46, y, left - 36, y), fill=INK, width=2)
        draw.text((left - 52, y), f"{angle:.0f}°", fill=INK, font=_font(20), anchor="rm")


def _bar(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, layer: Layer, place: tuple[int, int, int], scale: float
) -> None:
    """The scale of colours and 20 mm of the knee. place: left, top and height of the space in pixels; scale: of the map
    against the knee.
    """
    left, top, height = place
    length = min(height - 140, 380)
    top += (height - length - 60) // 2
    low, high = layer.ends
    ramp: FloatArray = np.repeat(np.linspace(high, low, length)[:, None], 28, axis=1).reshape(-1)
    colours = value_rgb(ramp, layer.ends, layer.colours, BONE).reshape(length, 28, 3)
    sheet.paste(Image.fromarray(colours, "RGB"), (left, top))
    for value in np.linspace(low, high, 6):
        y = top + length * (high - value) / (high - low)
        draw.text((left + 42, y), f"{value:g}", fill=INK, font=_font(24), anchor="lm")
    if layer.gaps:
        draw.rectangle((left, top + length + 14, left + 28, top + length + 42), fill=(*BONE, 255))
        draw.text((left + 42, top + length + 28), "no value", fill=INK, font=_font(24), anchor="lm")
    draw.text((left, top - 34), f"{layer.title} ({layer.unit})", fill=INK, font=_font(24), anchor="lm")
    y = top + length + 92
    width = 20 * scale * PIXELS_PER_MM
    draw.line((left, y, left + width, y), fill=INK, width=4)
    draw.text((left + width / 2, y - 16), "20 mm", fill=INK, font=_font(22), anchor="mm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
