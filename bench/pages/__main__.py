"""make bench-pages: measure the figures of the pages in a real browser.

python -m bench.pages [PART ...]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from typing import Final

PARTS: Final = {
    "edit": "bench.pages.edit",
    "editors": "bench.pages.editors",
    "idle": "bench.pages.idle",
    "proxy": "bench.pages.proxy",
    "scene": "bench.pages.scene",
    "slices": "bench.pages.slices",
    "upload": "bench.pages.upload",
}
"""Modules, each with `figures(*, short: bool) -> list[Figure]`."""


def main() -> int:
    """Run the chosen parts (default: all). Returns 1 if a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--short", action="store_true", help="fewer repetitions")
    given = parser.parse_args()
    missed = False
    for part in given.parts or PARTS:
        print(f"\n== {part}", flush=True)
        start = time.monotonic()
        for figure in importlib.import_module(PARTS[part]).figures(short=given.short):
            print(figure.line(), flush=True)
            missed |= not figure.met
        print(f"({time.monotonic() - start:.0f} s)", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
