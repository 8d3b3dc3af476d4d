"""`python -m jobs.intake.validation_child PARENT SCRATCH FILE LABELS SERIES SORT`: check an upload; the result is JSON.

FILE or LABELS may be empty; SORT is empty or `sort`: see pipeline.preflight.inspect.

{"ok": true, "upload": UploadFacts.to_dict()} or {"ok": false, "code", "message", "hint", "facts"}, in
SCRATCH/verdict.json. Imports are minimal, because every upload waits for this process to start.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jobs.intake.sandbox import Limits, confine
from jobs.processes import die_with_parent


def main(parent: int, scratch_dir: Path, words: list[str], limits: Limits) -> int:
    """Check the files and write the verdict; returns the exit status."""
    die_with_parent(parent)
    confine(limits, scratch_dir)
    verdict = json.dumps(_verdict(words, scratch_dir), default=str)
    (scratch_dir / "verdict.json").write_text(verdict, encoding="utf-8")
    return 0


def _verdict(words: list[str], scratch_dir: Path) -> dict[str, Any]:
    from pipeline.errors import KneeError
    from pipeline.preflight import inspect

    file, labels = (Path(word) if word else None for word in words[:2])
    try:
        facts = inspect(file, labels, series=words[2], sort=bool(words[3]), scratch_dir=scratch_dir)
    except KneeError as error:
        return {"ok": False, "code": error.code, "message": error.message, "hint": error.hint, "facts": error.facts}
    except MemoryError:
        return {"ok": False, "code": "", "message": "The image is too large to be read.", "hint": "", "facts": {}}
    return {"ok": True, "upload": facts.to_dict()}


if __name__ == "__main__":
    parent, scratch, *words, memory, cpu, size = sys.argv[1:]
    limits = Limits(memory_mb=int(memory), cpu_s=int(cpu), file_mb=int(size))
    sys.exit(main(int(parent), Path(scratch), words, limits))
