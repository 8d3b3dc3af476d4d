"""One worker process. Each job runs in a copy of it. `--idle SECONDS`: end after that time without work."""

from __future__ import annotations

import sys

from jobs.control.expiry import Expiry
from jobs.logs import configure_logging
from jobs.processes import DRAINED_STATUS, keep_files_private
from jobs.settings import SettingsError, load_settings
from jobs.state.backend import open_backend
from jobs.worker.maintenance import Maintenance, idle_limit
from jobs.worker.rq_worker import make_worker


def main() -> int:
    """Work until a stop signal; returns the exit status."""
    try:
        url = load_settings().effective_redis_url
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if url is None:
        sys.stderr.write("No job queue is running: start everything with `make run`, or set REDIS_URL.\n")
        return 2
    configure_logging(load_settings().log_format)
    keep_files_private()
    maintenance = Maintenance(open_backend())
    worker = make_worker(
        url,
        every_few_seconds=maintenance.do,
        while_idle=Expiry().purge,
        on_forced_stop=maintenance.ignore_interruption,
    )
    worker.work(logging_level="INFO", max_idle_time=idle_limit())
    return DRAINED_STATUS if worker.drained else 0


if __name__ == "__main__":
    sys.exit(main())
