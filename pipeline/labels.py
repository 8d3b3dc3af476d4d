"""Conversion of existing label maps from their numbering to ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from pipeline.anatomy import AUTO, CARTILAGE_OF, NAMES, NUMBERINGS, Numbering, Structure, named_numbering
from pipeline.errors import EmptyImage, UnsupportedImage
from pipeline.file_kinds import either
from pipeline.flags import FlagCode, QualityFlag
from pipeline.grid import Grid
from pipeline.label_anatomy import LabelFacts, contradictions, fitting, label_facts
from pipeline.label_grid import on_grid, with_margin
from pipeline.label_interpolation import LEAST_SHARE, interpolated_share
from pipeline.segmentation.identity import GIVEN, ModelIdentity
from pipeline.types import LabelMap, Segmentation

_MOST_SHOWN: Final = 12

NO_NUMBERING: Final = (
    f"Convert the labels to one of the numberings {either(NUMBERINGS)}, or save them with the names of the structures."
)

_DOUBT: Final = "The label map does not look like a knee in the numbering"

GIVEN_ID: Final = f"{GIVEN}:"
"""Start of a Segmentation's model_id that was given; then its numbering."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a label map is read if a numbering is requested.

    requested  AUTO or a key of NUMBERINGS
    decided    the numbering that is used, which names in the file or the anatomy may decide; "" if it is refused
    structures label -> its structure; empty if it is refused
    compartments_apart  as of a Segmentation
    refusal    why it cannot be read so, and hint: what to do; empty if it can
    """

    requested: str
    decided: str = ""
    structures: Mapping[int, Structure | None] = field(default_factory=dict)
    compartments_apart: bool = True
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    hint: str = ""


def given_segmentation(
    label_map: LabelMap, numbering: str, scan: Grid | None, *, resample: bool = False
) -> Segmentation:
    """A user's label map in canonical labels, on the grid of its scan if there is one.

    numbering: a key of NUMBERINGS, or AUTO. If the file names every label, the names are used instead.
    resample: onto another grid of the scan, with nearest neighbour

    Raises UnsupportedImage (another grid than the scan's, labels that the numbering does not declare, anatomy that
    contradicts it), EmptyImage.
    """
    placed = with_margin(label_map) if scan is None else on_grid(label_map, scan, resample=resample)
    chosen, warnings = _chosen(label_facts(placed.labels, placed.grid), placed.names, numbering)
    segmentation = canonical_labels(placed, chosen)
    return replace(
        segmentation, flags=_interpolated(label_map), warnings=(*placed.warnings, *warnings, *segmentation.warnings)
    )


def doubt_of(segmentation: Segmentation) -> str:
    """The warning that the anatomy of a given label map contradicts its numbering; empty if it does not."""
    return next((warning for warning in segmentation.warnings if warning.startswith(_DOUBT)), "")


def given_model(decided: str, requested: str) -> dict[str, object]:
    """Provenance of a user's label map: the numbering that was decided (a Segmentation's model_id), and by what."""
    number = decided.removeprefix(GIVEN_ID)
    if number == NAMES:
        words, by = "Structures by the names in the file", NAMES
    else:
        by = "anatomy" if requested == AUTO else "user"
        how = "recognised from its anatomy" if requested == AUTO else "chosen by the user"
        words = f"Numbering '{number}' ({NUMBERINGS[number].title}), {how}"
    identity = ModelIdentity(id=decided, source=GIVEN, digests={})
    return {
        "id": decided,
        "title": f"Label map given by the user. {words}",
        "source": GIVEN,
        "numbering": number,
        "numbering_decided_by": by,
        "identity": identity.to_dict(),
    }


def readings(facts: LabelFacts, names: Mapping[int, str]) -> tuple[Reading, ...]:
    """How the map is read for AUTO and for every numbering; only one if names in the file decide."""
    found = []
    for requested in (AUTO, *NUMBERINGS):
        try:
            chosen, warnings = _chosen(facts, names, requested)
            _require_declared(list(facts.volume_mm3), chosen, facts)
        except UnsupportedImage as error:
            found.append(Reading(requested=requested, refusal=error.message, hint=error.hint))
            continue
        structures = {label: chosen.to_canonical[label] for label in facts.volume_mm3}
        found.append(
            Reading(
                requested=requested,
                decided=chosen.id,
                structures=structures,
                compartments_apart=chosen.compartments_apart,
                warnings=warnings,
            )
        )
        if chosen.id == NAMES:
            break
    return tuple(found)


def canonical_labels(label_map: LabelMap, numbering: Numbering) -> Segmentation:
    """A label map in canonical labels.

    Raises UnsupportedImage if a label is not declared, EmptyImage if all labels are 0.
    """
    labels = label_map.labels
    found = [value for value in np.flatnonzero(np.bincount(labels.ravel())).tolist() if value]
    if any(value not in numbering.to_canonical for value in found):
        _require_declared(found, numbering, label_facts(labels, label_map.grid))
    if not found:
        raise EmptyImage(
            "The label map contains only background; expected bones and cartilage.",
            hint="Check the export: the labels may have been lost.",
        )
    table = np.zeros(max(found) + 1, dtype=np.uint8)
    for native, structure in numbering.to_canonical.items():
        if structure is not None and native < len(table):
            table[native] = structure
    return Segmentation(
        labels=table[labels],
        grid=label_map.grid,
        model_id=f"{GIVEN_ID}{numbering.id}",
        compartments_apart=numbering.compartments_apart,
    )


def _require_declared(found: list[int], numbering: Numbering, facts: LabelFacts) -> None:
    unknown = [value for value in found if value not in numbering.to_canonical]
    if unknown:
        raise UnsupportedImage(
            f"The label map contains {_some(unknown)}, which the numbering '{numbering.id}' does not declare; "
            f"expected 0 and {_some(sorted(numbering.to_canonical))}.",
            hint=_hint(fitting(facts)),
            labels=unknown,
        )


def _interpolated(label_map: LabelMap) -> tuple[QualityFlag, ...]:
    share = interpolated_share(label_map.labels)
    if share < LEAST_SHARE:
        return ()
    return (
        QualityFlag(
            code=FlagCode.INTERPOLATED_LABELS,
            reason="label map resampled with interpolation",
            message=f"{share:.0%} of the borders between labels hold a shell of other labels, one voxel thick: the map "
            "was resampled with interpolation. Resample the original map with nearest neighbour.",
        ),
    )


def _chosen(facts: LabelFacts, names: Mapping[int, str], numbering: str) -> tuple[Numbering, tuple[str, ...]]:
    """The numbering to read the map with, and warnings. Raises UnsupportedImage."""
    named = named_numbering(names, frozenset(facts.volume_mm3))
    if named is not None:
        return named, ("The labels were read by the names in the file, not by a numbering.",)
    if numbering == AUTO:
        return _recognised(facts)
    chosen = NUMBERINGS[numbering]
    declared = facts.volume_mm3.keys() <= chosen.to_canonical.keys()  # otherwise canonical_labels names the unknown
    against = contradictions(facts, chosen) if declared else ()
    if not against:
        return chosen, ()
    others = fitting(facts)
    words = f"{'; '.join(against)}"
    if others:
        raise UnsupportedImage(
            f"The label map contradicts the numbering '{chosen.id}': {words}.", hint=_hint(others), fitting=list(others)
        )
    return chosen, (f"{_DOUBT} '{chosen.id}': {words}.",)


def _recognised(facts: LabelFacts) -> tuple[Numbering, tuple[str, ...]]:
    """The one numbering that fits; several that read the map alike count as one. Raises UnsupportedImage."""
    found = [NUMBERINGS[name] for name in fitting(facts)]
    readings = {
        (tuple(numbering.to_canonical[value] for value in facts.volume_mm3), _apart(numbering, facts))
        for numbering in found
    }
    if len(readings) != 1:
        several = f"{len(readings)} numberings fit" if readings else "no numbering fits"
        raise UnsupportedImage(
            f"The numbering of the label map cannot be recognised: {several} (labels {_some(list(facts.volume_mm3))}).",
            hint=_hint(tuple(numbering.id for numbering in found)) if found else NO_NUMBERING,
        )
    return found[0], (f"The label map was read with the numbering '{found[0].id}', which its anatomy shows.",)


def _apart(numbering: Numbering, facts: LabelFacts) -> bool:
    """Whether the tibial compartments are apart; True without tibial cartilage."""
    plates = {numbering.to_canonical[value] for value in facts.volume_mm3} & {*CARTILAGE_OF[Structure.TIBIA]}
    return numbering.compartments_apart or not plates


def _hint(fit: tuple[str, ...]) -> str:
    if fit:
        return f"Choose the numbering that fits this map: {either(fit)}."
    return f"Choose another numbering: {either(NUMBERINGS)}."


def _some(values: list[int]) -> str:
    shown = ", ".join(str(value) for value in values[:_MOST_SHOWN])
    return f"{shown}, ..." if len(values) > _MOST_SHOWN else shown
