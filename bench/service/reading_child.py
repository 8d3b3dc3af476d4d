"""`python -m bench.service.reading_child FOLDER`: read the cases in FOLDER, confined as the check of an upload is.

FOLDER/cases.json lists {"file", "labels"}; a line of JSON per case is written to FOLDER/scratch/answers.jsonl:
{"code", "message", "hint", "seconds"}, with an empty code where the file was read.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pipeline.decoding.process import CHECK_LIMITS
from pipeline.decoding.sandbox import confine
from pipeline.errors import KneeError
from pipeline.image_io import check_scan, read_label_map, read_scan


def main(folder: Path) -> None:
    """Read all files; an error that is not ours ends the process."""
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    scratch = folder / "scratch"
    confine(CHECK_LIMITS, scratch, [folder])
    with (scratch / "answers.jsonl").open("w", encoding="utf-8") as answers:
        for case in cases:
            start = time.perf_counter()
            answer = _answer(folder / case["file"], scratch, labels=case["labels"])
            answers.write(json.dumps(answer | {"seconds": time.perf_counter() - start}) + "\n")
            answers.flush()


def _answer(path: Path, scratch: Path, *, labels: bool) -> dict[str, str]:
    try:
        if labels:
            read_label_map(path, scratch_dir=scratch)
        else:
            check_scan(path, scratch_dir=scratch)
            read_scan(path, scratch_dir=scratch)
    except KneeError as error:
        return {"code": error.code, "message": error.message, "hint": error.hint}
    return {"code": "", "message": "", "hint": ""}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
