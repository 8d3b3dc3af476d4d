"""The zip with scan and labels for a correction in another program: made on demand, kept with the results."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from jobs.errors import ServerBusy
from jobs.settings import PROJECT_ROOT
from jobs.state.backend import open_backend
from jobs.views.reading import finished, published, results_gone
from pipeline.file_kinds import FileKind, input_stem

WALL_CLOCK_S: Final = 120.0
"""The largest scans take 10 s."""

WAIT_S: Final = 30.0

_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The complete environment of the child; the server's environment can contain keys."""

_ONE: Final = threading.Lock()

NAME: Final = f"for_editing{FileKind.ZIP.extensions[0]}"
"""Name of the file in results/."""


def editing_archive(job_id: str) -> tuple[Path, str]:
    """The zip and its download name. Raises JobNotFound, JobNotFinished, ResultNotFound, ServerBusy."""
    backend = open_backend()
    record = finished(backend, job_id)
    workspace = published(backend, job_id)
    target = workspace.results_dir / NAME
    stem = input_stem(record.input_filename)
    download = f"{stem if record.version == 1 else f'{stem}_v{record.version}'}_{NAME}"
    if target.is_file():
        return target, download
    if not _ONE.acquire(timeout=WAIT_S):
        raise ServerBusy("Another analysis is being packed.", hint="Try again in a minute.")
    try:
        if not target.is_file():
            _make(workspace.root, target, str(record.options.get("turn", "")))
    finally:
        _ONE.release()
    return target, download


def _make(folder: Path, target: Path, turn: str) -> None:
    """In a separate process: the image libraries are not loaded into the web server."""
    command = [sys.executable, "-m", "pipeline.editing_archive", str(os.getpid()), str(folder), str(target), turn]
    try:
        done = subprocess.run(
            command, cwd=PROJECT_ROOT, env=_ENVIRONMENT, capture_output=True, check=False, timeout=WALL_CLOCK_S
        )
    except subprocess.TimeoutExpired:
        raise ServerBusy("The scan could not be packed in time.", hint="Try again later.") from None
    if done.returncode or not target.is_file():
        raise results_gone()
