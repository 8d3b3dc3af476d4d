"""compare A_FOLDER B_FOLDER OUT_DIR: compare two finished analyses."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.anatomy import place_title
from pipeline.comparison.changes import Change
from pipeline.comparison.documents import registration_note
from pipeline.comparison.folders import compare_folders
from pipeline.comparison.ordered import ordered_changes, scores_in_words
from pipeline.flags import Use
from pipeline.quantities import THC_MATCHED


def build_parser(program: str) -> argparse.ArgumentParser:
    """The two analyses, and the folder for the comparison."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Thickness change from analysis A to analysis B. Research use only. Not for clinical diagnosis.",
    )
    for name, text in (("first", "A"), ("second", "B")):
        parser.add_argument(
            name, type=Path, metavar=f"{text}_FOLDER", help=f"folder of results of analysis {text}, or DATA_DIR/jobs/ID"
        )
    parser.add_argument("target", type=Path, metavar="OUT_DIR")
    return parser


def run(parser: argparse.ArgumentParser, words: list[str]) -> tuple[int, str]:
    """Exit status 0, and the changes as text; comparison.json and changes.csv are in OUT_DIR. Raises NotComparable."""
    given = parser.parse_args(words)
    comparison = compare_folders(given.first, given.second, given.target)
    lines = [f"{THC_MATCHED.column:42}{'A':>7}{'B':>7}{'B - A':>8}  relative to measurement error"]
    lines += [_line(row) for row in comparison.changes if row.quantity == THC_MATCHED.id]
    lines += [f"! {text}" for text in comparison.warnings]
    lines.append(registration_note(comparison))
    lines.append(scores_in_words(ordered_changes(comparison.changes)))
    return 0, "\n".join(lines)


def _line(row: Change) -> str:
    name = place_title(row.structure, row.region)
    a, b, change = ("–" if value is None else THC_MATCHED.format(value) for value in (row.a, row.b, row.change))
    verdict = f"do not use ({row.flag})" if row.use == Use.NO else row.verdict
    return f"{name:42}{a:>7}{b:>7}{change:>8}  {verdict}"
