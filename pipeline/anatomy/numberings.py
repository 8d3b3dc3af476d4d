"""Label numberings: ours and those of other sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pipeline.anatomy.structures import Structure


@dataclass(frozen=True, kw_only=True)
class Numbering:
    """The label numbering of a source.

    `to_canonical` contains every label that the numbering declares; None means deliberate background.
    `compartments_apart` is False if medial and lateral tibial cartilage, or both menisci, share one number: both are
    then read as the medial one (LATERAL_OF) until the analysis separates them by anatomy.
    """

    id: str
    title: str
    to_canonical: Mapping[int, Structure | None]
    compartments_apart: bool = True


_S = Structure
CANONICAL: Final = "canonical"
"""The numbering of every label map inside the product."""

OAI_ZIB_CM: Final = "oai_zib_cm"
DOSMA: Final = "dosma"
"""Numberings of published data sets, which are recognised by their file names (pipeline/validation/layouts.py)."""

AUTO: Final = "auto"
"""Chosen in place of a numbering: the one that the anatomy of the label map shows."""

NUMBERINGS: Final[Mapping[str, Numbering]] = MappingProxyType(
    {
        n.id: n
        for n in (
            Numbering(
                id=CANONICAL,
                title="This product's own labels",
                # femoral sub-regions 11 to 15 are parts of the femoral cartilage
                to_canonical={int(s): s for s in Structure} | dict.fromkeys(range(11, 16), _S.FEMORAL_CARTILAGE),
            ),
            Numbering(
                id="oai",
                title="Expert label maps of the Osteoarthritis Initiative (bone lesions count as bone)",
                to_canonical={
                    1: _S.FEMUR,
                    2: _S.FEMORAL_CARTILAGE,
                    3: _S.TIBIA,
                    4: _S.MEDIAL_TIBIAL_CARTILAGE,
                    5: _S.PATELLA,
                    6: _S.PATELLAR_CARTILAGE,
                    7: _S.FEMUR,
                    8: _S.TIBIA,
                    9: _S.PATELLA,
                },
                compartments_apart=False,
            ),
            Numbering(
                id=OAI_ZIB_CM,
                title="OAI-ZIB-CM: bones and cartilage of femur and tibia, tibial compartments apart",
                to_canonical={
                    1: _S.FEMUR,
                    2: _S.FEMORAL_CARTILAGE,
                    3: _S.TIBIA,
                    4: _S.MEDIAL_TIBIAL_CARTILAGE,
                    5: _S.LATERAL_TIBIAL_CARTILAGE,
                },
            ),
            Numbering(
                id="ski10",
                title="SKI10 and OAI-ZIB: bones and cartilage of femur and tibia",
                to_canonical={
                    1: _S.FEMUR,
                    2: _S.FEMORAL_CARTILAGE,
                    3: _S.TIBIA,
                    4: _S.MEDIAL_TIBIAL_CARTILAGE,
                },
                compartments_apart=False,
            ),
            Numbering(
                id="pymskt",
                title="Label maps of pymskt's examples, and newer ones with fibula (ignored) and menisci",
                to_canonical={
                    1: _S.FEMORAL_CARTILAGE,
                    2: _S.MEDIAL_TIBIAL_CARTILAGE,
                    3: _S.LATERAL_TIBIAL_CARTILAGE,
                    4: _S.PATELLAR_CARTILAGE,
                    5: _S.FEMUR,
                    6: _S.TIBIA,
                    7: _S.PATELLA,
                    8: None,
                    9: _S.LATERAL_MENISCUS,
                    10: _S.MEDIAL_MENISCUS,
                },
            ),
            Numbering(
                id=DOSMA,
                title="DOSMA, and nnU-Net models trained with its labels",
                to_canonical={
                    1: _S.PATELLAR_CARTILAGE,
                    2: _S.FEMORAL_CARTILAGE,
                    3: _S.MEDIAL_TIBIAL_CARTILAGE,
                    4: _S.LATERAL_TIBIAL_CARTILAGE,
                    5: _S.MEDIAL_MENISCUS,
                    6: _S.LATERAL_MENISCUS,
                    7: _S.FEMUR,
                    8: _S.TIBIA,
                    9: _S.PATELLA,
                },
            ),
        )
    }
)
