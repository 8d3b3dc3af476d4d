"""The record of one checked scan, and its ranking among others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.scan_checks.checks import BY_ID
from pipeline.scan_checks.finding import Finding
from pipeline.workspace import write_json

VERSION: Final = 2
"""Of the checks' figures: raised when one of them changes for the same answer."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was found in one scan.

    key      digest of everything that decides the figures
    name     of the scan, relative to the checked folder
    stem     name of its files in the output
    error    why the scan could not be analysed; empty if it was
    findings id of a check -> what it found
    flags    codes of the flags that the model's card leads to
    facts    side, voxel size and confidence, for the table
    pictures file name -> caption
    """

    key: str
    name: str
    stem: str
    error: str = ""
    seconds: float = 0.0
    findings: Mapping[str, Finding] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    facts: Mapping[str, str | float | None] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)

    @property
    def severities(self) -> dict[str, float]:
        """Of every check that found something, the gravest first."""
        found = {name: BY_ID[name].severity(finding.value) for name, finding in self.findings.items()}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def at_limit(self) -> tuple[str, ...]:
        """Ids of the checks at their limit or above, the gravest first."""
        return tuple(name for name in self.severities if BY_ID[name].fails(self.findings[name].value))

    @property
    def score(self) -> float:
        """Sum of the severities of the checks at their limit; infinite for a scan that could not be analysed."""
        return float("inf") if self.error else sum(self.severities[name] for name in self.at_limit)

    @property
    def reasons(self) -> str:
        """Why it looks wrong, as text; empty if it does not."""
        return self.error or "; ".join(self.findings[name].words for name in self.at_limit)


def ranked(records: list[Record]) -> list[Record]:
    """The worst first; scans with equal scores by their largest figures, then by name."""
    return sorted(records, key=lambda record: (-record.score, -sum(record.severities.values()), record.name))


@dataclass(frozen=True, kw_only=True)
class FlagShare:
    """How often a flag is raised: in scans with a check at its limit (suspect), and in the others; no truth."""

    code: str
    suspect: int
    of_suspect: int
    others: int
    of_others: int


def flag_shares(records: list[Record]) -> list[FlagShare]:
    """Of every flag that is raised in one of the scans that could be analysed."""
    analysed = [record for record in records if not record.error]
    wrong = [record for record in analysed if record.at_limit]
    right = [record for record in analysed if not record.at_limit]
    return [
        FlagShare(
            code=code,
            suspect=sum(code in record.flags for record in wrong),
            of_suspect=len(wrong),
            others=sum(code in record.flags for record in right),
            of_others=len(right),
        )
        for code in sorted({code for record in analysed for code in record.flags})
    ]


def write_record(record: Record, path: Path) -> None:
    """As JSON, whole or not at all."""
    write_json(path, asdict(record))


def read_record(path: Path, key: str) -> Record | None:
    """The record with this key; None if there is none, or if something that decides its figures has changed."""
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if content["key"] != key:
        return None
    findings = {name: _finding(entry) for name, entry in content.pop("findings").items()}
    return Record(**content | {"findings": findings, "flags": tuple(content["flags"])})


def _finding(entry: dict[str, Any]) -> Finding:
    place = entry["place"]
    return Finding(value=entry["value"], words=entry["words"], place=None if place is None else tuple(place))
