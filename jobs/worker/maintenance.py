"""What every worker does every few seconds: the states of jobs are reconciled, and the queue of studies is filled."""

from __future__ import annotations

import argparse

from jobs.state.backend import Backend
from jobs.state.reconciler import Reconciler
from jobs.studies.feeding import Feeder


class Maintenance:
    """Of one worker."""

    def __init__(self, backend: Backend) -> None:
        self._reconciler = Reconciler(backend)
        self._feeder = Feeder(backend)
        self.ignore_interruption = self._reconciler.ignore_interruption

    def do(self) -> None:
        """Never raises."""
        self._reconciler.reconcile_safely()
        self._feeder.feed_safely()


def idle_limit() -> int | None:
    """Seconds without work after which the worker of this command line ends; None: it waits for work."""
    parser = argparse.ArgumentParser(description="Works on jobs and studies.")
    parser.add_argument("--idle", type=int, metavar="SECONDS", help="end after this time without work")
    seconds: int | None = parser.parse_args().idle
    return seconds
