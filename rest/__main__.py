"""`python -m rest`: the REST interface on HOST and API_PORT."""

from __future__ import annotations

import sys

import uvicorn

from jobs.settings import SettingsError, load_settings

GRACE_S = 3
"""How long a stop waits for answers that are under way."""


def main() -> int:
    """Serve until a signal comes; -> exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    uvicorn.run(
        "api:app",
        host=settings.host,
        port=settings.api_port,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
