"""`python -m pipeline.decoding.child REQUEST`: enter the sandbox, and read what REQUEST (JSON, process.py) asks for.

The answer is in SCRATCH/verdict.json: {"ok": true, "value": ...}; {"ok": false} with "code", "message", "hint" and
"facts" of a KneeError, with "memory", or with "unexpected", the "places" in the program, and "errno" of an OSError.
The task "headers" is for many files: each gets such an answer as one line of SCRATCH/headers.jsonl, as soon as it is
known.
Imports are minimal, because every reader of an upload waits for this process to start.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipeline.decoding.sandbox import Limits, confine
from pipeline.linux import die_with_parent

NOT_CONFINED: Final = 3
"""Exit status if the sandbox could not be entered: nothing was read."""

NOT_WRITTEN: Final = 100
"""Exit status, plus the number of the error, if the verdict could not be written."""

HEADERS: Final = "headers"
HEADER_LINES: Final = "headers.jsonl"
"""The task for many files, and the file of its answers."""

_MOST_PLACES: Final = 12


def main(text: str) -> int:
    """Read what the request asks for, and write the verdict; returns the exit status."""
    request: dict[str, Any] = json.loads(text)
    scratch = Path(request["scratch"])
    die_with_parent(request["parent"])
    try:
        confine(Limits(**request["limits"]), scratch, map(Path, request["readable"]))
    except OSError:
        return NOT_CONFINED
    from pipeline.decoding.handover import write_verdict

    verdict = _verdict(request["task"], request["given"], scratch)
    try:
        write_verdict(scratch, verdict)
    except OSError as error:
        return NOT_WRITTEN + (error.errno or 0)
    return 0


def _leave_out_packages(files: Iterable[Path]) -> None:
    """Packages that the readers load for functions that are not used here: a third of the time to start."""
    from pipeline.file_kinds import FileKind
    from pipeline.image_io.formats import peek

    absent: dict[str, Any] = {"requests": None}  # of pydicom, for its test data
    if all(file.is_file() and peek(file) is FileKind.NIFTI for file in files):
        absent["pydicom"] = None  # of nibabel, for extensions, which are skipped
    sys.modules.update(absent)


def _verdict(task: str, given: dict[str, Any], scratch: Path) -> dict[str, object]:
    if task != HEADERS:
        return _answer(partial(_prepared, task), given, scratch)
    with contextlib.suppress(OSError):
        _leave_out_packages(path for item in given["items"] for path in _files_of(item))
    with (scratch / HEADER_LINES).open("w", encoding="utf-8") as stream:
        for item in given["items"]:
            stream.write(json.dumps(_answer(_header, item, scratch), default=str) + "\n")
            stream.flush()
    return {"ok": True, "value": {}}


def _prepared(task: str, scratch: Path, **given: object) -> dict[str, object]:
    _leave_out_packages(_files_of(given))
    return _TASKS[task](scratch, **given)


def _files_of(given: dict[str, Any]) -> list[Path]:
    return [Path(word) for word in (given.get("file"), given.get("labels")) if word]


def _answer(task: Callable[..., dict[str, object]], given: dict[str, Any], scratch: Path) -> dict[str, object]:
    from pipeline.errors import KneeError

    try:
        return {"ok": True, "value": task(scratch, **given)}
    except KneeError as error:
        return {"ok": False, "code": error.code, "message": error.message, "hint": error.hint, "facts": error.facts}
    except MemoryError:
        return {"ok": False, "memory": True}
    except Exception as error:  # noqa: BLE001 -- a hostile file may cause any; its message may quote the file
        number = error.errno if isinstance(error, OSError) else None
        return {"ok": False, "unexpected": type(error).__name__, "places": _places(error), "errno": number}


def _places(error: Exception) -> list[str]:
    """Where in the program it was raised, innermost last."""
    found, step = [], error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        found.append(f"{Path(code.co_filename).name}:{step.tb_lineno} {code.co_name}")
        step = step.tb_next
    return found[-_MOST_PLACES:]


def _inspect(scratch: Path, file: str, labels: str, series: str, *, sort: bool) -> dict[str, object]:
    from pipeline.preflight import inspect

    paths = (Path(word) if word else None for word in (file, labels))
    return inspect(*paths, series=series, sort=sort, scratch_dir=scratch).to_dict()


def _header(scratch: Path, file: str, labels: str, series: str, *, whole: bool) -> dict[str, object]:
    from pipeline.preflight import inspect, inspect_header

    scan, label_map = (Path(word) if word else None for word in (file, labels))
    if whole:
        return inspect(scan, label_map, series=series, sort=False, scratch_dir=scratch).header().to_dict()
    return inspect_header(scan, label_map, series=series, scratch_dir=scratch).to_dict()


def _scan(
    scratch: Path, file: str, side: str, series: str, echo_times_ms: list[float], *, beside_labels: bool
) -> dict[str, object]:
    from pipeline.anatomy import Side
    from pipeline.decoding.handover import write_scan
    from pipeline.image_io.reader import read_scan

    scan = read_scan(
        Path(file),
        side=Side(side) if side else None,
        series=series,
        echo_times_ms=tuple(echo_times_ms),
        beside_labels=beside_labels,
        scratch_dir=scratch,
    )
    return write_scan(scratch, scan)


def _labels(scratch: Path, file: str) -> dict[str, object]:
    from pipeline.decoding.handover import write_label_map
    from pipeline.image_io.label_map import read_label_map

    return write_label_map(scratch, read_label_map(Path(file), scratch_dir=scratch))


def _runs(scratch: Path, file: str, base: str, *, requires_femur: bool) -> dict[str, object]:
    import numpy as np

    from pipeline.corrected_labels import checked_changes
    from pipeline.decoding.handover import write_correction
    from pipeline.label_runs import with_runs

    before = np.load(base, mmap_mode="r", allow_pickle=False)
    after = with_runs(before, Path(file).read_bytes())
    return write_correction(scratch, after, checked_changes(before, after, requires_femur=requires_femur))


def _label_map(
    scratch: Path,
    file: str,
    base: str,
    outlines: dict[str, Any],
    alignment: dict[str, Any],
    numbering: str,
    *,
    resample: bool,
    requires_femur: bool,
) -> dict[str, object]:
    import numpy as np

    from pipeline.corrected_labels import checked_changes
    from pipeline.corrected_map import corrected_map
    from pipeline.decoding.handover import write_correction
    from pipeline.grid import Grid
    from pipeline.image_codec import alignment_of, planes_of
    from pipeline.image_io.label_map import read_label_map

    found = corrected_map(
        read_label_map(Path(file), scratch_dir=scratch),
        Grid.from_dict(outlines["grid"]),
        planes_of(outlines["padding"]),
        alignment_of(alignment),
        numbering,
        resample=resample,
    )
    before = np.load(base, mmap_mode="r", allow_pickle=False)
    changes = checked_changes(before, found.labels, requires_femur=requires_femur)
    return write_correction(scratch, found.labels, changes, found.flags, found.warnings)


_TASKS: Final[dict[str, Callable[..., dict[str, object]]]] = {
    "inspect": _inspect,
    "scan": _scan,
    "labels": _labels,
    "runs": _runs,
    "label_map": _label_map,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
