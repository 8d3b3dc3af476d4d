"""Child processes that end with their parent, and supervision that restarts them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.linux import die_with_parent

INITIAL_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 5.0
STABLE_AFTER_S: Final = 60.0
"""A process that ran this long is restarted without a delay."""

DRAINED_STATUS: Final = 3
"""Exit status of a worker that the operator has drained: it is not restarted."""


def keep_files_private() -> None:
    """Files written by this process and its children are private to their user, because they contain patient data."""
    os.umask(0o077)


@dataclass
class Child:
    """A long-running process with a log file. `healthy` is polled while it starts; output goes to `log_path`.

    finished  whether it has ended with DRAINED_STATUS, after which it is not restarted
    """

    name: str
    command: list[str]
    log_path: Path
    healthy: Callable[[], bool]
    cwd: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    started: float = 0.0
    next_start: float = field(default=0.0)
    finished: bool = False

    def start(self) -> None:
        """Start it in a separate session, so that Ctrl-C in the terminal reaches only the supervisor."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 -- the supervisor has one thread
            )
        self.started = time.monotonic()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def keep_running(self) -> str | None:
        """Restart it if it has ended, with increasing delays; returns a message for the operator, if any."""
        moment = time.monotonic()
        if self.running or self.finished:
            return None
        if self.process is not None:
            status, self.process = self.process.returncode, None
            if status == DRAINED_STATUS:
                self.finished = True
                return f"{self.name} was drained; it starts again with the product"
            self.deaths = 0 if moment - self.started > STABLE_AFTER_S else self.deaths + 1
            pause = min(MAX_PAUSE_S, INITIAL_PAUSE_S * 2**self.deaths) if self.deaths else 0.0
            self.next_start = moment + pause
            return f"{self.name} ended ({status}); restarting it" + (f" in {pause:.0f} s" if pause >= 1 else "")
        if moment >= self.next_start:
            self.start()
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; no effect on an ended process."""
        if self.running and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; returns whether it has ended."""
        if self.process is None:
            return True
        try:
            self.process.wait(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_lines(self, count: int = 15) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
        except OSError:
            return ""
