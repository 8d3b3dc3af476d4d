"""The layouts of published labelled sets: how they are recognised, and how their labels are numbered.

Whether files belong to a layout is decided by names alone; no file is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.anatomy import AUTO, DOSMA, OAI_ZIB_CM

HDF5_SCAN: Final = ".im"
HDF5_LABELS: Final = ".seg"
"""Extensions of the files of the IWOAI 2019 challenge."""

NAMES_FILE: Final = "dataset.json"
"""Description of an nnU-Net data set, with the names of its labels."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a labelled set is stored.

    scans, labels     regular expressions that the names of all scans and of all label maps contain
    numbering         of its label maps; AUTO: recognised from the anatomy. Names in a dataset.json have priority
    hdf5              whether the files are those of hdf5_files.py
    """

    title: str
    scans: str = ""
    labels: str = ""
    numbering: str = AUTO
    hdf5: bool = False

    def fits(self, scans: Iterable[Path], labels: Iterable[Path]) -> bool:
        """Whether a set with these files has this layout."""
        patterns = ((self.scans, scans), (self.labels, labels))
        return all(re.search(pattern, path.name) for pattern, paths in patterns for path in paths)


LAYOUTS: Final = (
    Layout(
        title="IWOAI 2019 (HDF5)",
        scans=rf"{re.escape(HDF5_SCAN)}$",
        labels=rf"{re.escape(HDF5_LABELS)}$",
        hdf5=True,
    ),
    Layout(title="OAI-ZIB-CM", scans=r"^oaizib_\d", labels=r"^oaizib_\d", numbering=OAI_ZIB_CM),
    Layout(title="SKM-TEA", scans=r"^MTR_\d", labels=r"^MTR_\d", numbering=DOSMA),
    Layout(title="nnU-Net raw data set", scans=r"_\d{4}\."),
    Layout(title="two folders"),
)
"""The first that fits is used.

SKM-TEA numbers its masks 1 patellar, 2 femoral, 3 medial tibial, 4 lateral tibial cartilage, 5 medial and 6 lateral
meniscus (DATASET.md of StanfordMIMI/skm-tea): the first six labels of DOSMA's numbering.
"""
