"""Checks in a child process, never in the web server, whether an uploaded file can be analysed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

from jobs.errors import StorageFull
from jobs.intake.sandbox import Limits
from jobs.settings import PROJECT_ROOT
from pipeline.errors import InputError, KneeError, OutOfDisk, UnreadableImage
from pipeline.upload_facts import UploadFacts

WALL_CLOCK_S: Final = 120
LIMITS: Final = Limits(memory_mb=768, cpu_s=60, file_mb=4096)

MAX_CHECKS: Final = 2
"""Maximum number of simultaneous checks: each needs a process and up to 1 GB."""

_CHECKS: Final = threading.BoundedSemaphore(MAX_CHECKS)

_MAX_VERDICT: Final = 512 * 1024
"""Two pictures of 256 x 256 pixels need up to 350 KB."""

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
"""The complete environment of the child; the server's environment can contain keys."""

log = logging.getLogger(__name__)


def check_upload(path: Path | None, series: str = "", *, labels: Path | None = None, sort: bool = False) -> UploadFacts:
    """Facts about an uploaded scan, or of one `series` of it, and about a label map.

    sort: a label map in `path` is recognised by its content; otherwise it is refused there

    Archives are unpacked to a temporary folder next to the file. Raises the InputError that reading would raise,
    UnreadableImage if the child process fails, StorageFull if the disk is full.
    """
    given = path or labels
    assert given is not None  # noqa: S101 -- an upload has a file
    scratch = Path(tempfile.mkdtemp(prefix="check-", dir=given.parent))
    words = [str(path or ""), str(labels or ""), series, "sort" if sort else ""]
    try:
        with _CHECKS:
            verdict = _ask(words, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not verdict["ok"]:
        raise _error(verdict)
    return UploadFacts.from_dict(verdict["upload"])


def _ask(words: list[str], scratch: Path) -> dict[str, Any]:
    """The verdict of the child process. It leads a process group, which is killed afterwards."""
    numbers = (LIMITS.memory_mb, LIMITS.cpu_s, LIMITS.file_mb)
    command = [sys.executable, "-m", "jobs.intake.validation_child", str(os.getpid()), str(scratch), *words]
    child = subprocess.Popen(
        [*command, *(str(number) for number in numbers)],
        cwd=PROJECT_ROOT,
        env=_ENVIRONMENT | {"TMPDIR": str(scratch), "HOME": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # messages of a decoder may quote the header, and so patient data
        start_new_session=True,
    )
    try:
        child.wait(WALL_CLOCK_S)
    except subprocess.TimeoutExpired:
        raise UnreadableImage(f"The file could not be read within {WALL_CLOCK_S} s.") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    try:
        with (scratch / "verdict.json").open("rb") as stream:
            verdict = json.loads(stream.read(_MAX_VERDICT))
    except (OSError, ValueError):
        log.warning("check of an upload ended with status %d", child.returncode)
        raise UnreadableImage("The file is damaged, or too large to be read.") from None
    return dict(verdict)


def _error(verdict: dict[str, Any]) -> KneeError:
    code, message, hint = verdict["code"], verdict["message"], verdict["hint"]
    if code == OutOfDisk("").code:
        return StorageFull(message, hint=hint)
    kinds: dict[str, type[KneeError]] = {kind("").code: kind for kind in InputError.__subclasses__()}
    return kinds.get(code, UnreadableImage)(message, hint=hint, **verdict["facts"])
