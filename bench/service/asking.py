"""`python -m bench.service.asking`: time an operation on the jobs of DATA_DIR for every input line, in ms.

list       the newest jobs, as for the page of jobs
reconcile  one pass of the reconciler
purge      one pass of the retention
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from jobs import service
from jobs.control.expiry import Expiry
from jobs.state.backend import open_backend
from jobs.state.reconciler import Reconciler

LISTED: Final = 100
"""As on the page of jobs."""


def main() -> None:
    """See above."""
    reconciler, expiry = Reconciler(open_backend()), Expiry()
    chores: dict[str, Callable[[], object]] = {
        "list": lambda: service.recent(LISTED),
        "reconcile": reconciler.reconcile,
        "purge": expiry.purge,
    }
    for line in sys.stdin:
        start = time.perf_counter()
        chores[line.strip()]()
        print(1000 * (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
