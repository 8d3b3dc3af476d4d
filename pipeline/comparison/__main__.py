"""python -m pipeline.comparison A_FOLDER B_FOLDER OUT_DIR: what differs between two finished analyses (job folders)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.anatomy import place_title
from pipeline.comparison.changes import Change
from pipeline.comparison.documents import registration_note
from pipeline.comparison.folders import compare_folders
from pipeline.errors import KneeError
from pipeline.quantities import THC_MATCHED


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: comparison.json and changes.csv are in OUT_DIR; 1: not comparable (message on stderr)."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.comparison",
        description="Thickness change from analysis A to analysis B. Research use only. Not for clinical diagnosis.",
    )
    for name, text in (("first", "A"), ("second", "B")):
        parser.add_argument(name, type=Path, metavar=f"{text}_FOLDER", help=f"DATA_DIR/jobs/ID of analysis {text}")
    parser.add_argument("target", type=Path, metavar="OUT_DIR")
    given = parser.parse_args(arguments)
    try:
        comparison = compare_folders(given.first, given.second, given.target)
    except KneeError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return 1
    lines = [f"{THC_MATCHED.column:42}{'A':>7}{'B':>7}{'B - A':>8}  against measurement error"]
    lines += [_line(row) for row in comparison.changes if row.quantity == THC_MATCHED.id]
    lines += [f"! {text}" for text in comparison.warnings]
    lines.append(registration_note(comparison))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _line(row: Change) -> str:
    name = place_title(row.structure, row.region)
    a, b, change = ("–" if value is None else THC_MATCHED.format(value) for value in (row.a, row.b, row.change))
    return f"{name:42}{a:>7}{b:>7}{change:>8}  {row.verdict}"


if __name__ == "__main__":
    sys.exit(main())
