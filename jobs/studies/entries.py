"""The parts of a study that a worker takes from the queue, and their names there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """CHECK: the dry run. ROW: one analysis. VERSION: a row takes the newest corrected version of its analysis.
    SUBJECT: the visits of a subject are compared. TABLES. MAPS: mean maps of groups.
    """

    CHECK = "check"
    ROW = "row"
    VERSION = "version"
    SUBJECT = "subject"
    TABLES = "tables"
    MAPS = "maps"


@dataclass(frozen=True, kw_only=True)
class Part:
    """number: of the row; of a subject, that of its first row; of maps, that of the request; else the revision of the
    manifest.
    """

    study: str
    kind: Kind
    number: int

    @property
    def id(self) -> str:
        """Its name in the queue."""
        return f"{self.study}_{self.kind}_{self.number}"

    @classmethod
    def of(cls, name: str) -> Part:
        """Raises ValueError for another name."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError("not a part of a study")
        return cls(study=match[1], kind=Kind(match[2]), number=int(match[3]))


_NAME: Final = re.compile(rf"([0-9a-f-]{{36}})_({'|'.join(Kind)})_(\d{{1,9}})")
