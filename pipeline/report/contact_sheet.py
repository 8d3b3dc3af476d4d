"""The contact sheet: slices through the joint with the outlines of the segmentation."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.anatomy import TISSUE_COLOURS, Structure
from pipeline.report.measured_knee import Shown
from pipeline.report.slices import Slice, slices

COLUMNS: Final = 4
TILE_PX: Final = 500
"""Longest edge of a tile; pages show the sheet at half its size."""

GAP_PX: Final = 8
LEGEND_PX: Final = 56
LINE_PX: Final = 2.6
FILL: Final = 0.6
"""Opacity of a structure without a scan below it."""

GREYS: Final = 48
"""Grey levels of the scan: sufficient for a visual check, with 1/3 of the size of 256 levels."""

MOST_BYTES: Final = 1_500_000

PNG_LEVEL: Final = 4
"""Level 6 takes three times as long and saves 6 %."""

INK: Final = (226, 232, 238)


def draw_slice(item: Slice, scale: float, window: tuple[float, float]) -> Image.Image:
    """A slice at `scale` pixels per mm; window: values shown as black and white."""
    rows, columns = item.labels.shape
    size = (max(round(columns * item.spacing_mm[1] * scale), 1), max(round(rows * item.spacing_mm[0] * scale), 1))
    canvas = np.zeros((size[1], size[0], 3), dtype=np.float32)
    if item.image is not None:
        grey = _resize(item.image, size, Image.Resampling.BICUBIC)
        shade = np.clip((grey - window[0]) / max(window[1] - window[0], 1e-6), 0.0, 1.0)
        canvas[:] = (np.rint(shade * (GREYS - 1)) * (255.0 / (GREYS - 1)))[..., None]
    for structure in Structure:
        mask = item.labels == structure
        if mask.any():
            inside = _resize(mask.astype(np.float32), size, Image.Resampling.BILINEAR)
            box = _box_around(inside)
            inside, part = inside[box], canvas[box]
            colour = np.array(TISSUE_COLOURS[structure.tissue], dtype=np.float32)
            if item.image is None:
                part += ((inside >= 0.5) * np.float32(FILL))[..., None] * (colour - part)
            part += outline(inside)[..., None] * (colour - part)
    return Image.fromarray(np.rint(np.clip(canvas, 0, 255)).astype(np.uint8), "RGB")


def _resize(array: NDArray[np.float32], size: tuple[int, int], how: Image.Resampling) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(array, dtype=np.float32)).resize(size, how))


def _box_around(inside: NDArray[np.float32]) -> tuple[slice, slice]:
    """The part of an array that is not 0, and two elements around it, so that its gradient is that of the whole."""
    some = [np.flatnonzero((inside != 0).any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(max(int(used[0]) - 2, 0), int(used[-1]) + 3) for used in some)
    return rows, columns


def outline(inside: NDArray[np.float32]) -> NDArray[np.float32]:
    """Opacity (rows, columns) of an antialiased line of LINE_PX where `inside` (0 to 1) crosses 0.5.

    The distance to the crossing is the offset of the value from 0.5 divided by its gradient: equivalent to the marching
    squares line of the interpolated mask, without tracing it.
    """
    down, right = np.gradient(inside)
    slope = np.hypot(down, right)
    distance = np.abs(inside - 0.5) / np.maximum(slope, 1e-6)
    return np.asarray(np.clip(LINE_PX / 2 + 0.5 - distance, 0.0, 1.0) * (slope > 1e-3), dtype=np.float32)


def write_contact_sheet(knee: Shown, path: Path) -> None:
    """The sheet as a palette PNG, COLUMNS tiles wide, all planes at the same scale, with a legend below."""
    _write(list(slices(knee)), knee, path)


def write_paired_sheet(outlines: Mapping[str, Shown], path: Path) -> None:
    """Every second slice, once for each segmentation of one knee, side by side; the first one decides the slices."""
    first = next(iter(outlines.values()))
    shown = [list(slices(knee, like=first))[1::2] for knee in outlines.values()]
    items = [
        replace(item, caption=f"{name}: {item.caption}")
        for tiles in zip(*shown, strict=True)
        for name, item in zip(outlines, tiles, strict=True)
    ]
    _write(items, first, path)


def _write(items: list[Slice], knee: Shown, path: Path) -> None:
    extents = [n * mm for item in items for n, mm in zip(item.labels.shape, item.spacing_mm, strict=True)]
    scale = TILE_PX / max(extents)
    window = grey_window([item.image for item in items if item.image is not None])
    tiles = [draw_slice(item, scale, window) for item in items]
    heights = [max(tile.height for tile in tiles[k : k + COLUMNS]) for k in range(0, len(tiles), COLUMNS)]
    width = COLUMNS * TILE_PX + (COLUMNS + 1) * GAP_PX
    sheet = Image.new("RGB", (width, sum(heights) + (len(heights) + 1) * GAP_PX + LEGEND_PX))
    draw = ImageDraw.Draw(sheet)
    top = GAP_PX
    for row, height in enumerate(heights):
        for column in range(COLUMNS):
            k = row * COLUMNS + column
            left = GAP_PX + column * (TILE_PX + GAP_PX)
            corner = (left + (TILE_PX - tiles[k].width) // 2, top + (height - tiles[k].height) // 2)
            sheet.paste(tiles[k], corner)
            annotate(draw, items[k], (left, top, left + TILE_PX, top + height))
        top += height + GAP_PX
    _legend(draw, sheet.height - LEGEND_PX // 2 - GAP_PX // 2, knee)
    path.write_bytes(palette_png(sheet))


def palette_png(sheet: Image.Image) -> bytes:
    """The sheet with as many colours as MOST_BYTES allows; very noisy scans get fewer."""
    data = b""
    for colours in (256, 96, 40, 20):
        stream = io.BytesIO()
        flat = sheet.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        flat.save(stream, "PNG", compress_level=PNG_LEVEL)
        data = stream.getvalue()
        if len(data) <= MOST_BYTES:
            break
    return data


def grey_window(images: list[NDArray[np.float32]]) -> tuple[float, float]:
    """The values shown as black and white."""
    if not images:
        return 0.0, 1.0
    values = np.concatenate([image[::2, ::2].reshape(-1) for image in images])
    low, high = np.percentile(values, (1.0, 99.6))
    return float(low), float(high)


def annotate(draw: ImageDraw.ImageDraw, item: Slice, box: tuple[int, int, int, int]) -> None:
    """Write the caption and the letters of the edges into a slice's box (left, top, right, bottom)."""
    left, top, right, bottom = box
    middle = ((left + right) // 2, (top + bottom) // 2)
    font = ImageFont.load_default(20)
    up, east, down, west = item.letters
    for letters, at, anchor in (
        (up, (middle[0], top + 6), "mt"),
        (east, (right - 8, middle[1]), "rm"),
        (down, (middle[0], bottom - 6), "mb"),
        (west, (left + 8, middle[1]), "lm"),
    ):
        draw.text(at, letters, fill=INK, font=font, anchor=anchor, stroke_width=3, stroke_fill=(0, 0, 0))
    draw.text(
        (left + 8, top + 6), item.caption, fill=INK, font=font, anchor="lt", stroke_width=3, stroke_fill=(0, 0, 0)
    )


def _legend(draw: ImageDraw.ImageDraw, y: int, knee: Shown) -> None:
    """A swatch for every tissue found, and an explanation of the directions."""
    font = ImageFont.load_default(22)
    present = {structure.tissue for structure in knee.segmentation.boxes}
    x = GAP_PX + 8
    for tissue, colour in TISSUE_COLOURS.items():
        if tissue in present:
            draw.rounded_rectangle((x, y - 9, x + 34, y + 9), radius=4, fill=colour)
            draw.text((x + 46, y), tissue.value, fill=INK, font=font, anchor="lm")
            x += 46 + round(draw.textlength(tissue.value, font=font)) + 40
    directions = "A anterior  P posterior  S superior  I inferior  R right  L left of the patient"
    note = f"{knee.alignment.side.value} knee · {directions}"
    right = COLUMNS * (TILE_PX + GAP_PX) - 8
    draw.text((right, y), note, fill=INK, font=font, anchor="rm")
