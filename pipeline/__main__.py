"""`python -m pipeline`: analyse one scan, compare two analyses, list and fetch weights."""

from __future__ import annotations

import sys

from pipeline.command_line.commands import main

if __name__ == "__main__":
    sys.exit(main())
