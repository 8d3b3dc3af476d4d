"""Comparisons of finished jobs: computed once, in a separate process, and kept until a job changes or is deleted.

DATA_DIR/comparisons/<first>_<second>/ contains comparison.json, changes.csv, view/ and inputs.json, which identifies
their inputs; a series of visits has a folder series_<digest>/ with series.json, trends.csv, view/ and inputs.json. A
folder is written under a temporary name and renamed, so that it appears complete.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from jobs.errors import ComparisonFailed, JobError, ServerBusy
from jobs.settings import PROJECT_ROOT
from jobs.state.backend import Backend, open_backend
from jobs.state.storage import COMPARISON_INPUTS
from jobs.views.reading import finished, published, results_gone
from pipeline.comparison.names import COMPARISON_VERSION, SERIES_VERSION
from pipeline.comparison.reproducibility import reproducibility_paths
from pipeline.errors import NotComparable
from pipeline.workspace import write_json

WALL_CLOCK_S: Final = 120.0
"""For each analysis that is registered to the first, which takes 2 to 6 s of CPU time."""

MAX_WAIT_S: Final = 60.0
MAX_WAITING: Final = 4
"""Maximum number of waiting comparisons per process; each occupies a thread."""

POLL_S: Final = 0.1

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


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The jobs of a comparison.

    names   of the jobs in messages
    years   of each job's visit, ascending; empty where two analyses are compared
    """

    job_ids: tuple[str, ...]
    names: tuple[str, ...]
    years: tuple[float, ...] = ()


def kept_folder(compared: Compared, report: Report = lambda _, __: None) -> Path:
    """The folder of a comparison, computed if missing, which takes some seconds.

    Raises JobNotFound, JobNotFinished, ResultNotFound (of one of the jobs), NotComparable, ServerBusy,
    ComparisonFailed.
    """
    backend = open_backend()
    inputs = _inputs(backend, compared)
    folder = backend.storage.comparison_folder(*compared.job_ids, times=compared.years)
    if _stored_inputs(folder) == inputs:
        return folder
    with _exclusive(backend, report):
        if _stored_inputs(folder) != inputs:
            _make(backend, compared, folder, inputs, report)
    return folder


def _inputs(backend: Backend, compared: Compared) -> dict[str, Any]:
    """The inputs of a comparison; a comparison of other inputs is outdated."""
    found = [_fingerprint(backend, *job) for job in zip(compared.job_ids, compared.names, strict=True)]
    known = {"reproducibility": [_digest(path) for path in reproducibility_paths()]}
    if not compared.years:
        return {"version": COMPARISON_VERSION, "first": found[0], "second": found[1]} | known
    times = {"years": list(compared.years), "jobs": list(compared.job_ids)}
    return {"version": SERIES_VERSION, "visits": found} | times | known


def _fingerprint(backend: Backend, job_id: str, name: str) -> str:
    """Fingerprint of a finished job's results. Errors state which of the jobs they concern."""
    try:
        record = finished(backend, job_id)
        manifest = backend.storage.read_manifest(job_id, record.attempt)
        if manifest is None:
            raise results_gone()
    except JobError as error:
        raise type(error)(f"{name}: {error.message}", hint=error.hint) from None
    return f"{job_id} {record.attempt} {manifest.archive_sha256}"


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _stored_inputs(folder: Path) -> dict[str, Any] | None:
    try:
        inputs: dict[str, Any] = json.loads((folder / COMPARISON_INPUTS).read_text(encoding="utf-8"))
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


def _make(backend: Backend, compared: Compared, folder: Path, inputs: dict[str, Any], report: Report) -> None:
    partial = folder.with_name(f".{uuid4().hex}.part")
    partial.mkdir()
    try:
        _run([published(backend, job_id).root for job_id in compared.job_ids], compared.years, partial, report)
        write_json(partial / COMPARISON_INPUTS, inputs)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    try:
        current = _inputs(backend, compared)  # a job may have been deleted or restarted in the meantime
    except JobError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if current != inputs:
        shutil.rmtree(folder, ignore_errors=True)
        raise ServerBusy("One of the analyses has just changed.", hint="Try again.")


def _run(folders: list[Path], years: tuple[float, ...], target: Path, report: Report) -> None:
    """Compare in a child process; its process group is always killed afterwards."""
    command = [sys.executable, "-m", "jobs.comparison.child", str(os.getpid()), str(target), *map(str, folders)]
    command += [f"--years={time!r}" for time in years]
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
        _, output = _follow(child, target, WALL_CLOCK_S * (len(folders) - 1), report)
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


def _follow(child: subprocess.Popen[bytes], target: Path, limit_s: float, report: Report) -> tuple[bytes, bytes]:
    """Report the progress of the child until it ends; returns its output (stdout, stderr)."""
    started = time.monotonic()
    while True:
        try:
            return child.communicate(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() - started > limit_s:
                raise ComparisonFailed(f"The comparison took longer than {limit_s:.0f} s.") from None
        if state := _read(target / "progress.json"):
            report(float(state["share"]), str(state["text"]))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data
