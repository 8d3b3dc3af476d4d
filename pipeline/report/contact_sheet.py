"""qc/overlay.png: slices through the joint with the outlines of what was found, as a radiologist expects to see them.

Sagittal: anterior left; coronal and axial: the patient's left on the right; superior or anterior on top. Orientation
comes from the grid's directions, so any storage order, handedness or obliquity is shown the right way round.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from pipeline.anatomy import CARTILAGE_OF, TISSUE_COLOURS, Side, Structure
from pipeline.grid import FloatArray, Grid
from pipeline.types import AnalysisResult, LabelArray, Scan

COLUMNS: Final = 4
TILE_PX: Final = 500
"""Longest edge of a tile; pages show the sheet at half its size."""

GAP_PX: Final = 8
LEGEND_PX: Final = 56
AROUND_JOINT_MM: Final = 14.0
"""Shown around the cartilage on every side."""

ENDS: Final = 0.06
"""The first and last slice stand this part of the joint's extent inside it."""

NEAR_MIDDLE: Final = 0.12
"""Part of the joint's extent on both sides of its middle that is neither called medial nor lateral."""

LINE_PX: Final = 2.6
FILL: Final = 0.6
"""Opacity of a structure where no scan lies under it."""

GREYS: Final = 48
"""Shades of the scan: enough for a check by eye, and a third of the bytes of 256."""

MOST_BYTES: Final = 1_500_000

SECOND_LETTER: Final = 0.35
"""An oblique edge gets a second letter from this direction cosine on (21 degrees), as in DICOM."""

LETTERS: Final = ("LR", "PA", "SI")
"""Positive and negative direction of each LPS axis."""

INK: Final = (176, 186, 196)


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A kind of slice: LPS axis of its normal, signed LPS axes (1 to 3) of the picture's right and down; slices."""

    title: str
    normal: int
    right: int
    down: int
    slices: int


