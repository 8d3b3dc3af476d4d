"""Comparisons of two finished jobs: computed once, in a separate process, and kept until a job changes or is deleted.

DATA_DIR/comparisons/<first>_<second>/ contains comparison.json, changes.csv, view/ and inputs.json, which identifies
their inputs. It is written to a temporary folder and renamed, so that it appears complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from jobs.comparison.document import JobComparison, read_comparison
from jobs.errors import ComparisonFailed, JobError, ResultNotFound, ServerBusy
from jobs.settings import PROJECT_ROOT
from jobs.state.backend import Backend, open_backend
from jobs.views.reading import finished, published, results_gone
from pipeline.comparison.names import RESULT, TABLE, VIEW
from pipeline.comparison.reproducibility import reproducibility_paths
from pipeline.errors import NotComparable
from pipeline.results_tree import ViewFile, view_file_in
from pipeline.workspace import write_json

WALL_CLOCK_S: Final = 120.0
"""A comparison takes 2 to 6 s of CPU time."""

MAX_WAIT_S: Final = 60.0
MAX_WAITING: Final = 4
"""Maximum number of waiting comparisons per process; each occupies a thread."""

POLL_S: Final = 0.1

VERSION: Final = 4
"""Version of the method: comparisons of older versions are recomputed."""

_ENVIRONMENT: Final = {
    "PATH": os.defpath,
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""The complete environment of the child; the server's environment can contain keys."""

_slots = threading.BoundedSemaphore(MAX_WAITING)

Report = Callable[[float, str], None]
"""Receives the progress, 0 to 1, and the current operation."""

log = logging.getLogger(__name__)


def comparison(first_id: str, second_id: str, report: Report = lambda _, __: None) -> JobComparison:
    """What differs from the first job to the second: comparison.json, with the ids of both.

    Computed if missing, which takes some seconds. Raises JobNotFound, JobNotFinished, ResultNotFound (of
    either job), NotComparable, ServerBusy, ComparisonFailed.
    """
    folder = _folder(first_id, second_id, report)
    return read_comparison(folder / RESULT, first_id, second_id)


def comparison_table(first_id: str, second_id: str) -> Path:
    """changes.csv, computed if missing. Raises as `comparison`."""
    return _folder(first_id, second_id, lambda _, __: None) / TABLE


def comparison_view(first_id: str, second_id: str, name: str) -> Path:
    """Path of a viewer file (`scene.bin`), stored as gzip. Raises as `comparison`."""
    path = view_file_in(_folder(first_id, second_id, lambda _, __: None) / VIEW, name)
    if path is None:
        raise ResultNotFound("There is no such file for the viewers.", hint=f"The comparison has {ViewFile.SCENE}.")
    return path


def _folder(first_id: str, second_id: str, report: Report) -> Path:
    backend = open_backend()
    inputs = _inputs(backend, first_id, second_id)
    folder = backend.storage.comparison_folder(first_id, second_id)
    if _stored_inputs(folder) == inputs:
        return folder
    with _exclusive(backend, report):
        if _stored_inputs(folder) != inputs:
            _make(backend, (first_id, second_id), folder, inputs, report)
    return folder


def _inputs(backend: Backend, first_id: str, second_id: str) -> dict[str, Any]:
    """The inputs of a comparison; a comparison of other inputs is outdated."""
    return {
        "version": VERSION,
        "first": _fingerprint(backend, first_id, "First"),
        "second": _fingerprint(backend, second_id, "Second"),
        "reproducibility": [_digest(path) for path in reproducibility_paths()],
    }


def _fingerprint(backend: Backend, job_id: str, which: str) -> str:
    """Fingerprint of a finished job's results. Errors state which of the two jobs they concern."""
    try:
        record = finished(backend, job_id)
        manifest = backend.storage.read_manifest(job_id, record.attempt)
        if manifest is None:
            raise results_gone()
    except JobError as error:
        raise type(error)(f"{which} analysis: {error.message}", hint=error.hint) from None
    return f"{job_id} {record.attempt} {manifest.archive_sha256}"


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _stored_inputs(folder: Path) -> dict[str, Any] | None:
    try:
        inputs: dict[str, Any] = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return inputs


@contextlib.contextmanager
def _exclusive(backend: Backend, report: Report) -> Iterator[None]:
    """Run one comparison at a time on this machine. Raises ServerBusy after a time-out."""
    busy = ServerBusy("Other comparisons are running.", hint="Try again in a minute.")
    if not _slots.acquire(blocking=False):
        raise busy
    try:
        backend.storage.comparisons.mkdir(parents=True, exist_ok=True)
        with (backend.storage.comparisons / ".lock").open("ab") as stream:
            started = time.monotonic()
            while not _locked(stream.fileno()):
                if time.monotonic() - started > MAX_WAIT_S:
                    raise busy
                report(0.0, "Waiting for another comparison to end")
                time.sleep(POLL_S)
            yield
    finally:
        _slots.release()


def _locked(descriptor: int) -> bool:
    """The kernel releases the lock when the file is closed or the process ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(backend: Backend, job_ids: tuple[str, str], folder: Path, inputs: dict[str, Any], report: Report) -> None:
    partial = folder.with_name(f".{uuid4().hex}.part")
    partial.mkdir()
    try:
        _run([published(backend, job_id).root for job_id in job_ids], partial, report)
        write_json(partial / "inputs.json", inputs)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    try:
        current = _inputs(backend, *job_ids)  # a job may have been deleted or restarted in the meantime
    except JobError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if current != inputs:
        shutil.rmtree(folder, ignore_errors=True)
        raise ServerBusy("One of the two analyses has just changed.", hint="Try again.")


def _run(folders: list[Path], target: Path, report: Report) -> None:
    """Compare in a child process; its process group is always killed afterwards."""
    command = [sys.executable, "-m", "jobs.comparison.child", str(os.getpid()), *map(str, folders), str(target)]
    child = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=_ENVIRONMENT | {"TMPDIR": str(target), "HOME": str(target)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, output = _follow(child, target, report)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    verdict = _read(target / "verdict.json")
    for name in ("verdict.json", "progress.json"):
        (target / name).unlink(missing_ok=True)
    if verdict is None:
        log.error("comparison ended with status %s: %s", child.returncode, output.decode(errors="replace")[-2000:])
        raise ComparisonFailed("The comparison ended without a result.", hint="Try again; see the server's log.")
    if not verdict["ok"]:
        raise NotComparable(verdict["message"], hint=verdict["hint"])


def _follow(child: subprocess.Popen[bytes], target: Path, report: Report) -> tuple[bytes, bytes]:
    """Report the progress of the child until it ends; returns its output (stdout, stderr)."""
    started = time.monotonic()
    while True:
        try:
            return child.communicate(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() - started > WALL_CLOCK_S:
                raise ComparisonFailed(f"The comparison took longer than {WALL_CLOCK_S:.0f} s.") from None
        if state := _read(target / "progress.json"):
            report(float(state["share"]), str(state["text"]))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data
