"""Reads sequence, acquisition and side from a DICOM header; other attributes are never parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from pydicom.dataset import Dataset

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side

_GE_CREATOR: Final = (0x0019, 0x0010)
_GE_PULSE_SEQUENCE: Final = (0x0019, 0x109C)
_GE_SPOILER_AREA: Final = (0x0019, 0x10B6)
_GE_SPOILER_DURATION: Final = (0x0019, 0x10B7)

MEANING_TAGS: Final[list[str | tuple[int, int]]] = [
    "Manufacturer",
    "ScanningSequence",
    "MRAcquisitionType",
    "SequenceName",
    "PulseSequenceName",
    "EchoPulseSequence",
    "EchoTrainLength",
    "RepetitionTime",
    "FlipAngle",
    "MagneticFieldStrength",
    "Laterality",
    "ImageLaterality",
    "BodyPartExamined",
    "SeriesDescription",
    "ProtocolName",
    _GE_CREATOR,
    _GE_PULSE_SEQUENCE,
    _GE_SPOILER_AREA,
    _GE_SPOILER_DURATION,
]

_DESS_NAMES: Final = re.compile(r"DESS|DE3D", re.IGNORECASE)
"""GE names the sequence (q)DESS; Siemens names it `*de3d1`."""

_SPIN_LOCK: Final = re.compile(r"T1[\s_-]*RHO|T1R(?![A-Z])|SPIN[\s_-]*LOCK|CUBE[\s_-]*QUANT|MAPSS", re.IGNORECASE)
"""Names of T1rho sequences. GE writes their spin-lock times as echo times; other scanners write none."""

_SIDE_WORDS: Final = {"RIGHT": Side.RIGHT, "RT": Side.RIGHT, "LEFT": Side.LEFT, "LT": Side.LEFT}
_BESIDE_KNEE: Final = {"R": Side.RIGHT, "L": Side.LEFT}
_TAG_SIDES: Final = {"R": Side.RIGHT, "L": Side.LEFT}


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Header data of one frame other than geometry; a side is None if the header names none or both."""

    manufacturer: str
    families: frozenset[str]
    three_dimensional: bool
    pulse_sequence: str
    echo_train: int
    acquisition: Acquisition
    tag_side: Side | None
    text_side: Side | None


def read_meaning(data: Dataset, groups: tuple[Dataset, ...]) -> Meaning:
    """From a data set and, in an enhanced file, the per-frame and shared functional groups."""
    layers = [data, *(group[name][0] for name in _TIMING_GROUPS for group in groups if group.get(name))]
    families = {word.upper() for word in _texts(layers, "ScanningSequence")}
    families |= {
        {"SPIN": "SE", "GRADIENT": "GR"}.get(word.upper(), word) for word in _texts(layers, "EchoPulseSequence")
    }
    names = [*_texts(layers, "SequenceName"), *_texts(layers, "PulseSequenceName")]
    creator = data.get(_GE_CREATOR)
    ge_acquisition = creator is not None and _decoded(creator.value) == "GEMS_ACQU_01"
    if ge_acquisition and _GE_PULSE_SEQUENCE in data:
        names.append(_decoded(data[_GE_PULSE_SEQUENCE].value))
    described = " / ".join(text for name in _TEXT_TAGS for text in _texts(layers, name))
    sides = [_TAG_SIDES.get(word.upper()) for name in _SIDE_TAGS for word in _texts(layers, name)]
    return Meaning(
        manufacturer=" ".join(_texts(layers, "Manufacturer")).upper(),
        families=frozenset(families),
        three_dimensional="3D" in _texts(layers, "MRAcquisitionType"),
        pulse_sequence=" ".join(names),
        echo_train=int(_number(layers, "EchoTrainLength") or 1),
        acquisition=Acquisition(
            repetition_time_ms=_number(layers, "RepetitionTime"),
            flip_angle_deg=_number(layers, "FlipAngle"),
            field_strength_t=_number(layers, "MagneticFieldStrength"),
            spoiler_gradient_area=_private(data, _GE_SPOILER_AREA) if ge_acquisition else None,
            spoiler_duration_us=_private(data, _GE_SPOILER_DURATION) if ge_acquisition else None,
            spin_lock=_SPIN_LOCK.search(" / ".join([described, *names])) is not None,
        ),
        tag_side=sides[0] if len(set(sides)) == 1 else None,
        text_side=side_in_text(described),
    )


