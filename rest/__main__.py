"""`python -m rest [ACCESS_LOG]`: the REST interface on HOST and API_PORT. ACCESS_LOG: a file, else standard error."""

from __future__ import annotations

import sys

from jobs.logs import access_log_in, configure_logging
from jobs.processes import keep_files_private
from jobs.settings import SettingsError, load_settings
from rest.protocol import run_server


def main() -> int:
    """Serve until a stop signal; returns the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    keep_files_private()
    configure_logging(settings.log_format, access_log_in(sys.argv[1:]))
    run_server("api:app", settings, settings.api_port, pages=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
