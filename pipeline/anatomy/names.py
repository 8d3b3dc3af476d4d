"""Structures by the names in files: nnU-Net data sets, 3D Slicer, DICOM segmentations, ITK-SNAP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pipeline.anatomy.numberings import Numbering
from pipeline.anatomy.structures import Structure

NAMES: Final = "names"
"""Id of the numbering that names in a file declare."""

_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("femur", "femoral", "fem", "femora"), "femur"),
    **dict.fromkeys(("tibia", "tibial", "tib"), "tibia"),
    **dict.fromkeys(("patella", "patellar", "pat"), "patella"),
    **dict.fromkeys(("cartilage", "cart", "cartilages"), "cartilage"),
    **dict.fromkeys(("meniscus", "meniscal", "menisci", "men"), "meniscus"),
    **dict.fromkeys(("medial", "med"), "medial"),
    **dict.fromkeys(("lateral", "lat"), "lateral"),
    **dict.fromkeys(("bone", "plateau", "label", "class", "structure", "segment"), ""),
    **dict.fromkeys(("left", "right", "distal", "proximal", "articular", "of", "the", "knee"), ""),
}

_ABBREVIATIONS: Final[Mapping[str, str]] = {
    "fc": "femoral cartilage",
    "tc": "tibial cartilage",
    "mtc": "medial tibial cartilage",
    "ltc": "lateral tibial cartilage",
    "pc": "patellar cartilage",
}

_MEANINGS: Final[Mapping[frozenset[str], Structure]] = {
    frozenset({"femur"}): Structure.FEMUR,
    frozenset({"tibia"}): Structure.TIBIA,
    frozenset({"patella"}): Structure.PATELLA,
    frozenset({"femur", "cartilage"}): Structure.FEMORAL_CARTILAGE,
    frozenset({"tibia", "cartilage"}): Structure.MEDIAL_TIBIAL_CARTILAGE,  # split by anatomy later
    frozenset({"tibia", "cartilage", "medial"}): Structure.MEDIAL_TIBIAL_CARTILAGE,
    frozenset({"tibia", "cartilage", "lateral"}): Structure.LATERAL_TIBIAL_CARTILAGE,
    frozenset({"patella", "cartilage"}): Structure.PATELLAR_CARTILAGE,
    frozenset({"meniscus"}): Structure.MEDIAL_MENISCUS,  # split likewise
    frozenset({"meniscus", "medial"}): Structure.MEDIAL_MENISCUS,
    frozenset({"meniscus", "lateral"}): Structure.LATERAL_MENISCUS,
}


def structure_of(name: str) -> Structure | None:
    """The structure of a label name, independent of spelling and word order; None if unknown."""
    return _MEANINGS.get(_words(name))


def names_both_compartments(name: str) -> bool:
    """Whether a name stands for the tibial cartilage, or for the menisci, without a compartment."""
    return _words(name) in ({"tibia", "cartilage"}, {"meniscus"})


def named_numbering(names: Mapping[int, str], labels: frozenset[int]) -> Numbering | None:
    """The numbering that names in a file declare (label -> name).

    None unless every one of `labels` has a name, every such name is known, and no two have the same meaning.
    """
    meaning = {label: structure_of(names.get(label, "")) for label in labels}
    found = [structure for structure in meaning.values() if structure is not None]
    if not labels or len(found) < len(meaning) or len(set(found)) < len(found):
        return None
    both = any(names_both_compartments(names[label]) for label in labels)
    return Numbering(id=NAMES, title="As named in the file", to_canonical=meaning, compartments_apart=not both)


def _words(name: str) -> frozenset[str]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # FemoralCartilage
    text = _ABBREVIATIONS.get(apart.strip().lower(), apart)
    return frozenset(_WORDS.get(word, word) for word in re.split(r"[^a-z]+", text.lower())) - {""}