_TIMING_GROUPS: Final = ("MRTimingAndRelatedParametersSequence", "MRPulseSequence", "FrameAnatomySequence")
_SIDE_TAGS: Final = ("Laterality", "ImageLaterality", "FrameLaterality")
_TEXT_TAGS: Final = ("SeriesDescription", "ProtocolName", "BodyPartExamined")


def side_in_text(text: str) -> Side | None:
    """The side that a description names as a whole word (RIGHT, RT, LEFT, LT; R or L next to KNEE); None if there is
    not exactly one.
    """
    parts = [part for part in re.split(r"[^A-Z]+", text.upper()) if part]
    found = {_SIDE_WORDS[part] for part in parts if part in _SIDE_WORDS}
    for first, second in pairwise(parts):
        if "KNEE" in (first, second):
            found |= {_BESIDE_KNEE[part] for part in (first, second) if part in _BESIDE_KNEE}
    return found.pop() if len(found) == 1 else None


def header_side(meanings: list[Meaning]) -> Side | None:
    """The side on which all frames agree: from laterality tags, else from descriptions; None if none or both."""
    for sides in ({m.tag_side for m in meanings}, {m.text_side for m in meanings}):
        named = sides - {None}
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def guess_sequence(meaning: Meaning, echoes: int) -> PulseSequence:
    """The pulse sequence, from attributes written by the scanner, not from the protocol name."""
    spin, gradient = "SE" in meaning.families, "GR" in meaning.families
    if _DESS_NAMES.search(meaning.pulse_sequence):
        return PulseSequence.QDESS if echoes == 2 else PulseSequence.DESS
    if gradient and not spin:
        ge = meaning.manufacturer.startswith("GE")
        return PulseSequence.QDESS if ge and echoes == 2 and meaning.three_dimensional else PulseSequence.GRADIENT_ECHO
    if spin and not gradient:
        # two echoes of a long train are proton density and T2 weighting of a turbo spin echo, not a decay curve
        decay = echoes > 2 or (echoes == 2 and meaning.echo_train <= 2)
        return PulseSequence.MULTI_ECHO_SPIN_ECHO if decay else PulseSequence.SPIN_ECHO
    return PulseSequence.UNKNOWN


def acquisition(meaning: Meaning, sequence: PulseSequence) -> Acquisition:
    """The parameters; GE's private ones only for qDESS (in other sequences these tags have another meaning)."""
    found = meaning.acquisition
    if sequence is PulseSequence.QDESS:
        return found
    return Acquisition(
        repetition_time_ms=found.repetition_time_ms,
        flip_angle_deg=found.flip_angle_deg,
        field_strength_t=found.field_strength_t,
        spin_lock=found.spin_lock,
    )


def _texts(layers: list[Dataset], name: str) -> list[str]:
    """The non-empty values of an attribute in any layer."""
    values: list[str] = []
    for layer in layers:
        value = layer.get(name)
        if value is not None:
            values += [str(value)] if isinstance(value, str) else [str(v) for v in _listed(value)]
    return [value.strip() for value in values if value.strip()]


def _listed(value: Any) -> list[Any]:
    return list(value) if hasattr(value, "__iter__") else [value]


def _number(layers: list[Dataset], name: str) -> float | None:
    texts = _texts(layers, name)
    return float(texts[0]) if texts else None


def _private(data: Dataset, tag: tuple[int, int]) -> float | None:
    """A private number, which may be stored as text with an unknown value representation."""
    if tag not in data:
        return None
    value = data[tag].value
    try:
        return float(_decoded(_listed(value)[0] if not isinstance(value, (bytes, str)) else value))
    except (ValueError, IndexError):
        return None


def _decoded(value: Any) -> str:
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip(" \0")
