"""From frames to one stack: choice of the series and of its slices, and rejection of inconsistent series."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Final

import numpy as np

from pipeline.errors import AmbiguousSeries, IncompleteSeries, NoImageSeries, UnsupportedImage
from pipeline.grid import FloatArray
from pipeline.image_io.dicom_echoes import without_jitter
from pipeline.image_io.dicom_files import Frame
from pipeline.image_io.dicom_kinds import parts_of
from pipeline.image_io.geometry import MIN_SLICES

SAME_ORIENTATION: Final = 2e-3
"""Maximum difference of a direction cosine within one stack (headers often have 4 decimals)."""

SCOUT_ANGLE_DEG: Final = 20.0
SCOUT_FOV_RATIO: Final = 1.2
"""Images of the same series tilted or scaled by more than this are localizers, not faulty slices."""

TILT_ANGLE_DEG: Final = 1.0
"""Two stacks of a series with a larger relative tilt that could each be a scan are separate scans."""

SAME_POSITION_MM: Final = 0.01

SEGMENTATION: Final = "SEG"
"""Modality code of DICOM segmentations: label maps, not scans."""

MOST_LISTED: Final = 30
"""Maximum number of series listed in a message."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames of one series that share orientation, spacing and matrix.

    kind: distinguishes it from other stacks of the same geometry, for example `water`; empty if there is no other
    """

    frames: list[Frame]
    kind: str = ""

    @property
    def first(self) -> Frame:
        return self.frames[0]

    @property
    def has_geometry(self) -> bool:
        return self.first.has_geometry

    @property
    def normal(self) -> FloatArray:
        """(3,) unit LPS."""
        orientation = self.first.orientation
        assert orientation is not None  # noqa: S101  # for mypy; callers check has_geometry
        cross: FloatArray = np.cross(orientation[:3], orientation[3:])
        return cross

    def heights_mm(self) -> FloatArray:
        """(n,) positions of the frames along the normal."""
        heights: FloatArray = np.array([frame.position for frame in self.frames], dtype=np.float64) @ self.normal
        return heights

    @property
    def slices(self) -> int:
        """Number of distinct positions; frames without geometry are counted individually."""
        if not self.has_geometry:
            return len(self.frames)
        heights = np.sort(self.heights_mm())
        return 1 + int((np.diff(heights) > SAME_POSITION_MM).sum())

    @property
    def echoes(self) -> int:
        return len({frame.echo for frame in self.frames})

    @property
    def usable(self) -> bool:
        """Whether this could be the scan: MR, greyscale, known geometry, enough slices."""
        return self.first.modality == "MR" and self.first.grey and self.has_geometry and self.slices >= MIN_SLICES

    def describe(self, label: str = "") -> str:
        """A line for a message, without patient data."""
        first, echoes = self.first, self.echoes
        size = f"{self.slices} x {first.rows} x {first.columns}"
        plural = "es" if echoes > 1 else ""
        plane = f" {self.plane}" if self.plane else ""
        kind = f", {self.kind}" if self.kind else ""
        name = f"{first.modality or 'unknown'} series {label or first.series_number}"
        return f"{name}: {size}{plane}, {echoes} echo{plural}{kind}"

    @property
    def plane(self) -> str:
        """The anatomical plane closest to the slices; empty without geometry."""
        return ("sagittal", "coronal", "axial")[int(np.abs(self.normal).argmax())] if self.has_geometry else ""

    def facts(self, label: str) -> dict[str, object]:
        """The same facts for programs; `series` is the value that selects it."""
        size = {"slices": self.slices, "rows": self.first.rows, "columns": self.first.columns}
        return {
            "series": label,
            **size,
            "plane": self.plane,
            "echoes": self.echoes,
            "kind": self.kind,
            "description": self.describe(label),
        }


def choose_stack(frames: list[Frame], series: str = "") -> tuple[Stack, tuple[str, ...]]:
    """The one stack of at least 10 slices, and warnings about excluded images.

    series: its name in the list of AmbiguousSeries; empty: the only one
    Raises NoImageSeries (also if none has the name), AmbiguousSeries, UnsupportedImage (not MR, colour, too few
    slices, no geometry), IncompleteSeries (a series with inconsistent slices).
    """
    frames, copies = _without_copies(frames)
    if not frames:
        raise NoImageSeries(
            "No DICOM image found; expected one MR series.", hint="Export the images of the knee series."
        )
    stacks = [stack for group in _by_series(frames) for stack in _split(group)]
    usable = [stack for stack in stacks if stack.usable]
    named = _named([stack for stack in usable if not stack.first.localizer] or usable)
    if not named:
        raise _why_none(stacks)
    if series:
        named = _only(named, series)
    for stack in named.values():
        _refuse_strays(stack, [other for other in stacks if other.first.series == stack.first.series])
    if len(named) > 1:
        raise AmbiguousSeries(
            f"{len(named)} usable series found ({_list(named)}); expected one with {MIN_SLICES} slices or more.",
            hint="Choose one with the option 'series', or upload only the series to analyse.",
            series=[stack.facts(label) for label, stack in named.items()],
        )
    chosen = next(iter(named.values()))
    left_out = sum(len(stack.frames) for stack in stacks) - len(chosen.frames)
    warnings = [f"{left_out} images of other stacks or series (such as localizers) were left out."] if left_out else []
    if copies:
        warnings.append(f"{copies} images were found twice; the copies were left out.")
    return chosen, tuple(warnings)


def _named(stacks: list[Stack]) -> dict[str, Stack]:
    """Stacks by name: the series number, with a letter if several have the same one."""
    ordered = sorted(stacks, key=lambda stack: (int(stack.first.series_number), stack.first.series))
    numbers = [stack.first.series_number for stack in ordered]
    return {
        number + ("" if numbers.count(number) == 1 else _letters(numbers[:k].count(number))): stack
        for k, (number, stack) in enumerate(zip(numbers, ordered, strict=True))
    }


def _letters(k: int) -> str:
    """0 -> a, 25 -> z, 26 -> aa."""
    rest, last = divmod(k, 26)
    return (_letters(rest - 1) if rest else "") + ascii_lowercase[last]


def _only(named: dict[str, Stack], series: str) -> dict[str, Stack]:
    """The one with this name. Raises NoImageSeries, AmbiguousSeries if several share the given number."""
    wanted = series.strip().lower()
    if wanted in named:
        return {wanted: named[wanted]}
    alike = {label: stack for label, stack in named.items() if stack.first.series_number == wanted}
    if len(alike) > 1:
        return alike
    raise NoImageSeries(
        f"There is no series {series} to analyse (found {_list(named)}).",
        hint="Choose one of those found with the option 'series'.",
        series=[stack.facts(label) for label, stack in named.items()],
    )


def _list(named: dict[str, Stack]) -> str:
    lines = [stack.describe(label) for label, stack in named.items()]
    more = [f"and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    return "; ".join(lines[:MOST_LISTED] + more)


def _without_copies(frames: list[Frame]) -> tuple[list[Frame], int]:
    """Frames without duplicates of the same instance, and the number of duplicates."""
    seen: dict[tuple[object, ...], Frame] = {}
    for frame in frames:
        place = None if frame.position is None else tuple(frame.position)
        key = (frame.instance or frame.path, frame.series, frame.number, place, frame.echo)
        seen.setdefault(key, frame)
    return list(seen.values()), len(frames) - len(seen)


def _by_series(frames: list[Frame]) -> list[list[Frame]]:
    series: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        series[frame.series].append(frame)
    return [series[uid] for uid in sorted(series)]


def _split(frames: list[Frame]) -> list[Stack]:
    """Stacks of frames with the same orientation, spacing and matrix, largest first."""
    stacks: list[Stack] = []
    for frame in frames:
        for stack in stacks:
            if _fits(frame, stack.first):
                stack.frames.append(frame)
                break
        else:
            stacks.append(Stack([frame]))
    parts = [part for stack in stacks for part in _parts(stack)]
    return sorted(parts, key=lambda stack: -len(stack.frames))


def _parts(stack: Stack) -> list[Stack]:
    """The stack split by kind of image, with echo times without jitter."""
    frames = without_jitter(stack.frames) if stack.has_geometry else stack.frames
    normal = stack.normal if stack.has_geometry else None
    return [Stack(group, kind) for kind, group in parts_of(frames, normal)]


def _fits(frame: Frame, other: Frame) -> bool:
    if (frame.rows, frame.columns, frame.grey, frame.inverted, frame.localizer) != (
        other.rows,
        other.columns,
        other.grey,
        other.inverted,
        other.localizer,
    ):
        return False
    if not (frame.has_geometry and other.has_geometry):
        return frame.has_geometry == other.has_geometry
    return bool(
        np.allclose(frame.orientation, other.orientation, rtol=0, atol=SAME_ORIENTATION)  # type: ignore[arg-type]
        and np.allclose(frame.spacing_mm, other.spacing_mm, rtol=1e-3, atol=0)  # type: ignore[arg-type]
    )


def _refuse_strays(main: Stack, stacks: list[Stack]) -> None:
    """Raise IncompleteSeries if the series contains images that are neither in the main stack nor a localizer."""
    for other in stacks:
        if other is main or _is_scout(other, main) or _is_choice(other, main):
            continue
        raise IncompleteSeries(
            f"Slices of the series disagree in orientation, spacing or matrix: {len(main.frames)} images are "
            f"{_describe_plane(main)}, {len(other.frames)} are {_describe_plane(other)}; expected all the same.",
            hint="Export the series again, without images of other series.",
        )


def _is_choice(stack: Stack, main: Stack) -> bool:
    """Whether a stack of the same series could also be the scan: another kind of image, or another orientation."""
    if not (stack.usable and main.usable):
        return False
    if stack.kind or main.kind:
        return True
    return bool(abs(float(stack.normal @ main.normal)) < np.cos(np.radians(TILT_ANGLE_DEG)))


def _is_scout(stack: Stack, main: Stack) -> bool:
    if stack.first.localizer != main.first.localizer or not stack.first.grey:
        return True
    if not stack.has_geometry:
        return False
    cosine = abs(float(stack.normal @ main.normal))
    if cosine < np.cos(np.radians(SCOUT_ANGLE_DEG)):
        return True
    ratio = _field_of_view(stack) / _field_of_view(main)
    return bool((ratio > SCOUT_FOV_RATIO).any() or (ratio < 1 / SCOUT_FOV_RATIO).any())


def _field_of_view(stack: Stack) -> FloatArray:
    spacing = stack.first.spacing_mm
    assert spacing is not None  # noqa: S101  # for mypy; callers check has_geometry
    size: FloatArray = spacing * np.array([stack.first.rows, stack.first.columns])
    return size


def _describe_plane(stack: Stack) -> str:
    first = stack.first
    size = f"{first.rows} x {first.columns}"
    if first.spacing_mm is None or first.orientation is None:
        return f"{size} without position or orientation"
    normal = ", ".join(f"{value:.3f}" for value in stack.normal)
    return f"{size} of {first.spacing_mm[0]:.4g} x {first.spacing_mm[1]:.4g} mm with normal ({normal})"


def _why_none(stacks: list[Stack]) -> NoImageSeries | UnsupportedImage | IncompleteSeries:
    """The most specific error if no stack is usable, based on the largest one."""
    magnetic = [stack for stack in stacks if stack.first.modality == "MR"]
    if not magnetic and any(stack.first.modality == SEGMENTATION for stack in stacks):
        return UnsupportedImage(
            "The file is a DICOM segmentation; expected an MR series as the scan.",
            hint="Measure a label map with the command line: --labels FILE, alone or with its scan.",
        )
    if not magnetic:
        found = ", ".join(sorted({stack.first.modality or "none" for stack in stacks}))
        return UnsupportedImage(
            f"Images are not MR (modality found: {found}); expected MR.", hint="Upload an MR series of a knee."
        )
    grey = [stack for stack in magnetic if stack.first.grey]
    if not grey:
        return UnsupportedImage(
            "Images are in colour; expected MR images in grey values.", hint="Upload the original images."
        )
    placed = [stack for stack in grey if stack.has_geometry]
    if not placed:
        return UnsupportedImage(
            "Images have no position, orientation or spacing; expected the original MR images.",
            hint="Screenshots and secondary captures cannot be measured.",
        )
    best = max(placed, key=lambda stack: stack.slices)
    together = sum(len(stack.frames) for stack in placed if stack.first.series == best.first.series)
    if together >= MIN_SLICES and together > len(best.frames):
        return IncompleteSeries(
            f"Series has {together} images, but only {best.slices} slices agree in orientation, spacing and matrix; "
            f"expected at least {MIN_SLICES}."
        )
    if len(stacks) > 1:
        found = "; ".join(stack.describe() for stack in stacks[:8])
        return NoImageSeries(
            f"No series has {MIN_SLICES} slices or more (found {found}).", hint="Export the whole series."
        )
    return UnsupportedImage(
        f"Series has too few slices ({best.slices} found); expected at least {MIN_SLICES}.",
        hint="Export the whole series, not a single picture.",
    )
