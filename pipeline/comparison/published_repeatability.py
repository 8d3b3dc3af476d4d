"""Published repeatability of cartilage thickness, to be shown beside that of a model. No verdict uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class PublishedRepeatability:
    """What one study found when knees were measured again.

    measured  who or what made the outlines, and on which scans
    figure    of mean thickness, with its kind and unit
    source    DOI or PubMed id
    """

    measured: str
    figure: str
    source: str


PUBLISHED: Final = (
    PublishedRepeatability(
        measured="Manual outlines, 3 T, FLASH",
        figure="CV 3.0 to 6.4 %",
        source="PMC1798091",
    ),
    PublishedRepeatability(
        measured="Manual outlines, 3 T, sagittal DESS",
        figure="CV 2.3 to 8.2 %",
        source="PMC1798091",
    ),
    PublishedRepeatability(
        measured="Manual outlines, healthy knees, scans a year apart",
        figure="CV 0.5 to 2.5 %",
        source="doi:10.1007/s10334-020-00889-7",
    ),
    PublishedRepeatability(
        measured="Automatic outlines, healthy knees, scans a year apart",
        figure="CV 1.0 to 4.5 %",
        source="doi:10.1007/s10334-020-00889-7",
    ),
    PublishedRepeatability(
        measured="Automatic outlines, two scans on one day, 9 regions",
        figure="SDC below 0.10 mm",
        source="PMID 33865065",
    ),
    PublishedRepeatability(
        measured="Automatic outlines, two scans on one day, 45 subregions",
        figure="SDC 0.03 to 0.21 mm",
        source="PMID 33865065",
    ),
    PublishedRepeatability(
        measured="7 T, 21 regions",
        figure="SDC 0.16 mm",
        source="doi:10.1177/1947603520961165",
    ),
)
