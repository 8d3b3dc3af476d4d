"""make bench-service: measure the figures of the service on separate processes.

python -m bench.service [PART ...]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from typing import Final

PARTS: Final = (
    "kills",
    "submissions",
    "cancels",
    "workers",
    "uploads",
    "slow_clients",
    "doors",
    "crowds",
    "inputs",
    "privacy",
    "store_size",
    "study_size",
    "study_doors",
    "study_kills",
    "study_rate",
    "records",
    "waiting",
    "machine_faults",
    "partition",
    "hosts",
    "slurm",
    "corrections",
    "contract",
)
"""Modules of this package, each with `figures(*, short: bool) -> list[Figure]`; the tests run the short form."""


def main() -> int:
    """Run the chosen parts (default: all). Returns 1 if a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--short", action="store_true", help="the short forms that the tests run")
    given = parser.parse_args()
    missed = False
    for part in given.parts or PARTS:
        print(f"\n== {part}", flush=True)
        start = time.monotonic()
        for figure in importlib.import_module(f"bench.service.{part}").figures(short=given.short):
            print(figure.line(), flush=True)
            missed |= not figure.met
        print(f"({time.monotonic() - start:.0f} s)", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
