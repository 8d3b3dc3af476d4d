"""`python -m jobs`: the operator's command line."""

from __future__ import annotations

import sys

from jobs.command_line.commands import main

if __name__ == "__main__":
    sys.exit(main())
