"""`python -m rest`: the REST interface on HOST and API_PORT."""

from __future__ import annotations

import sys

import uvicorn

from jobs.processes import keep_files_private
from jobs.settings import SettingsError, load_settings
from rest.protocol import GRACE_S, KEEP_ALIVE_S, DeadlineProtocol


def main() -> int:
    """Serve until a stop signal; returns the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    keep_files_private()
    uvicorn.run(
        "api:app",
        host=settings.host,
        port=settings.api_port,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
        http=DeadlineProtocol,
        ws="none",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
