"""Tries changed modules in a scratch copy of the tree: one process for one part of the table.

Run as `python -m bench.mutation.trial PART` in the copy. It runs the part's tests on the unchanged tree, answers with
the seconds they took, then reads one JSON object per line {module, source, limit_s} and answers each with {outcome,
test, seconds}. Each trial is a fork that has loaded the packages of others (numpy, scipy, pytest ...), but no module
of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from bench.mutation.modules import PARTS, Part

ROOT: Final = Path.cwd()
LOG: Final = ROOT / "build" / "trial.log"

PR_SET_CHILD_SUBREAPER: Final = 36
"""Processes that a test has left become children of this process, which ends them (linux/prctl.h)."""


class FirstFailure:
    """Notes the first test that fails, and the packages that the tests loaded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._note(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._note(f"{report.nodeid}: not loaded")

    def _note(self, text: str) -> None:
        path = self._folder / "failure"
        if not path.exists():
            path.write_text(text, encoding="utf-8")


def run_tests(part: Part, folder: Path) -> int:
    """Exit code of pytest, stopped at the first failure."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    with LOG.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    marker = ["-m", part.marker] if part.marker else []
    without = [option for test in part.without for option in ("--deselect", test)]
    options = ["-x", "--tb=short", "-p", "no:cacheprovider", *marker, *without]
    code = int(pytest.main([*options, *part.tests], plugins=[FirstFailure(folder)]))
    loaded = [name for name, module in sys.modules.items() if "site-packages" in str(getattr(module, "__file__", ""))]
    (folder / "loaded").write_text("\n".join(loaded), encoding="utf-8")
    return code


def forked(part: Part, limit_s: float) -> tuple[dict[str, Any], list[str]]:
    """One run of the tests in a child process: {outcome, test, seconds}, and the packages that it loaded."""
    folder = Path(tempfile.mkdtemp(prefix="mu-", dir="/tmp"))
    begun = time.monotonic()
    try:
        child = os.fork()
        if child == 0:
            code = 99
            with contextlib.suppress(BaseException):
                code = run_tests(part, folder)
            os._exit(code)
        in_time, code = _waited(child, limit_s)
        seconds = round(time.monotonic() - begun, 2)
        outcome = "timeout" if not in_time else "missed" if code == 0 else "error" if code in (5, 99) else "noticed"
        failure, loaded = folder / "failure", folder / "loaded"
        return (
            {
                "outcome": outcome,
                "test": failure.read_text(encoding="utf-8") if failure.exists() else f"exit code {code}",
                "seconds": seconds,
            },
            loaded.read_text(encoding="utf-8").split() if loaded.exists() else [],
        )
    finally:
        _end_descendants()
        shutil.rmtree(folder, ignore_errors=True)


def _waited(child: int, limit_s: float) -> tuple[bool, int]:
    """(whether it ended in time, exit code)."""
    handle = os.pidfd_open(child)
    try:
        in_time = bool(select.select([handle], [], [], limit_s)[0])
        if not in_time:
            os.kill(child, 9)
        return in_time, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(handle)


def _end_descendants() -> None:
    """End what the tests have left, such as their Valkey."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)


def load(names: list[str]) -> None:
    """Load packages of others, so that each trial has them."""
    for name in names:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


class Changed:
    """The files of the copy while they are changed."""

    def __init__(self) -> None:
        self._number = 0

    @contextlib.contextmanager
    def module(self, name: str, source: str) -> Any:
        """Change a module during a block."""
        path = ROOT / name
        original = path.read_bytes()
        try:
            self._write(path, source.encode())
            yield
        finally:
            self._write(path, original)

    def _write(self, path: Path, content: bytes) -> None:
        """Write it so that Python does not use an older compiled file: those are recognised by size and second."""
        path.write_bytes(content)
        self._number += 1
        os.utime(path, (self._number, self._number))
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def main() -> None:
    """Answer requests until the input ends."""
    part = PARTS[sys.argv[1]]
    LOG.parent.mkdir(exist_ok=True)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.path[0] = str(ROOT)
    unchanged, loaded = forked(part, 900)  # compiles all modules
    load(loaded)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    print(json.dumps(unchanged), flush=True)
    files = Changed()
    for line in sys.stdin:
        request = json.loads(line)
        with files.module(request["module"], request["source"]):
            answer, _ = forked(part, request["limit_s"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
