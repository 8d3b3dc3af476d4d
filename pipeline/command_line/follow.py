"""follow OUT_DIR FOLDER FOLDER FOLDER ... --years T T T ...: three and more analyses of one knee against time."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.anatomy import place_title
from pipeline.comparison.follow_folders import follow_folders
from pipeline.comparison.series import Trend
from pipeline.comparison.visits import LEAST_VISITS
from pipeline.errors import OptionsError
from pipeline.flags import Use
from pipeline.quantities import THC_MATCHED


def build_parser(program: str) -> argparse.ArgumentParser:
    """The folder for the series, the analyses, and their times."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Every figure of three and more visits of one knee, against time. Research use only. Not for "
        "clinical diagnosis.",
    )
    parser.add_argument("target", type=Path, metavar="OUT_DIR")
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="FOLDER", help="folders of results, or DATA_DIR/jobs/ID, in any order"
    )
    parser.add_argument(
        "--years", type=float, nargs="+", required=True, metavar="T", help="time of each, in years after any date"
    )
    return parser


def run(parser: argparse.ArgumentParser, words: list[str]) -> tuple[int, str]:
    """Exit status 0, and the slopes as text; series.json and trends.csv are in OUT_DIR.

    Raises OptionsError if folders and times do not match, NotComparable.
    """
    given = parser.parse_args(words)
    if len(given.folders) != len(given.years):
        raise OptionsError(f"{len(given.folders)} folders and {len(given.years)} times; expected one time for each.")
    if len(given.folders) < LEAST_VISITS:
        raise OptionsError(
            f"{len(given.folders)} folders; expected at least {LEAST_VISITS}.", hint="Two are compared with `compare`."
        )
    series = follow_folders(list(zip(given.folders, given.years, strict=True)), given.target)
    lines = [f"{THC_MATCHED.title:42}{'µm per year':>14}{'±':>8}  relative to measurement error"]
    lines += [_line(trend) for trend in series.trends if trend.quantity == THC_MATCHED.id]
    lines += [f"! {text}" for text in series.warnings]
    return 0, "\n".join(lines)


def _line(trend: Trend) -> str:
    name = place_title(trend.structure, trend.region)
    slope, error = ("–" if value is None else f"{1000 * value:+.0f}" for value in (trend.slope, trend.error))
    verdict = f"do not use ({trend.flag})" if trend.use == Use.NO else trend.verdict
    return f"{name:42}{slope:>14}{error.lstrip('+'):>8}  {verdict}"
