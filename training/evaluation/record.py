"""Results of scans already examined, one file per knee and condition, so that a stopped run resumes.

They are valid for the same networks, the same code that renders, segments and measures, and the same map.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from pipeline.digest import sha256_of
from training.evaluation.examine import Examined

ROOT: Final = Path(__file__).resolve().parents[2]
DECIDING: Final = (
    "pipeline/*.py",
    "pipeline/anatomy/*.py",
    "pipeline/segmentation/**/*.py",
    "training/*.py",
    "training/generator/*.py",
    "training/knee_unet/*.py",
    "training/evaluation/*.py",
)
REPORTING: Final = (
    "__main__.py",
    "adapted.py",
    "contrasts.py",
    "figures.py",
    "flag_costs.py",
    "record.py",
    "table.py",
)
"""Modules of this package that do not decide a result."""


@cache
def code_digest() -> str:
    """SHA-256 over the sources that decide a result."""
    here = Path(__file__).parent
    paths = sorted({path for pattern in DECIDING for path in ROOT.glob(pattern)} - {here / name for name in REPORTING})
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Record:
    """The kept results of one model. folder: of all models; digests: of the model's files, by role."""

    folder: Path
    model: str
    digests: Mapping[str, str]

    def read(self, path: Path, condition: str) -> Examined | None:
        """The kept result for a map in a condition; None if there is none, or it is incomplete."""
        try:
            content = json.loads(self._file(path, condition).read_text(encoding="utf-8"))
            return Examined(**content | {"flags": tuple(content["flags"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path, found: Examined) -> None:
        """Keep a result. The file appears complete."""
        target = self._file(path, found.condition)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        partial.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
        partial.replace(target)

    def _file(self, path: Path, condition: str) -> Path:
        facts = json.dumps([self.model, dict(sorted(self.digests.items())), code_digest(), sha256_of(path)])
        key = hashlib.sha256(facts.encode()).hexdigest()[:16]
        return self.folder / self.model / condition / f"{path.name.split('.')[0]}-{key}.json"
