"""Names and versions in a backup.

backup.json              versions, number of files and bytes, waiting jobs in their order; written last
records.jsonl            one job per line: its record without e-mail address, and the folder of its files
keys.json                statistics
secret                   the key with which users are counted
jobs/ID/N/               the folder of a job as the Nth copy found it
research/ID/             copies for research
access/KIND/ID.json      people, keys, projects and links, without secrets
audit/audit.jsonl        the audit log
studies/ID/              the folder of a study
analyses/ADDRESS/        an analysis of studies; changes/ and slopes/: comparisons of them
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from jobs.errors import BackupInvalid
from jobs.state.model import RECORD_VERSION

FORMAT: Final = 2
SUMMARY: Final = "backup.json"
RECORDS: Final = "records.jsonl"
KEYS: Final = "keys.json"
JOBS: Final = "jobs"
RESEARCH: Final = "research"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Content of backup.json.

    made_at            ISO 8601
    files, size_bytes  without this file
    queue_order        ids of the waiting jobs, next one first
    studies            number of studies; None: they were left out, or the version that made the backup had none
    """

    format: int
    record_version: int
    made_at: str
    files: int
    size_bytes: int
    jobs: int
    queue_order: tuple[str, ...]
    studies: int | None = None

    def text(self) -> str:
        """The text of backup.json."""
        return json.dumps(asdict(self), indent=1)


def read_summary(folder: Path) -> Summary:
    """backup.json of an unpacked backup. Raises BackupInvalid if it is missing, damaged, or of a later version."""
    try:
        data = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        summary = Summary(**data | {"queue_order": tuple(data["queue_order"])})
    except FileNotFoundError:
        raise BackupInvalid(f"{SUMMARY} is missing; expected a complete backup.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BackupInvalid(f"{SUMMARY} cannot be read ({type(error).__name__}); expected that of a backup.") from error
    for what, found, known in (
        ("format", summary.format, FORMAT),
        ("record version", summary.record_version, RECORD_VERSION),
    ):
        if found > known:
            raise BackupInvalid(
                f"The backup has {what} {found}; this version of Kneebox reads up to {known}.",
                hint="Restore it with the version that made it, or a later one.",
            )
    return summary
