"""Error types.

A message states the problem, what was found and what was expected; a hint states what to do. `facts` are for programs
(they appear in the log and in results.json). Message and facts must not contain server paths or patient data.
"""

from __future__ import annotations

import re


class KneeError(Exception):
    """Base class of all errors raised deliberately."""

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts

    @property
    def code(self) -> str:
        """The error code for programs: `UnsafeArchive` -> `UNSAFE_ARCHIVE`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).upper()

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(KneeError):
    """Errors that the user can fix: another file, another series, another export."""


class UnreadableImage(InputError):
    """The file is damaged, or its content does not match its name."""


class NoImageSeries(InputError):
    """The upload contains no image series."""


class AmbiguousSeries(InputError):
    """There are several usable series; `facts["series"]` lists them."""


class TwoKnees(InputError):
    """There is more than one knee in the image; `facts["knees"]` lists them, and the option `knee` chooses one."""

    @property
    def knees(self) -> list[str]:
        """Their values of the option, from the patient's right to the left."""
        knees = self.facts.get("knees")
        return [str(item["knee"]) for item in knees] if isinstance(knees, list) else []


class UnsupportedImage(InputError):
    """A readable image that is not a 3D knee MRI (2D, too few slices, CT, colour)."""


class IncompleteSeries(InputError):
    """Slices are missing or duplicated, or have inconsistent geometry."""


class UnsafeArchive(InputError):
    """The archive tries to leave its folder, is encrypted, nested or far too large."""


class EmptyImage(InputError):
    """Every voxel has the same value: there is nothing to segment."""


class NotComparable(InputError):
    """Two analyses that cannot be aligned: no bone in common, or bones of two persons."""


class OptionsError(KneeError):
    """An option has a value outside its bounds."""


class ModelError(KneeError):
    """Errors that the operator can fix: weights, memory, device."""


class WeightsMissing(ModelError):
    """The chosen model has no weights installed."""


class WeightsCorrupt(ModelError):
    """The weights do not have the digest in their card, or cannot be loaded."""


class OutOfMemory(ModelError):
    """The server ran out of memory."""


class OutOfDisk(ModelError):
    """The server ran out of disk space."""


class AnalysisError(KneeError):
    """The analysis ran, but its result cannot be used."""


class EmptyStructure(AnalysisError):
    """A structure that a measure needs was not found in the segmentation."""


class ImplausibleAnatomy(AnalysisError):
    """The segmentation does not look like a knee."""


class SurfaceFailed(AnalysisError):
    """No closed surface of a structure could be built."""


class FitDiverged(AnalysisError):
    """A fit (alignment, T2, shape) did not converge."""
