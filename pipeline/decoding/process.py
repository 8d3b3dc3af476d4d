"""Starts a confined process for a file of a user, and takes what it hands over. The caller never opens the file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any, Final

from pipeline.anatomy import Side
from pipeline.decoding.child import NOT_CONFINED, NOT_WRITTEN
from pipeline.decoding.handover import EditedLabels, Malformed, read_verdict, take_correction, take_label_map, take_scan
from pipeline.decoding.sandbox import PACKAGE, Limits
from pipeline.errors import InputError, KneeError, OptionsError, OutOfDisk, UnreadableImage
from pipeline.image_codec import outlines_shape
from pipeline.types import LabelMap, Scan
from pipeline.upload_facts import UploadFacts

CHECK_WALL_CLOCK_S: Final = 120
CHECK_LIMITS: Final = Limits(memory_mb=768, cpu_s=60, file_mb=4096)

WALL_CLOCK_S: Final = 600
EDIT_LIMITS: Final = Limits(memory_mb=2048, cpu_s=60, file_mb=1024)
"""Of checking a correction: the outlines before and after, and a copy of the change."""

LIMITS: Final = Limits(memory_mb=8192, cpu_s=300, file_mb=4096)
"""Of reading a whole image: the largest has 2^28 voxels of 4 bytes, and is copied and masked while it is read."""

CHILD: Final = "pipeline.decoding.child"

_ENVIRONMENT: Final = {
    "PATH": os.defpath,
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    # one thread each: thread pools need memory and are not permitted in the sandbox
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_THREADER": "Platform",
}
"""The complete environment of the child; that of this process can contain keys."""

DAMAGED: Final = "The file is damaged, or too large to be read."
_LONGEST_PLACE: Final = 100
_LONGEST_MESSAGE: Final = 4000

_log = logging.getLogger(__name__)


def inspect_upload(
    file: Path | None,
    labels: Path | None,
    *,
    series: str = "",
    sort: bool = False,
    scratch_dir: Path,
    limits: Limits = CHECK_LIMITS,
    wall_clock_s: float = CHECK_WALL_CLOCK_S,
) -> UploadFacts:
    """`preflight.inspect` in a confined process. scratch_dir: an empty folder for it alone.

    Raises what that raises; UnreadableImage if the process crashes or takes too long; MemoryError.
    """
    paths = [path for path in (file, labels) if path is not None]
    given = {"file": absolute(file), "labels": absolute(labels), "series": series, "sort": sort}
    value = _ask("inspect", given, paths, scratch_dir, limits, wall_clock_s)
    try:
        return UploadFacts.from_dict(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableImage(DAMAGED) from error


def decode_scan(
    path: Path,
    *,
    side: Side | None,
    series: str,
    echo_times_ms: tuple[float, ...],
    beside_labels: bool,
    scratch_dir: Path,
) -> Scan:
    """`image_io.read_scan` in a confined process. scratch_dir: an empty folder for it alone.

    Raises what that raises; UnreadableImage if the process crashes or takes too long; MemoryError, OSError.
    """
    given = {
        "file": absolute(path),
        "side": side or "",
        "series": series,
        "echo_times_ms": echo_times_ms,
        "beside_labels": beside_labels,
    }
    value = _ask("scan", given, [path], scratch_dir, LIMITS, WALL_CLOCK_S)
    try:
        return take_scan(scratch_dir, value)
    except Malformed as error:
        raise UnreadableImage(DAMAGED) from error


def decode_label_map(path: Path, *, scratch_dir: Path) -> LabelMap:
    """`image_io.read_label_map` in a confined process. Raises as `decode_scan`."""
    value = _ask("labels", {"file": absolute(path)}, [path], scratch_dir, LIMITS, WALL_CLOCK_S)
    try:
        return take_label_map(scratch_dir, value)
    except Malformed as error:
        raise UnreadableImage(DAMAGED) from error


def apply_runs(runs: Path, base: Path, *, voxels: int, requires_femur: bool, scratch_dir: Path) -> EditedLabels:
    """Apply a sparse change (label_runs) to a label array in a confined process.

    base: .npy, uint8, of this many voxels; requires_femur: it must keep one; scratch_dir: an empty folder for it alone
    Raises InvalidEdit, EditTooLarge; UnreadableImage if the process crashes or takes too long; MemoryError.
    """
    given = {"file": absolute(runs), "base": absolute(base), "requires_femur": requires_femur}
    value = _ask("runs", given, [runs, base], scratch_dir, EDIT_LIMITS, CHECK_WALL_CLOCK_S)
    return _edited(scratch_dir, value, voxels)


def read_corrected_map(
    path: Path,
    base: Path,
    *,
    outlines: Mapping[str, object],
    alignment: Mapping[str, object],
    numbering: str,
    resample: bool,
    requires_femur: bool,
    scratch_dir: Path,
) -> EditedLabels:
    """Read a label map as a correction of outlines in a confined process (corrected_map).

    outlines, alignment: of the corrected analysis, as JSON values; the others as for `apply_runs`
    Raises InvalidEdit and the InputErrors of label maps; UnreadableImage if the process crashes; MemoryError.
    """
    given = {
        "file": absolute(path),
        "base": absolute(base),
        "outlines": {name: outlines[name] for name in ("grid", "padding")},
        "alignment": dict(alignment),
        "numbering": numbering,
        "resample": resample,
        "requires_femur": requires_femur,
    }
    value = _ask("label_map", given, [path, base], scratch_dir, EDIT_LIMITS, CHECK_WALL_CLOCK_S)
    return _edited(scratch_dir, value, prod(outlines_shape(outlines)))


def _edited(scratch_dir: Path, value: dict[str, Any], voxels: int) -> EditedLabels:
    try:
        return take_correction(scratch_dir, value, voxels)
    except Malformed as error:
        raise UnreadableImage(DAMAGED) from error


def absolute(path: Path | None) -> str:
    """The child runs in another folder."""
    return "" if path is None else str(path.absolute())


def _ask(
    task: str, given: dict[str, Any], readable: Iterable[Path], scratch: Path, limits: Limits, wall_clock_s: float
) -> dict[str, Any]:
    """The value that the child answers with."""
    status = run_child(request_of(task, given, readable, scratch, limits), scratch, wall_clock_s)
    if status == -signal.SIGKILL:
        raise MemoryError
    if status == NOT_CONFINED:
        raise RuntimeError("the sandbox of the reader cannot be entered, although the kernel offers it")
    if status > NOT_WRITTEN:
        raise OSError(status - NOT_WRITTEN, os.strerror(status - NOT_WRITTEN))
    try:
        verdict: dict[str, Any] = read_verdict(scratch)
        if verdict["ok"] is True:
            return dict(verdict["value"])
        raise error_of(verdict)
    except (Malformed, KeyError, TypeError, ValueError) as error:
        _log.warning("reading an upload ended with status %d", status)
        raise UnreadableImage(DAMAGED) from error


def request_of(task: str, given: Mapping[str, object], readable: Iterable[Path], scratch: Path, limits: Limits) -> str:
    """What the child is asked for, as its argument."""
    request = {
        "parent": os.getpid(),
        "task": task,
        "given": given,
        "readable": [str(path.resolve()) for path in readable],
        "scratch": str(scratch),
        "limits": asdict(limits),
    }
    return json.dumps(request)


def run_child(request: str, scratch: Path, wall_clock_s: float) -> int:
    """The exit status of the child. It leads a process group, which is killed afterwards.

    Raises UnreadableImage if it takes too long.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", CHILD, request],
        cwd=PACKAGE.parent,
        env=_ENVIRONMENT | {"TMPDIR": str(scratch), "HOME": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # messages of a decoder may quote the header, and so patient data
        start_new_session=True,
    )
    deadline = time.monotonic() + wall_clock_s
    with selectors.DefaultSelector() as end, child:
        assert child.stdout is not None  # noqa: S101 -- a pipe
        end.register(child.stdout, selectors.EVENT_READ)
        try:
            end.select(wall_clock_s)  # its end closes the pipe; Popen.wait would look for it in intervals
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise UnreadableImage(f"The file could not be read within {wall_clock_s} s.") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    return child.returncode


def error_of(answer: Mapping[str, object]) -> Exception:
    """The error that the child met. Raises KeyError, TypeError, ValueError if the answer states none."""
    verdict: dict[str, Any] = dict(answer)
    if "memory" in verdict:
        return MemoryError()
    if "unexpected" in verdict:
        words = [str(verdict["unexpected"]), *map(str, verdict["places"])]
        _log.error("unexpected error while reading an upload: %s", [word[:_LONGEST_PLACE] for word in words])
        number = verdict["errno"]
        return UnreadableImage(DAMAGED) if number is None else OSError(int(number), os.strerror(int(number)))
    message, hint = (str(verdict[name])[:_LONGEST_MESSAGE] for name in ("message", "hint"))
    return _KINDS.get(str(verdict["code"]), UnreadableImage)(message, hint=hint, **verdict["facts"])


_KINDS: Final[dict[str, type[KneeError]]] = {
    kind("").code: kind for kind in (*InputError.__subclasses__(), InputError, OptionsError, OutOfDisk)
}
"""The errors of reading."""
