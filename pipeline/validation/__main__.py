"""python -m pipeline.validation SCANS LABELS: the command `validate` of the command line."""

from __future__ import annotations

import sys

from pipeline.command_line.commands import main

if __name__ == "__main__":
    sys.exit(main(["validate", *sys.argv[1:]]))
