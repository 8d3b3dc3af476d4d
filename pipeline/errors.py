"""What can go wrong, as types. A message says what, found, expected; a hint says what to do next.

`facts` are for programs (they stand in the log and in results.json); neither message nor facts ever hold a server path
or anything about the patient.
"""

from __future__ import annotations

import re


class KneeError(Exception):
    """Root of every error this product raises on purpose."""

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts

    @property
    def code(self) -> str:
        """The error's name for programs: `UnsafeArchive` -> `UNSAFE_ARCHIVE`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).upper()

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(KneeError):
    """The user can fix it: another file, another series, another export."""


class UnreadableImage(InputError):
    """The file is damaged, or is not what its name says."""


class NoImageSeries(InputError):
    """Nothing in the upload is an image series."""


class AmbiguousSeries(InputError):
    """More than one series could be meant; `facts["series"]` lists them."""


class UnsupportedImage(InputError):
    """A readable image that is not a 3D knee MRI (2D, too few slices, CT, colour)."""


class IncompleteSeries(InputError):
    """Slices are missing, doubled, or disagree in geometry."""


class UnsafeArchive(InputError):
    """The archive tries to leave its folder, is encrypted, nested or far too large."""


class EmptyImage(InputError):
    """Every voxel has the same value: there is nothing to segment."""


class NotComparable(InputError):
    """Two analyses that cannot be laid on each other: no bone in common, or bones of two persons."""


class OptionsError(KneeError):
    """An option has a value outside its bounds."""


class ModelError(KneeError):
    """The operator can fix it: weights, memory, device."""


class WeightsMissing(ModelError):
    """The chosen model has no weights installed."""


class WeightsCorrupt(ModelError):
    """The weights do not have the digest that their card names, or cannot be loaded."""


class OutOfMemory(ModelError):
    """The machine ran out of memory while working."""


class OutOfDisk(ModelError):
    """The machine ran out of room on its disk while working."""


class AnalysisError(KneeError):
    """The analysis ran, but its result cannot be used."""


class EmptyStructure(AnalysisError):
    """A structure that a measure needs was not found in the segmentation."""


class ImplausibleAnatomy(AnalysisError):
    """What was found does not look like a knee."""


class SurfaceFailed(AnalysisError):
    """No closed surface could be made of a structure."""


class FitDiverged(AnalysisError):
    """A fit (alignment, T2, shape) did not converge."""
