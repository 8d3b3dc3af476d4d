"""What every worker does every few seconds: the states of jobs are reconciled, and the queue of studies is filled."""

from __future__ import annotations

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