PLANES: Final = (
    Plane(title="Sagittal", normal=0, right=2, down=-3, slices=8),
    Plane(title="Coronal", normal=1, right=1, down=-3, slices=4),
    Plane(title="Axial", normal=2, right=1, down=2, slices=4),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """One slice ready to be drawn: labels and image (rows, columns), millimetres of a row and of a column, letters."""

    labels: LabelArray
    image: NDArray[np.float32] | None
    spacing_mm: tuple[float, float]
    letters: tuple[str, str, str, str]
    caption: str


def axis_order(grid: Grid) -> tuple[int, int, int]:
    """Array axis that runs most nearly along the LPS axes x, y, z (each array axis once)."""
    cosines = np.abs(grid.direction[:, ::-1])
    best = max(permutations(range(3)), key=lambda order: sum(cosines[lps, axis] for lps, axis in enumerate(order)))
    return best[0], best[1], best[2]


def edge_letters(direction: FloatArray) -> str:
    """Where an LPS direction points: its letter, and a second one where it is markedly oblique."""
    ranked = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    chosen = [ranked[0]] + [axis for axis in ranked[1:2] if abs(direction[axis]) > SECOND_LETTER]
    return "".join(LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in chosen)


def slices(result: AnalysisResult) -> Iterator[Slice]:
    """Every slice of the sheet, plane by plane, spread evenly through the joint."""
    grid, labels = result.segmentation.grid, result.segmentation.labels
    bounds = _bounds(result)
    order = axis_order(grid)
    image = None if result.scan is None else result.scan.anatomical
    aligned = result.scan is not None and result.scan.grid.matches(grid)
    for plane in PLANES:
        axis = order[plane.normal]
        low, high = bounds[axis]
        margin = AROUND_JOINT_MM / grid.spacing_mm[axis]
        first, last = low + min(margin, (high - low) / 4), high - 1 - min(margin, (high - low) / 4)
        for part in np.linspace(ENDS, 1 - ENDS, plane.slices):
            index = round(first + part * (last - first))
            view = _view(grid, order, plane, bounds, index)
            flat = None
            if image is not None and result.scan is not None:
                flat = view.take(image) if aligned else _sample(result.scan, image, grid, view)
            yield Slice(
                labels=view.take(labels),
                image=flat,
                spacing_mm=view.spacing_mm,
                letters=view.letters,
                caption=f"{plane.title} {index + 1}/{grid.shape[axis]}" + _compartment(result, plane, axis, part),
            )


def _compartment(result: AnalysisResult, plane: Plane, axis: int, part: float) -> str:
    """Which side of the knee a sagittal slice shows; nothing near the middle."""
    if plane.normal != 0 or abs(part - 0.5) < NEAR_MIDDLE:
        return ""
    to_the_left = (part > 0.5) == (result.segmentation.grid.direction[0, 2 - axis] > 0)
    return " medial" if to_the_left == (result.alignment.side is Side.RIGHT) else " lateral"


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """How a slice is cut out of an array: `cut` selects, then the axes are swapped and turned."""

    cut: tuple[slice, slice, slice]
    normal: int
    swap: bool
    flips: tuple[int, int]
    spacing_mm: tuple[float, float]
    letters: tuple[str, str, str, str]

    def take(self, array: NDArray[Any]) -> NDArray[Any]:
        """(rows, columns) of the picture."""
        flat = array[self.cut].squeeze(axis=self.normal)
        return (flat.T if self.swap else flat)[:: self.flips[0], :: self.flips[1]]


def _view(grid: Grid, order: tuple[int, int, int], plane: Plane, bounds: NDArray[np.int64], index: int) -> _View:
    axes = {name: order[abs(signed) - 1] for name, signed in (("right", plane.right), ("down", plane.down))}
    cut = [slice(int(low), int(high)) for low, high in bounds]
    normal = order[plane.normal]
    cut[normal] = slice(index, index + 1)
    flips, directions = [], []
    for name, signed in (("down", plane.down), ("right", plane.right)):
        direction = grid.direction[:, 2 - axes[name]]
        turn = 1 if direction[abs(signed) - 1] * signed > 0 else -1
        flips.append(turn)
        directions.append(direction * turn)
    down, right = directions
    return _View(
        cut=(cut[0], cut[1], cut[2]),
        normal=normal,
        swap=axes["down"] > axes["right"],
        flips=(flips[0], flips[1]),
        spacing_mm=(grid.spacing_mm[axes["down"]], grid.spacing_mm[axes["right"]]),
        letters=(edge_letters(-down), edge_letters(right), edge_letters(down), edge_letters(-right)),
    )


def _sample(scan: Scan, image: NDArray[np.float32], grid: Grid, view: _View) -> NDArray[np.float32]:
    """The scan at the voxels of a slice of another grid, linearly interpolated."""
    index = np.meshgrid(*[np.arange(part.start, part.stop) for part in view.cut], indexing="ij")
    shape = index[0].shape
    at = scan.grid.to_index(grid.to_mm(np.stack([axis.reshape(-1) for axis in index], axis=1)))
    values = ndimage.map_coordinates(image, at.T, order=1, mode="constant", cval=0.0).reshape(shape)
    flat = values.squeeze(axis=view.normal)
    turned: NDArray[np.float32] = (flat.T if view.swap else flat)[:: view.flips[0], :: view.flips[1]]
    return turned


def _bounds(result: AnalysisResult) -> NDArray[np.int64]:
    """(3, 2): first and one past the last index to show along each array axis: the cartilage and its surroundings."""
    segmentation = result.segmentation
    plates = [plate for group in CARTILAGE_OF.values() for plate in group]
    shown = segmentation.mask(*plates)
    if not shown.any():
        shown = segmentation.labels > 0
    rows = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        used = np.flatnonzero(shown.any(axis=others))
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, segmentation.grid.shape[axis])
        margin = round(AROUND_JOINT_MM / segmentation.grid.spacing_mm[axis])
        rows.append((max(low - margin, 0), min(high + margin, segmentation.grid.shape[axis])))
    return np.array(rows, dtype=np.int64)


