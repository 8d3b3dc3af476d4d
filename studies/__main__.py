"""`python -m studies`: as `kneebox study`."""

from __future__ import annotations

import sys

from studies.command_line.commands import main

if __name__ == "__main__":
    sys.exit(main())
