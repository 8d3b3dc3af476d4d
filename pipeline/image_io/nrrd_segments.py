"""Segments of a 3D Slicer segmentation (.seg.nrrd): their names, values and layers.

https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import structure_of
from pipeline.errors import UnsupportedImage
from pipeline.grid import Planes
from pipeline.image_io.nrrd import read_pairs

_KEY: Final = re.compile(r"Segment(\d{1,4})_(Name|LabelValue|Layer|Tags)")
_WHOLE_NUMBERS: Final = re.compile(r"-?\d{1,5}")
_REFERENCE: Final = re.compile(r"Reference image geometry\|((?:-?[\d.]{1,20}(?:e[+-]?\d{1,3})?;){22})")
"""A matrix of 16 numbers, then the first and last index along x, y and z."""

ASSUMED: Final = 10
"""Slices after the last one in the file, if the header does not state the size of the reference image."""

_TERMINOLOGY: Final = "TerminologyEntry:"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """name: as given by the user, or that of its terminology if only the latter is a known structure."""

    name: str
    value: int
    layer: int


def nrrd_segments(path: Path) -> tuple[Segment, ...]:
    """The segments that the header declares; empty for an ordinary NRRD file. Raises as `open_nrrd`."""
    found: dict[int, dict[str, str]] = {}
    for key, value in read_pairs(path).items():
        if match := _KEY.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = value
    return tuple(
        Segment(
            name=_name(entry.get("Name", ""), entry.get("Tags", "")),
            value=_count(entry.get("LabelValue", ""), number + 1),
            layer=_count(entry.get("Layer", ""), 0),
        )
        for number, entry in sorted(found.items())
    )


def left_out(path: Path, shape: tuple[int, int, int]) -> Planes:
    """Per axis (z, y, x), slices of the reference image before and after those in the file, whose size is `shape`.

    3D Slicer crops a segmentation to its segments when it saves it. The size of the reference image is not always in
    the header: then an axis that is cropped at its start is assumed to be cropped at the other end as well.
    """
    pairs = read_pairs(path)
    offsets = _WHOLE_NUMBERS.findall(pairs.get("Segmentation_ReferenceImageExtentOffset", ""))
    if len(offsets) != 3:
        return (0, 0), (0, 0), (0, 0)
    geometry = _REFERENCE.search(pairs.get("Segmentation_ConversionParameters", ""))
    extent = [int(float(word)) for word in geometry[1].split(";")[16:22]] if geometry else []
    found = []
    for k, (text, size) in enumerate(zip(offsets, reversed(shape), strict=True)):
        before = max(0, int(text))
        after = max(0, extent[2 * k + 1] - int(text) - size + 1) if len(extent) == 6 else ASSUMED * (before > 0)
        found.append((before, after))
    x, y, z = found
    return z, y, x


def merged(
    layers: Sequence[NDArray[np.uint16]], segments: Sequence[Segment]
) -> tuple[NDArray[np.uint16], dict[int, str], tuple[str, ...]]:
    """One label map (z, y, x) from the layers, label -> name, and warnings. A later layer covers an earlier one.

    A value that stands for different segments in two layers is replaced by an unused one.
    Raises UnsupportedImage if a segment names a layer that the file does not have.
    """
    if beyond := [segment.layer for segment in segments if segment.layer >= len(layers)]:
        raise UnsupportedImage(
            f"Segmentation names layer {max(beyond)}, but holds {len(layers)}; expected a segment per declared layer.",
            hint="Save the segmentation again.",
        )
    labels = np.zeros_like(layers[0])
    names: dict[int, str] = {}
    free = 1 + max([int(layer.max(initial=0)) for layer in layers] + [segment.value for segment in segments])
    used: set[int] = set()
    overlap = 0
    for number, layer in enumerate(layers):
        present = set(np.unique(layer).tolist()) - {0}
        # an empty segment can share its value with one in another layer, which must keep its name
        own = {item.value: item.name for item in segments if item.layer == number and item.value in present}
        shown = layer
        for value in sorted(present & used):
            shown = np.where(layer == value, np.uint16(free), shown)
            own[free] = own.pop(value, "")
            free += 1
        used |= present
        names |= {value: name for value, name in own.items() if name}
        overlap += int(((labels > 0) & (shown > 0)).sum())
        labels = np.where(shown > 0, shown, labels).astype(np.uint16)
    if not overlap:
        return labels, names, ()
    return labels, names, (f"{overlap:,} voxels belong to several segments; the segment of the last layer was used.",)


def _name(name: str, tags: str) -> str:
    if structure_of(name) is not None:
        return name
    words = _terminology(tags)
    return words if structure_of(words) is not None else name


def _terminology(tags: str) -> str:
    """The type and the anatomic region in the tags of a segment, as words: `Cartilage Femur`; empty if there are none.

    An entry is `context~category~type~modifier~context~region~modifier`; a concept is `scheme^code^meaning`.
    """
    entry = next((tag.removeprefix(_TERMINOLOGY) for tag in tags.split("|") if tag.startswith(_TERMINOLOGY)), "")
    concepts = [part.split("^")[-1] for part in entry.split("~")]
    return " ".join(concepts[place] for place in (2, 5) if place < len(concepts)).strip()


def _count(text: str, missing: int) -> int:
    return int(text) if re.fullmatch(r"\d{1,5}", text.strip()) else missing
