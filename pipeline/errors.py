"""Error types.

A message states the problem, what was found and what was expected; a hint states what to do. `facts` are for programs
(they appear in the log and in results.json). Message and facts must not contain server paths or patient data.
"""

from __future__ import annotations

import re
from typing import ClassVar


class KneeError(Exception):
    """Base class of all errors raised deliberately.

    next_step: the hint of a class, where an error of it is raised without one
    """

    next_step: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.next_step
        self.facts = facts

    @property
    def code(self) -> str:
        """The error code for programs: `UnsafeArchive` -> `UNSAFE_ARCHIVE`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).upper()

    @property
    def offers(self) -> dict[str, list[str]]:
        """Option -> values with which the analysis can be run again; empty for most errors."""
        return {}

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(KneeError):
    """Errors that the user can fix: another file, another series, another export."""


class UnreadableImage(InputError):
    """The file is damaged, or its content does not match its name."""

    next_step = "Export the scan again, and check that it opens in a viewer such as 3D Slicer or ITK-SNAP."


class NoImageSeries(InputError):
    """The upload contains no image series."""

    next_step = "Upload the images of one MR series of a knee."


class AmbiguousSeries(InputError):
    """There are several usable series; `facts["series"]` lists them."""

    next_step = "Upload the series to analyse alone."


class TwoKnees(InputError):
    """There is more than one knee in the image; `facts["knees"]` lists them, and the option `knee` chooses one."""

    next_step = "Choose one with the option knee (1 or 2)."

    @property
    def knees(self) -> list[str]:
        """Their values of the option, from the patient's right to the left."""
        knees = self.facts.get("knees")
        return [str(item["knee"]) for item in knees] if isinstance(knees, list) else []

    @property
    def offers(self) -> dict[str, list[str]]:
        return {"knee": self.knees}


class TurnedKnee(InputError):
    """The knee fits in another orientation than the header states; `facts["turn"]` is the option `turn` for it."""

    @property
    def offers(self) -> dict[str, list[str]]:
        return {"turn": [str(self.facts["turn"])]} if "turn" in self.facts else {}


class UnsupportedImage(InputError):
    """A readable image that is not a 3D knee MRI (2D, too few slices, CT, colour)."""

    next_step = "Upload a 3D MR series of one knee."


class IncompleteSeries(InputError):
    """Slices are missing or duplicated, or have inconsistent geometry."""

    next_step = "Export the whole series again."


class UnsafeArchive(InputError):
    """The archive tries to leave its folder, is encrypted, nested or far too large."""

    next_step = "Pack the files of the scan again as an ordinary zip."


class EmptyImage(InputError):
    """Every voxel has the same value: there is nothing to segment."""

    next_step = "Check the export: the voxels may have been lost."


class InvalidEdit(InputError):
    """A correction of outlines that cannot be applied, changes nothing, or leaves no bone to measure."""

    next_step = "Check the correction, and save it again."


class EditTooLarge(InputError):
    """A correction with more parts than the server accepts."""

    next_step = "Send a whole label map instead."


class NotComparable(InputError):
    """Analyses that cannot be aligned: no bone in common, or bones of two persons; visits that are no series."""

    next_step = "Compare analyses of the same person."


class OptionsError(KneeError):
    """An option has a value outside its bounds."""

    next_step = "Choose another value for this option."


class ModelError(KneeError):
    """Errors that the operator can fix: weights, memory, device."""


class WeightsMissing(ModelError):
    """The chosen model has no weights installed."""

    next_step = "Install the weights, or choose another model."


class WeightsCorrupt(ModelError):
    """The weights do not have the digest in their card, or cannot be loaded."""

    next_step = "Install the weights again, or choose another model."


class OutOfMemory(ModelError):
    """The server ran out of memory."""

    next_step = "Crop the scan to the knee, or use a machine with more memory."


class DeviceMissing(ModelError):
    """The device that the operator has set is missing, or no longer responds."""

    next_step = "Install onnxruntime-gpu instead of onnxruntime, with its CUDA libraries, or set DEVICE=cpu."


class OutOfDisk(ModelError):
    """The server ran out of disk space."""

    next_step = "Free disk space, then try again."


class AnalysisError(KneeError):
    """The analysis ran, but its result cannot be used."""


class CorrectionMissing(AnalysisError):
    """The corrected outlines of a version are missing or damaged."""

    next_step = "Correct the version before again."


class EmptyStructure(AnalysisError):
    """A structure that a measure needs was not found in the segmentation."""

    next_step = "Check that the scan shows a whole knee."


class ImplausibleAnatomy(AnalysisError):
    """The segmentation does not look like a knee."""

    next_step = "Check that the image shows a knee and that the orientation in the header is correct."


class SurfaceFailed(AnalysisError):
    """No closed surface of a structure could be built."""

    next_step = "Check the outlines; the structure may be too small."


class FitDiverged(AnalysisError):
    """A fit (alignment, T2, shape) did not converge."""

    next_step = "Check the outlines, then try again."
