"""A worker stops on request, without side effects on other processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.processes import ROOT

WORKER_WITH_A_CHORE = """
import sys, time
from jobs.worker.rq_worker import make_worker

def chore():  # as the reconciler does, it lets nothing out: a stop that is raised into it would be lost
    try:
        print("at it", flush=True)
        time.sleep(1)  # the signal comes now
        print("done", flush=True)
    except Exception:
        print("cut short", flush=True)

nothing = lambda *_: None
worker = make_worker(sys.argv[1], every_few_seconds=chore, while_idle=nothing, on_forced_stop=nothing)
worker.work(logging_level="ERROR")
"""


def test_a_late_stop_request_does_not_kill_the_worker(valkey: str) -> None:
    """RQ forgets the process ID of an ended work-horse, and would then kill process group 0, which is its own."""
    program = (
        "import os, sys; os.setpgrp()\n"
        "from jobs.worker.rq_worker import make_worker\n"
        "nothing = lambda *_: None\n"
        "worker = make_worker(sys.argv[1], every_few_seconds=nothing, while_idle=nothing, on_forced_stop=nothing)\n"
        "assert worker.horse_pid == 0\n"
        "worker.kill_horse()\n"
        "print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, valkey],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr


@pytest.mark.slow
def test_a_stop_request_during_maintenance_takes_effect_afterwards(valkey: str) -> None:
    """A maintenance task must not raise, so it catches the exception that RQ raises on the signal."""
    command = [sys.executable, "-c", WORKER_WITH_A_CHORE, valkey]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8") as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "at it\n"
        worker.terminate()
        try:
            said, _ = worker.communicate(timeout=10)
        finally:
            worker.kill()
    assert (worker.returncode, said) == (0, "done\n")