def draw_slice(item: Slice, scale: float, window: tuple[float, float]) -> Image.Image:
    """A slice at `scale` pixels a millimetre; window: values shown black and white."""
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
            colour = np.array(TISSUE_COLOURS[structure.tissue], dtype=np.float32)
            if item.image is None:
                canvas += ((inside >= 0.5) * np.float32(FILL))[..., None] * (colour - canvas)
            canvas += outline(inside)[..., None] * (colour - canvas)
    return Image.fromarray(np.rint(np.clip(canvas, 0, 255)).astype(np.uint8), "RGB")


def _resize(array: NDArray[np.float32], size: tuple[int, int], how: Image.Resampling) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(array, dtype=np.float32)).resize(size, how))


def outline(inside: NDArray[np.float32]) -> NDArray[np.float32]:
    """Opacity (rows, columns) of an antialiased line of LINE_PX where `inside` (0 to 1) crosses one half.

    The distance to the crossing is the value's offset from one half divided by its slope: the marching-squares line
    of the interpolated mask, without tracing it.
    """
    down, right = np.gradient(inside)
    slope = np.hypot(down, right)
    distance = np.abs(inside - 0.5) / np.maximum(slope, 1e-6)
    return np.asarray(np.clip(LINE_PX / 2 + 0.5 - distance, 0.0, 1.0) * (slope > 1e-3), dtype=np.float32)


def write_contact_sheet(result: AnalysisResult, path: Path) -> None:
    """The sheet as a palette PNG, COLUMNS tiles wide, every plane at the same scale, with a legend below."""
    items = list(slices(result))
    extents = [n * mm for item in items for n, mm in zip(item.labels.shape, item.spacing_mm, strict=True)]
    scale = TILE_PX / max(extents)
    window = _window([item.image for item in items if item.image is not None])
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
            _annotate(draw, items[k], (left, top, left + TILE_PX, top + height))
        top += height + GAP_PX
    _legend(draw, sheet.height - LEGEND_PX // 2 - GAP_PX // 2, result)
    path.write_bytes(_palette_png(sheet))


def _palette_png(sheet: Image.Image) -> bytes:
    """The sheet with as many colours as MOST_BYTES allow; a very noisy scan needs to give up some."""
    data = b""
    for colours in (256, 96, 40, 20):
        stream = io.BytesIO()
        flat = sheet.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        flat.save(stream, "PNG", optimize=True)
        data = stream.getvalue()
        if len(data) <= MOST_BYTES:
            break
    return data


def _window(images: list[NDArray[np.float32]]) -> tuple[float, float]:
    if not images:
        return 0.0, 1.0
    values = np.concatenate([image[::2, ::2].reshape(-1) for image in images])
    low, high = np.percentile(values, (1.0, 99.6))
    return float(low), float(high)


def _annotate(draw: ImageDraw.ImageDraw, item: Slice, box: tuple[int, int, int, int]) -> None:
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
        draw.text(at, letters, fill=INK, font=font, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
    draw.text(
        (left + 8, top + 6), item.caption, fill=INK, font=font, anchor="lt", stroke_width=2, stroke_fill=(0, 0, 0)
    )


def _legend(draw: ImageDraw.ImageDraw, y: int, result: AnalysisResult) -> None:
    """A swatch for every tissue that was found, and what the reader has to know about the sides."""
    font = ImageFont.load_default(22)
    present = {Structure(int(k)).tissue for k in np.unique(result.segmentation.labels) if k}
    x = GAP_PX + 8
    for tissue, colour in TISSUE_COLOURS.items():
        if tissue in present:
            draw.rounded_rectangle((x, y - 9, x + 34, y + 9), radius=4, fill=colour)
            draw.text((x + 46, y), tissue.value, fill=INK, font=font, anchor="lm")
            x += 46 + round(draw.textlength(tissue.value, font=font)) + 40
    note = f"{result.alignment.side.value} knee · A anterior  P posterior  S superior  I inferior  R right  L left of the patient"
    right = COLUMNS * (TILE_PX + GAP_PX) - 8
    draw.text((right, y), note, fill=INK, font=font, anchor="rm")
